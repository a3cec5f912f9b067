"""How far to forecast a table that does not say: what the M4 competition asked of its frequency, else one season."""

from __future__ import annotations

from forecast.data.freq import DAY, HOUR, WEEK, Freq

FEW = 8  # steps, where no season is known
_BY_MONTHS = {12: "yearly", 3: "quarterly", 1: "monthly"}
_BY_LENGTH = {WEEK: "weekly", DAY: "daily", HOUR: "hourly"}
M4 = {"yearly": 6, "quarterly": 8, "monthly": 18, "weekly": 13, "daily": 14, "hourly": 48}


def default_horizon(freq: Freq, *, season: int) -> tuple[int, str]:
    """Return a horizon in steps for a table of which none is known, and where it comes from, in words.

    Parameters
    ----------
    freq : Freq
        Of the table; business and trading days are daily.
    season : int
        Its period, 1 where there is none: the horizon of a frequency that M4 did not have.

    References
    ----------
    Makridakis, Spiliotis and Assimakopoulos (2020), "The M4 Competition: 100,000 time series and 61 forecasting
    methods", International Journal of Forecasting 36, table 1.
    """
    if freq.kind in ("business", "sessions"):
        called: str | None = "daily"
    else:
        called = {"months": _BY_MONTHS, "step": _BY_LENGTH}.get(freq.kind, {}).get(freq.size)
    if called is not None:
        return M4[called], f"as M4 has for {called} series"
    return (season, "one season") if season > 1 else (FEW, "as no season is known")
