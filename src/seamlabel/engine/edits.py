"""What somebody decides by hand: objects joined, cut apart or removed, named by places in the image.

Only reading and writing of them; which labels they mean is found by `locate`.
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seamlabel.errors import OutputError, Problem, SpecError
from seamlabel.io.ngff.strict import MOST_BYTES
from seamlabel.io.regular import Irregular, read_regular

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

POINTS = {"join": 2, "cut": 2, "remove": 1}
"""Kinds of edits, and how many points each has."""
EDITS = "edits.json"


@dataclass(frozen=True)
class Edit:
    """One decision.

    Parameters
    ----------
    kind : {"join", "cut", "remove"}
        Two objects are one; are not; or an object is no object.
    points : tuple of tuple of int
        A voxel in each object, at the level that was segmented, over the axes of the labels.
    """

    kind: str
    points: tuple[tuple[int, ...], ...]

    def __str__(self) -> str:
        """Return the edit as it is typed: ``cut 10,20:10,35``."""
        return f"{self.kind} {':'.join(','.join(map(str, point)) for point in self.points)}"


def make_edits(join: Iterable[Any] = (), cut: Iterable[Any] = (), remove: Iterable[Any] = ()) -> list[Edit]:
    """Return edits made of points as Python users have them.

    Parameters
    ----------
    join, cut : iterable of pairs of points
        ``[((y, x), (y, x)), ...]``
    remove : iterable of points
        ``[(y, x), ...]``

    Raises
    ------
    SpecError
        If something is no point.
    """
    edits = [
        _edit(kind, pair) for kind, all_of in (("join", join), ("cut", cut)) for pair in _all(kind, all_of)
    ]
    return edits + [_edit("remove", [point]) for point in _all("remove", remove)]


def _all(kind: str, given: Iterable[Any]) -> list[Any]:
    try:
        return list(given)
    except TypeError:
        fix = f"Give a list, such as {'[(10, 20)]' if POINTS[kind] == 1 else '[((10, 20), (10, 35))]'}"
        raise SpecError([Problem(kind, f"{given!r} is no list", fix)]) from None


def typed_edit(kind: str, text: str) -> Edit:
    """Return an edit from ``"y,x:y,x"``, or ``"y,x"`` where one point is enough.

    Raises
    ------
    SpecError
        If the text is something else.
    """
    return _edit(kind, [part.split(",") for part in text.split(":")])


def _edit(kind: str, points: Any) -> Edit:
    example = ":".join(["10,20", "10,35"][: POINTS.get(kind, 2)])
    if kind not in POINTS:
        raise SpecError([Problem("edits", f"{kind!r} is unknown", f"Use {', '.join(POINTS)}")])
    try:
        found = tuple(tuple(_whole(number) for number in point) for point in points)
    except (TypeError, ValueError, OverflowError):
        found = ()
    if len(found) != POINTS[kind]:
        count = "two points" if POINTS[kind] == 2 else "one point"
        message = f"{_shown(points)} is not {count}"
        raise SpecError([Problem(kind, message, f"Give whole numbers of voxels, such as {example}")])
    return Edit(kind, found)


def _shown(points: Any) -> str:
    """Return points as they are typed, if they look like some."""
    try:
        return ":".join(",".join("" if n is None else str(n) for n in point) for point in points)
    except TypeError:
        return repr(points)


def _whole(number: Any) -> int:
    if isinstance(number, str):
        return int(number)
    if number != int(number):
        raise ValueError
    return int(number)


def read_edits(path: Path, axes: Sequence[str]) -> list[Edit]:
    """Read edits from a file: CSV with a column ``kind`` and points, or JSON.

    Parameters
    ----------
    path : Path
        CSV with the columns ``kind, y1, x1, y2, x2`` (with ``z``, ``t`` where labels have them; the
        second point is empty for ``remove``), or JSON as a run directory holds it.
    axes : sequence of str
        Names of the axes of the labels.

    Raises
    ------
    SpecError
        If the file cannot be read, naming the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise SpecError(
            [Problem("edits", f"cannot read {path}: {reason}", "Give a table of edits")]
        ) from None
    return from_json(text) if text.lstrip().startswith("[") else _from_csv(text, axes)


def _from_csv(text: str, axes: Sequence[str]) -> list[Edit]:
    head = text.partition("\n")[0]
    mark = max(",;\t", key=head.count)  # as spreadsheets of many languages write it
    table = csv.DictReader(io.StringIO(text), skipinitialspace=True, delimiter=mark)
    columns = [[f"{axis}{number}" for axis in axes] for number in (1, 2)]
    missing = {"kind", *columns[0], *columns[1]} - {*(table.fieldnames or ())}
    if missing - {*columns[1]} or (missing and missing != {*columns[1]}):
        fix = f"Begin with {','.join(['kind', *columns[0], *columns[1]])}"
        raise SpecError([Problem("edits", f"there is no column {', '.join(sorted(missing))}", fix)])
    found, problems = [], []
    for row in table:
        kind = (row["kind"] or "").strip()
        wanted = columns[: POINTS.get(kind, 2)]
        try:
            found.append(_edit(kind, [[row.get(name) for name in names] for names in wanted]))
        except SpecError as error:
            problems += [Problem(f"edits, line {table.line_num}", p.message, p.fix) for p in error.problems]
    if problems:
        raise SpecError(problems)
    return found


def edits_of(run_dir: Path) -> list[Edit]:
    """Return the edits that a run directory keeps.

    Raises
    ------
    SpecError, OutputError
        If they cannot be read.
    """
    try:
        return from_json(read_regular(run_dir / EDITS, MOST_BYTES).decode())
    except FileNotFoundError:
        return []
    except (Irregular, UnicodeDecodeError) as error:
        raise OutputError(f"{run_dir / EDITS} cannot be read: {error}", "Forget the edits") from None


def to_json(edits: Iterable[Edit]) -> str:
    """Return edits as JSON text."""
    lines = [json.dumps({"kind": edit.kind, "points": edit.points}) for edit in edits]
    return "[\n" + ",\n".join(lines) + "\n]\n"


def from_json(text: str) -> list[Edit]:
    """Read what `to_json` returned.

    Raises
    ------
    SpecError
        If it is something else.
    """
    try:
        return [_edit(item["kind"], item["points"]) for item in json.loads(text)]
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        if isinstance(error, SpecError):
            raise
        fix = 'Give a list such as [{"kind": "cut", "points": [[10, 20], [10, 35]]}]'
        raise SpecError([Problem("edits", f"not a list of edits: {error}", fix)]) from None
