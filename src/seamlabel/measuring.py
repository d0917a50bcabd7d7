"""`measure` labels that are written already, in Python and as the command ``seamlabel measure``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.errors import Problem, SpecError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Sequence

    from seamlabel.axes import ImageInfo
    from seamlabel.engine.table import Table


def measure(
    image: str | os.PathLike[str],
    labels: str | os.PathLike[str],
    *,
    table: str | os.PathLike[str] | None = None,
    level: int = 0,
    channels: Sequence[int | str] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Table:
    """Measure every object of some labels, in memory for a few boxes and the table.

    Parameters
    ----------
    image : str or path
        The OME-Zarr.
    labels : str or path
        Name of labels in the image, or path of a label group of the same shape.
    table : str or path, optional
        Write the table there: ``.csv`` or ``.parquet``. A file of that name is replaced.
    level : int
        Resolution level that is measured, of both.
    channels : sequence of int or str, optional
        Which to measure, by index or name; all by default.
    on_progress : callable, optional
        Called with (boxes done, boxes), several times a second.

    Returns
    -------
    dict of str to 1-D ndarray
        As `result.table` of ``seamlabel.segment`` has it, but ``at_seam``: labels alone have no seams.

    Raises
    ------
    SpecError
        If there is no such level or channel.
    ImageError
        If image or labels cannot be read, or do not belong together.
    OutputError
        If the table cannot be written.
    """
    from seamlabel.engine.measuring import measure_labels
    from seamlabel.io.sources import image_info, open_source
    from seamlabel.io.tables import check_table, write_table

    if table is not None:
        check_table(Path(table))
    info = image_info(image)
    if not 0 <= level < len(info.levels):
        fix = f"Give one of 0 to {len(info.levels) - 1}"
        raise SpecError([Problem("level", f"the image has no level {level}", fix)])
    source = open_source(image, info, level, _channels(info, channels))
    work = measure_labels(_group(info, os.fspath(labels)), source)
    while True:
        try:
            told = next(work)
        except StopIteration as end:
            found: Table = end.value
            break
        if on_progress:
            on_progress(*told)
    if table is not None:
        write_table(Path(table), found)
    return found


def _group(info: ImageInfo, labels: str) -> str:
    return f"{info.path}/labels/{labels}" if labels in info.labels else os.path.expanduser(labels)


def _channels(info: ImageInfo, wanted: Sequence[int | str] | None) -> tuple[int, ...]:
    """Return indices of channels; none where the image has no such axis."""
    axis = info.channel_axis
    count = 0 if axis is None else info.shape[axis]
    names = {name: at for at, name in reversed(list(enumerate(info.channels)))}
    names |= {str(at): at for at in range(count) if str(at) not in names}
    if wanted is None:
        return tuple(range(count))
    unknown = [str(one) for one in wanted if str(one) not in names]
    if unknown:
        fix = f"Choose from {', '.join(names)}" if names else "Leave channels out, the image has one only"
        raise SpecError([Problem("channels", f"the image has no channel {', '.join(unknown)}", fix)])
    return tuple(dict.fromkeys(names[str(one)] for one in wanted))


def add_command(subs: Any) -> None:
    """Add the command to those of the command line."""
    add = subs.add_parser("measure", help="measure labels that are written already")
    add.add_argument("image", metavar="IMAGE")
    add.add_argument("labels", metavar="LABELS", help="their name in the image, or a path")
    add.add_argument("--table", metavar="PATH", help="write a table of all objects: .csv or .parquet")
    add.add_argument("--level", type=int, metavar="N", default=0, help="resolution level, 0 = full")
    add.add_argument("--channels", metavar="A,B", help="names or numbers; default: all")
    add.add_argument("--overwrite", action="store_true", help="replace a table of that name")
    add.set_defaults(command=command)


def command(args: Namespace) -> int:
    """Measure, and print what came out."""
    if args.table and Path(args.table).exists() and not args.overwrite:
        fix = "Give another name, or --overwrite"
        raise SpecError([Problem("table", f"{args.table} exists already", fix)])
    channels = args.channels.split(",") if args.channels else None
    table = measure(args.image, args.labels, table=args.table, level=args.level, channels=channels)
    count = len(table["id"])
    print(f"{count:,} object{'s' * (count != 1)}{f': {args.table}' if args.table else ''}")
    if count and not args.table:
        print("\n".join(_lines(table)))
        print("All of them: --table cells.csv")
    return 0


def _lines(table: Table) -> list[str]:
    """Return a line for every measurement: smallest, middle and largest value."""
    wanted = [name for name in table if not name.startswith(("id", "bbox_", "at_"))]
    width = max(map(len, wanted))
    lines = [f"{'':{width}} {'least':>12} {'median':>12} {'most':>12}"]
    for name in wanted:
        column = table[name]
        values = [np.nanmin(column), np.nanmedian(column), np.nanmax(column)]
        lines.append(f"{name:{width}} " + " ".join(f"{value:12.6g}" for value in values))
    return lines
