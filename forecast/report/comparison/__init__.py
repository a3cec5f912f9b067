"""The page and the tables of a comparison; import `forecast.report.comparison.page` or `.tables` for them."""
