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


def test_one_target_or_several_are_read_alike() -> None:
    assert Columns(target="a").targets == Columns(target=["a"]).targets == ("a",)
    several = Columns(target=["a", "b"], unit=["m", "s"])
    assert (several.targets, several.units) == (("a", "b"), ("m", "s"))
    assert Columns(target=["a", "b"], unit="m").units == ("m", "m")


def test_a_minimum_is_one_for_all_or_one_for_each_target() -> None:
    assert Columns().minima == (None,)
    assert Columns(target=["a", "b"], minimum=0).minima == (0.0, 0.0)
    assert Columns(target=["a", "b"], minimum={"b": 1}, unit={"b": "m"}).units == ("", "m")
    several = Columns(target=["a", "b"], minimum={"b": 1})
    assert several.minima == (None, 1.0) and Columns(**several.as_dict()) == several


def test_a_calendar_is_auto_none_or_names() -> None:
    assert Columns().calendar == "auto"
    assert Columns(calendar=None).calendar == Columns(calendar=[]).calendar == ()
    assert Columns(calendar="day_of_week").calendar == Columns(calendar=["day_of_week"]).calendar == ("day_of_week",)


def test_a_target_may_have_any_name() -> None:
    assert Columns(target="forecast").target == "forecast"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target": []}, "columns.target names no column"),
        ({"target": ["a", 1]}, "a name or a list of names"),
        ({"target": ["a", "a"]}, "column 'a' has two roles"),
        ({"target": ["a", "b"], "past": ["b"]}, "column 'b' has two roles"),
        ({"target": ["a", "b"], "wide": True}, "a wide table has one target"),
        ({"target": ["a", "b"], "unit": ["m"]}, "unit has 1 entries for 2 targets"),
        ({"minimum": "zero"}, "minimum is a number, or one for each target, got 'zero'"),
        ({"minimum": float("nan")}, "minimum is a number, or one for each target, got nan"),
        ({"target": ["a", "b"], "minimum": {"c": 0}}, "minimum: there is no target 'c'. Choose one of: a, b"),
        ({"unit": {"z": "m"}}, "unit: there is no target 'z'"),
        ({"holidays": False}, "holidays is a country such as 'US' or 'US-CA', got False. In YAML quote 'NO'"),
        ({"target": ["a", "b"], "minimum": [0.0]}, "minimum has 1 entries for 2 targets"),
        ({"target": ["a", "b"], "minimum": [0.0, "none"]}, "minimum is a number, or one for each target, got 'none'"),
        ({"calendar": 3}, "calendar is auto, or a list of names, got 3"),
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
