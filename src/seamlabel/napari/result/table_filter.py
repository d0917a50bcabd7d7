"""Filters of a table as people type them, such as ``area > 100 and not at border``: which rows match.

Comparisons of columns with numbers, joined by ``and``, ``or``, ``not`` and brackets; nothing is
evaluated as a program. Knows columns, no widgets.
"""

from __future__ import annotations

import operator
import re
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from seamlabel.napari.result.table_columns import Column

COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    "≤": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "≥": operator.ge,
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    "≠": operator.ne,
}
LONGEST, DEEPEST = 1000, 30
"""Letters, and brackets in brackets, of a filter."""
_PARTS = re.compile(
    r"(?P<number>(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)(?![\w.])|(?P<compare><=|>=|==|!=|[<>=≤≥≠])|(?P<bracket>[()])"
    r"|(?P<sign>-)|(?P<word>and|or|not|yes|no|true|false)\b|(?P<logic>[&|!])",
    re.IGNORECASE,
)
_LOGIC = {"&": "and", "|": "or", "!": "not"}
_FLAGS = {"yes": True, "true": True, "no": False, "false": False}


class FilterError(ValueError):
    """A filter that is not understood; the message says why."""


def matches(text: str, columns: Sequence[Column]) -> NDArray[np.bool_] | None:
    """Return which rows match a filter, None for all.

    Parameters
    ----------
    text : str
        The filter; an empty one matches all.
    columns : sequence of Column
        The table.

    Raises
    ------
    FilterError
        If it is not understood.
    """
    if not text.strip():
        return None
    if len(text) > LONGEST:
        msg = f"The filter is longer than {LONGEST:,} letters"
        raise FilterError(msg)
    reader = _Reader(_split(text, columns))
    with np.errstate(invalid="ignore"):
        found = reader.either()
    if reader.now is not None:
        msg = f"'{reader.now[1]}' is not expected here"
        raise FilterError(msg)
    return found


_Part = tuple[str, Any]
"""Kind and value: a number, a column, a comparison, a word or a bracket."""


def _split(text: str, columns: Sequence[Column]) -> list[_Part]:
    """Return the parts of a filter."""
    known: dict[str, Column] = {}
    for column in columns:
        for word in column.words:
            known.setdefault(word.replace("_", " "), column)
    by_length = sorted(known, key=len, reverse=True)
    names = "|".join(re.escape(name).replace(r"\ ", "[ _]+") for name in by_length)
    name_form = re.compile(rf"(?:{names})(?!\w)", re.IGNORECASE)
    parts: list[_Part] = []
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        if found := name_form.match(text, at):
            word = " ".join(found.group().replace("_", " ").split()).lower()
            parts.append(("column", known[word]))
        elif found := _PARTS.match(text, at):
            parts.append(_part(found))
        else:
            raise FilterError(_unknown(text[at:], columns))
        at = found.end()
    return parts


def _part(found: re.Match[str]) -> _Part:
    kind, value = str(found.lastgroup), found.group().lower()
    if kind == "number":
        return kind, float(value) if re.search(r"[.e]", value) else int(value)
    if value in _FLAGS:
        return "number", _FLAGS[value]
    return ("word", _LOGIC.get(value, value)) if kind == "logic" else (kind, value)


def _unknown(rest: str, columns: Sequence[Column]) -> str:
    word = re.match(r"\w*", rest)
    named = ", ".join(dict.fromkeys(column.words[0] for column in columns))
    return f"'{word.group() if word and word.group() else rest[0]}' is not understood. Columns: {named}"


class _Reader:
    """Reads parts from left to right; every method takes what it names and returns what matches."""

    def __init__(self, parts: list[_Part]) -> None:
        self._parts, self._at, self._depth = parts, 0, 0

    @property
    def now(self) -> _Part | None:
        """The next part; None at the end."""
        return self._parts[self._at] if self._at < len(self._parts) else None

    def _takes(self, kind: str, value: str | None = None) -> Any:
        """Take the next part if it is this one; return its value, else None."""
        part = self.now
        if part is None or part[0] != kind or value not in (None, part[1]):
            return None
        self._at += 1
        return part[1]

    def either(self) -> NDArray[np.bool_]:
        """Take what is joined by ``or``."""
        found = self._both()
        while self._takes("word", "or"):
            found = found | self._both()
        return found

    def _both(self) -> NDArray[np.bool_]:
        found = self._one()
        while self._takes("word", "and"):
            found = found & self._one()
        return found

    def _one(self) -> NDArray[np.bool_]:
        inverted = False
        while self._takes("word", "not"):
            inverted = not inverted
        if self._takes("bracket", "("):
            self._depth += 1
            if self._depth > DEEPEST:
                msg = "There are too many brackets in brackets"
                raise FilterError(msg)
            found = self.either()
            self._depth -= 1
            if not self._takes("bracket", ")"):
                msg = "A bracket is not closed"
                raise FilterError(msg)
        else:
            found = self._comparison()
        return ~found if inverted else found

    def _comparison(self) -> NDArray[np.bool_]:
        """Take ``area > 5``, ``5 < area < 9``, or a column of yes and no."""
        title, left = self._value()
        found: NDArray[np.bool_] | None = None
        while compare := self._takes("compare"):
            _, right = self._value()
            one = np.asarray(COMPARE[compare](left, right))
            found = one if found is None else found & one
            left = right
        if found is None:
            if not (isinstance(left, np.ndarray) and left.dtype.kind == "b"):
                msg = f"Compare {title} with a number, such as {title} > 100"
                raise FilterError(msg)
            return left
        if found.ndim == 0:
            msg = "A column is missing, such as area > 100"
            raise FilterError(msg)
        return found

    def _value(self) -> tuple[str, Any]:
        """Take a number or a column."""
        sign = -1 if self._takes("sign") else 1
        value = self._takes("number")
        if value is not None:
            return str(value), sign * value
        column = self._takes("column") if sign == 1 else None
        if column is None:
            there = f"'{self.now[1]}' is not expected here" if self.now and self.now[0] != "column" else ""
            raise FilterError(there or "The filter is not finished, such as area > 100")
        return column.words[0], column.values
