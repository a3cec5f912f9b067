"""Times of a table are read in every usual form, and refused where they could mean two things."""

from __future__ import annotations

import dateutil.tz
import numpy as np
import pandas as pd
import pytest

from forecast.data.panel import Panel
from forecast.data.stamps import stamps
from forecast.errors import DataError


@pytest.mark.parametrize(
    "times",
    [
        pd.date_range("2024-01-01", periods=6, unit="s"),
        pd.date_range("2024-01-01", periods=6, unit="ms"),
        pd.date_range("2024-01-01", periods=6, unit="us"),
        pd.date_range("2024-01-01", periods=6, unit="ns"),
        pd.date_range("2024-01-01", periods=6, unit="ns", tz="Europe/Berlin"),
        pd.date_range("2024-01-01", periods=6, freq="h", unit="s", tz="America/New_York"),
        pd.date_range("2024-01-01", periods=6, freq="D", tz="+02:00"),
        pd.period_range("2024-01", periods=6, freq="M"),
        pd.period_range("2024-01-01", periods=6, freq="W-SUN"),
        pd.period_range("2024Q1", periods=6, freq="Q"),
        pd.Index(np.arange(3, 9)),
        pd.Index(np.arange(3, 9), dtype="int16"),
        pd.Index(np.arange(3, 9), dtype="Int64"),
    ],
    ids=lambda times: str(times.dtype),
)
def test_times_come_back_in_the_dtype_they_came_in(times: pd.Index) -> None:
    frame = pd.DataFrame({"ds": pd.Series(times[:4]), "y": 1.0})
    panel = Panel.from_frame(frame)
    ahead = panel.stamp_column(panel.stamps(np.zeros(6, int), np.arange(6)))
    assert ahead.dtype == frame["ds"].dtype
    pd.testing.assert_series_equal(ahead, pd.Series(times), check_names=False)


def test_times_of_arrow_are_times() -> None:
    pytest.importorskip("pyarrow")
    times = pd.date_range("2024-01-01", periods=6, tz="Europe/Berlin")
    frame = pd.DataFrame({"ds": pd.Series(times).astype("timestamp[us, tz=Europe/Berlin][pyarrow]"), "y": 1.0})
    panel = Panel.from_frame(frame)
    ahead = panel.stamp_column(panel.stamps(np.zeros(6, int), np.arange(6)))
    assert ahead.dtype == frame["ds"].dtype
    assert ahead.tolist() == times.tolist()


@pytest.mark.parametrize(
    "text",
    [
        ["2024-01-31", "2024-02-01", "2024-02-02"],
        ["2024-01-31 00:00", "2024-02-01 00:00:00", "2024-02-02"],
        ["1/31/2024", "2/1/2024", "2/2/2024"],
        ["20240131", "20240201", "20240202"],
    ],
)
@pytest.mark.parametrize("dtype", ["str", "object", "string", "category"])
def test_text_is_read_as_time(text: list[str], dtype: str) -> None:
    found, zone = stamps(pd.Series(text, name="ds").astype(dtype))
    assert zone is None
    assert found.astype("datetime64[D]").astype(str).tolist() == ["2024-01-31", "2024-02-01", "2024-02-02"]


def test_text_of_one_offset_is_zoned() -> None:
    found, zone = stamps(pd.Series(["2024-01-01T00:00+02:00", "2024-01-01T01:00+02:00"]))
    assert found.astype("datetime64[h]").astype(str).tolist() == ["2023-12-31T22", "2023-12-31T23"]
    assert zone is not None


def test_times_of_several_offsets_in_another_form_are_refused_by_row() -> None:
    cells = ["1 Jan 2024 00:00 +0100", "2 Jan 2024 00:00 +0200", "x"]
    with pytest.raises(DataError, match="'1 Jan 2024 00:00 \\+0100' in row 0, which is not a time as the others are"):
        Panel.from_frame(pd.DataFrame({"unique_id": "a", "ds": cells, "y": [1.0, 2.0, 3.0]}))


def test_text_of_several_offsets_says_how_to_convert() -> None:
    text = pd.Series(["2024-01-01T00:00+01:00", "2024-07-01T00:00+02:00"], name="when")
    with pytest.raises(DataError, match="column 'when' mixes several offsets from UTC.*utc=True"):
        stamps(text)


def test_dates_written_as_numbers_are_refused() -> None:
    frame = pd.DataFrame({"ds": [20240130, 20240131, 20240201], "y": 1.0})
    with pytest.raises(DataError, match="look like dates .20240130."):
        Panel.from_frame(frame)


def test_seconds_since_1970_do_not_become_a_grid_of_seconds() -> None:
    frame = pd.DataFrame({"ds": 1_700_000_000 + 3600 * np.arange(200), "y": 1.0})
    with pytest.raises(DataError, match="spans 716401 steps of freq '1', and only 200 of them have a row"):
        Panel.from_frame(frame)


def test_a_time_zone_without_a_name_is_refused() -> None:
    times = pd.Series(pd.date_range("2024-01-01", periods=3, tz=dateutil.tz.gettz("Europe/Berlin")), name="ds")
    with pytest.raises(DataError, match=r"column 'ds' has the time zone tzfile.*no name.*tz_convert"):
        stamps(times)


def test_nanoseconds_are_refused_where_they_matter() -> None:
    times = pd.Series(pd.to_datetime([1_000, 2_000], unit="ns"), name="ds").astype("datetime64[ns]")
    assert stamps(times)[0].astype(int).tolist() == [1, 2]
    with pytest.raises(DataError, match="column 'ds' holds .* in row 1; times are whole microseconds"):
        stamps((times + pd.to_timedelta([0, 7], unit="ns")).rename("ds"))


@pytest.mark.parametrize("form", ["%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%m-%d-%Y"])
def test_dates_that_no_row_makes_clear_are_refused(form: str) -> None:
    days = pd.date_range("2015-01-01", periods=24, freq="MS")
    frame = pd.DataFrame({"ds": days.strftime(form), "y": 1.0})
    with pytest.raises(DataError, match="no row tells whether the day or the month comes first. Write 2024-01-31"):
        Panel.from_frame(frame)


def test_dates_that_a_row_makes_clear_are_read_by_it() -> None:
    days = pd.date_range("2024-01-05", periods=20)
    starts = [
        Panel.from_frame(pd.DataFrame({"ds": days.strftime(form), "y": 1.0})).starts for form in ("%F", "%m/%d/%Y")
    ]
    assert starts[0] == starts[1] == np.datetime64("2024-01-05")


def test_months_written_as_numbers_are_refused() -> None:
    months = pd.date_range("2015-01-01", periods=24, freq="MS").strftime("%Y%m").astype(int)
    with pytest.raises(DataError, match=r"look like months \(201501\). Write 2024-01 for 202401"):
        Panel.from_frame(pd.DataFrame({"ds": months, "y": 1.0}))
