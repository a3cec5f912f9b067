"""Figures and the HTML report; import `forecast.report.figures` or `forecast.report.page` for them."""
