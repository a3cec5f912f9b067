"""Each column plays one role, and wrong roles are named at the door."""

from __future__ import annotations

import pytest

from forecast.data.columns import Columns


def test_defaults_are_those_of_the_field() -> None:
    columns = Columns()
    assert (columns.id, columns.time, columns.target, columns.covariates) == ("unique_id", "ds", "y", ())


def test_lists_become_tuples_and_come_back_as_lists() -> None:
    columns = Columns(past=["a"], known=["b", "c"], static=("d",))
    assert columns.covariates == ("a", "b", "c", "d")
    assert Columns(**columns.as_dict()) == columns
    assert columns.as_dict()["known"] == ["b", "c"]


def test_a_target_may_have_any_name() -> None:
    assert Columns(target="forecast").target == "forecast"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target": ["a", "b"]}, "Several targets in one table are several series"),
        ({"known": "price"}, r"Write \[price\]"),
        ({"past": None}, r"Write \[\] for none"),
        ({"static": [1]}, "list of names"),
        ({"gaps": "fill"}, "mask, rows or error, got 'fill'"),
        ({"past": ["y"]}, "column 'y' has two roles"),
        ({"past": ["a"], "known": ["a"]}, "column 'a' has two roles"),
        ({"id": "forecast"}, "columns.id is 'forecast', a name that forecasts use themselves. Rename the column."),
        ({"time": "cutoff"}, "columns.time is 'cutoff'"),
        ({"id": "y", "target": "sold"}, "columns.id is 'y'"),
        ({"id": "q0.1"}, "columns.id is 'q0.1'"),
    ],
)
def test_wrong_roles_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Columns(**arguments)
