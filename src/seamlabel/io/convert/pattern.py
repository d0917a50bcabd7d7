"""File names by pattern: which planes a folder holds, in numeric order, and what is missing.

Knows names only, opens no file.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import islice, pairwise, product
from math import gcd, prod
from typing import TYPE_CHECKING

from seamlabel.errors import ImageError, Problem, SpecError

if TYPE_CHECKING:
    from pathlib import Path

GAPS = ("error", "fill", "close-up")
"""What to do about missing planes: refuse, planes of zeros, or move the others together."""
FIELDS = ("t", "c", "z")
STACK = "stack"
MOST_PLANES = 1 << 22
_FIELD = re.compile(r"\{([^{}]*)\}")
_NUMBERS = re.compile(r"\d+")
_WORD = re.compile(r"[A-Za-z]*$")
_CALLED = {
    **dict.fromkeys(("t", "tp", "time", "frame"), "t"),
    **dict.fromkeys(("c", "ch", "channel", "w"), "c"),
    **dict.fromkeys(("z", "slice", "plane"), "z"),
}
"""Axes of numbers by the word before them, for suggestions."""


@dataclass(frozen=True)
class Planes:
    """The files of one stack.

    Parameters
    ----------
    axes : str
        Axes along which files lie, of ``tcz``.
    shape : tuple of int
        Files along each.
    files : tuple of str or None
        In C order, relative to the folder; None for those that are missing and become zeros.
    names : tuple of str
        Of the channels, where they are words; else empty.
    missing : tuple of str
        What is missing, in words.
    """

    axes: str
    shape: tuple[int, ...]
    files: tuple[str | None, ...]
    names: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def stacks(folder: Path, pattern: str) -> dict[str, dict[tuple[str, ...], str]]:
    """Return the files that fit a pattern: by stack, then by the values of its other fields.

    Parameters
    ----------
    folder : Path
        Where to look; a pattern with ``/`` looks into folders below.
    pattern : str
        A name such as ``img_t{t}_z{z}_c{c}.tif``; ``*`` is anything, ``{stack}`` the name of a stack.

    Raises
    ------
    SpecError
        If the pattern is none.
    ImageError
        If no file fits it, or two are the same plane.
    """
    expression, fields = compiled(pattern)
    found: dict[str, dict[tuple[str, ...], str]] = {}
    for path in sorted(folder.glob("/".join(["*"] * (pattern.count("/") + 1)))):
        name = path.relative_to(folder).as_posix()
        match = expression.fullmatch(name)
        if match is None or not path.is_file():
            continue
        values = match.groupdict()
        key = tuple(_value(values[field]) for field in fields if field != STACK)
        other = found.setdefault(values.get(STACK, ""), {}).setdefault(key, name)
        if other != name:
            msg = f"{other} and {name} in {folder} are the same plane by the pattern {pattern!r}"
            raise ImageError(msg, "Write out what tells them apart in place of *, or name it {stack}")
    if not found:
        raise ImageError(f"no file in {folder} fits the pattern {pattern!r}", _suggestion(folder))
    return found


def compiled(pattern: str) -> tuple[re.Pattern[str], tuple[str, ...]]:
    """Return the expression of a pattern, and the names of its fields.

    Raises
    ------
    SpecError
        If it has no fields, or others than t, c, z and stack, or one twice.
    """
    fields = tuple(_FIELD.findall(pattern))
    wrong = [name for name in fields if name not in (*FIELDS, STACK)]
    twice = [name for name, count in Counter(fields).items() if count > 1]
    if wrong or twice or not fields:
        what = f"has {{{(wrong + twice)[0]}}}" if wrong or twice else "has no field"
        fix = "Use {t}, {c}, {z} for numbers that count up and {stack} for names, each at most once"
        raise SpecError([Problem("pattern", f"{pattern!r} {what}", fix)])
    parts = _FIELD.split(pattern)
    kinds = {"t": r"\d+", "z": r"\d+", "c": r"[^/._\\]+?", STACK: r"[^/\\]+?"}
    text = ""
    for number, part in enumerate(parts):
        text += f"(?P<{part}>{kinds[part]})" if number % 2 else re.escape(part).replace(r"\*", r"[^/\\]*")
    return re.compile(text), fields


def _value(text: str) -> str:
    return str(int(text)) if text.isdecimal() else text


def planes(found: dict[tuple[str, ...], str], fields: tuple[str, ...], gaps: str) -> Planes:
    """Return the files of a stack in the order of axes, gaps treated as asked for.

    Parameters
    ----------
    found : dict
        A file for each tuple of values.
    fields : tuple of str
        What the values are, without ``stack``.
    gaps : str
        One of `GAPS`.

    Raises
    ------
    ImageError
        If planes are missing and that cannot be mended as asked for.
    """
    order = [fields.index(field) for field in FIELDS if field in fields]
    table = {tuple(key[i] for i in order): file for key, file in found.items()}
    axes = "".join(fields[i] for i in order)
    along = [_along({key[i] for key in table}, gaps) for i in range(len(order))]
    count = prod(map(len, along))
    if count > MOST_PLANES:
        msg = f"{len(table):,} files of {count:,} planes: their numbers lie far apart"
        raise ImageError(msg, "Move the planes together: --gaps close-up")
    missing = [key for key in product(*along) if key not in table] if count > len(table) else []
    words = tuple(_words(key, axes) for key in missing[:10])
    if len(missing) > 10:
        words += (f"and {len(missing) - 10:,} more",)
    if missing and gaps != "fill":
        what = "have no file" if gaps == "error" else "are missing in a part of the stack only"
        fix = "--gaps fill makes planes of zeros of them" + "; --gaps close-up leaves them out" * (
            gaps == "error"
        )
        raise ImageError(f"{len(missing):,} of {count:,} planes {what}: {'; '.join(words)}", fix)
    number = axes.find("c")
    names = tuple(along[number]) if number >= 0 and not all(v.isdecimal() for v in along[number]) else ()
    files = tuple(table.get(key) for key in product(*along))
    return Planes(axes, tuple(map(len, along)), files, names, words)


def _along(values: set[str], gaps: str) -> list[str]:
    """Return the values of a field in their order, those missing between them too."""
    if not all(value.isdecimal() for value in values):
        return sorted(values, key=natural)
    numbers = sorted(map(int, values))
    steps = [b - a for a, b in pairwise(numbers)]
    if gaps == "close-up" or not steps:
        return list(map(str, numbers))
    step = gcd(*steps)
    if (numbers[-1] - numbers[0]) // step >= MOST_PLANES:
        msg = f"numbers from {numbers[0]} to {numbers[-1]} in steps of {step} are too many planes"
        raise ImageError(msg, "Move the planes together: --gaps close-up")
    return list(map(str, range(numbers[0], numbers[-1] + 1, step)))


def natural(text: str) -> list[tuple[int, str]]:
    """Return what text sorts by so that 2 comes before 10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", text)]


def _words(key: tuple[str, ...], axes: str) -> str:
    return " ".join(f"{axis}={value}" for axis, value in zip(axes, key, strict=True))


def _suggestion(folder: Path) -> str:
    """Return a pattern that files of a folder would fit."""
    names = sorted((p.name for p in islice(folder.iterdir(), 10_000) if p.is_file()), key=natural)
    if not names:
        return "Give another folder"
    first = names[0]
    like = [name for name in names if _NUMBERS.sub("#", name) == _NUMBERS.sub("#", first)]
    columns = zip(*map(_NUMBERS.findall, like), strict=True)
    numbers = [m for m, c in zip(_NUMBERS.finditer(first), columns, strict=True) if len(set(c)) > 1]
    called = [_CALLED.get(_WORD.findall(first[: match.start()])[0].lower()) for match in numbers]
    free = [letter for letter in "ztc" if letter not in called]
    text = first
    for match, letter in reversed(list(zip(numbers, called, strict=True))):
        use = letter if letter and called.count(letter) == 1 else free.pop(0) if free else STACK
        text = f"{text[: match.start()]}{{{use}}}{text[match.end() :]}"
    if not numbers:
        return f"Its first file is {first}"
    return f'Its first file is {first}: perhaps --pattern "{text}"'


def suggestion(folder: Path) -> str:
    """Return what to do about a folder given without a pattern."""
    return f"Say which planes it holds, in {{t}}, {{c}}, {{z}}. {_suggestion(folder)}"
