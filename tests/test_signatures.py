from __future__ import annotations

from dataclasses import MISSING, fields
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

import numpy as np
import pytest

from seamlabel.errors import SpecError
from seamlabel.parameters import options
from seamlabel.signatures import checked_keywords, keywords_of, name_of, wants_context

if TYPE_CHECKING:
    from seamlabel import NoSuchType


def cells(
    tile,
    sigma: float = 2.0,
    invert: bool = False,
    mode: Literal["a", "b"] = "a",
    n: Annotated[int, {"min": 0, "max": 9, "unit": "px", "tooltip": "How many"}] = 3,
    limit=1500,
    top: int | None = None,
    table=(1, 2),
    *,
    context,
):
    """Find cells.

    Parameters
    ----------
    tile : array
        Pixels.
    sigma : float, optional
        Width of the blur, in px.
        More is smoother. And slower.
    limit, n : int
        What is bright.

    Returns
    -------
    top : array
        Not a parameter.
    """
    return tile


class Model:
    def __init__(self, path: str, size: int = 4, *, context=None):
        self.size = size

    def __call__(self, tile, shift: float = 0.5):
        return tile


def described(function):
    kind = keywords_of(function)
    hints = get_type_hints(kind, include_extras=True)
    return {item.name: (item.default, options(hints[item.name])) for item in fields(kind)}


def test_parameters_have_the_defaults_tooltips_and_ranges_of_the_signature():
    found = described(cells)
    assert list(found) == ["sigma", "invert", "mode", "n", "limit", "top", "table"]
    assert found["sigma"] == (2.0, {"tooltip": "Width of the blur, in px"})
    assert found["n"] == (3, {"min": 0, "max": 9, "unit": "px", "tooltip": "How many"})
    assert found["limit"] == (1500, {"tooltip": "What is bright"})
    assert found["top"] == (None, {})
    assert found["table"] == (MISSING, {"in_form": False})


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"sigma": 3, "mode": "b"}, {"sigma": 3.0, "mode": "b"}),
        ({"sigma": "2.5", "invert": "true", "n": np.int64(4)}, {"sigma": 2.5, "invert": True, "n": 4}),
        ({"limit": 1800.5}, {"limit": 1800.5}),
        ({"limit": 7}, {"limit": 7}),
        ({"top": None, "table": [3]}, {"top": None, "table": [3]}),
    ],
)
def test_values_are_taken_as_the_annotations_want_them(given, wanted):
    found = checked_keywords(cells, given)
    assert found == wanted
    assert [type(value) for value in found.values()] == [type(value) for value in wanted.values()]


@pytest.mark.parametrize(
    ("given", "field", "message"),
    [
        ({"sigam": 2}, "params.sigam", "'cells' has no such parameter. Did you mean 'sigma'?"),
        ({"zzz": 2}, "params.zzz", "Known: sigma, invert, mode, n, limit, top, table"),
        ({"tile": 2}, "params.tile", "no such parameter"),
        ({"context": 2}, "params.context", "no such parameter"),
        ({"sigma": "wide"}, "params.sigma", "'wide' is not of type float"),
        ({"mode": "c"}, "params.mode", "'c' is not one of 'a', 'b'"),
        ({"n": 12}, "params.n", "12 is out of range. Use 0 to 9"),
        ({"limit": "x"}, "params.limit", "'x' is not of type int or float"),
    ],
)
def test_what_a_function_does_not_take_is_told(given, field, message):
    with pytest.raises(SpecError) as caught:
        checked_keywords(cells, given)
    assert [problem.field for problem in caught.value.problems] == [field]
    assert message in str(caught.value)


def test_all_that_is_wrong_is_told_at_once():
    with pytest.raises(SpecError) as caught:
        checked_keywords(cells, {"sigam": 1, "n": -1, "mode": 3})
    assert len(caught.value.problems) == 3


def test_a_value_that_is_needed_is_asked_for():
    assert checked_keywords(Model, {"path": "a"}) == {"path": "a"}
    with pytest.raises(SpecError, match="'Model' needs a value"):
        checked_keywords(Model, {})


def test_classes_objects_and_partial_functions_have_parameters_too():
    assert list(described(Model)) == ["path", "size"]
    assert list(described(Model("a"))) == ["shift"]
    assert described(partial(cells, sigma=9.0))["sigma"][0] == 9.0
    assert [name_of(f) for f in (cells, Model, Model("a"), partial(cells, n=1))] == [
        "cells", "Model", "Model", "cells",
    ]  # fmt: skip


def test_a_function_may_take_what_it_likes():
    def free(tile, sigma: float = 1.0, **others: Any):
        return tile

    assert checked_keywords(free, {"sigma": 2, "more": "x"}) == {"sigma": 2.0, "more": "x"}
    assert checked_keywords(max, {"anything": 1}) == {"anything": 1}


def test_annotations_that_cannot_be_read_leave_the_defaults_to_tell_the_types():
    def late(tile, sigma: NoSuchType = 2.0, n: int = 3):
        return tile

    assert checked_keywords(late, {"sigma": "any", "n": "any"}) == {"sigma": "any", "n": "any"}


def test_the_context_is_a_keyword_that_is_asked_for_and_no_other():
    def first(context):
        return context

    def given_by_name(tile, context=3):
        return tile

    assert wants_context(cells)
    assert wants_context(Model)
    assert not any(map(wants_context, (first, given_by_name, len, partial(cells, context=1), np.add)))
    assert list(described(given_by_name)) == ["context"]
