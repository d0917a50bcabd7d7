"""The command ``seamlabel export``: labels written as TIFF."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seamlabel.convert_command import Progress

if TYPE_CHECKING:
    from argparse import Namespace


def add_command(subs: Any) -> None:
    """Add the command to those of the command line."""
    about = (
        "Write labels as OME-TIFF (BigTIFF where they are large), in tiles, compressed, with scale and units."
    )
    add = subs.add_parser("export", help="write labels as TIFF", description=about)
    add.add_argument("labels", metavar="LABELS", help="such as IMAGE.zarr/labels/NAME")
    add.add_argument("out", metavar="OUT.tif")
    add.add_argument("--level", type=int, metavar="N", default=0, help="resolution level, 0 = full")
    add.add_argument("--overwrite", action="store_true", help="replace a file of that name")
    add.add_argument("--quiet", action="store_true", help="no progress")
    add.set_defaults(command=command)


def command(args: Namespace) -> int:
    """Export, and say where to."""
    from seamlabel.io.export import export_labels

    tell = None if args.quiet else Progress("Exporting")
    options: dict[str, Any] = {"level": args.level, "overwrite": args.overwrite}
    try:
        print(export_labels(args.labels, args.out, **options, on_progress=tell))
    finally:
        if tell:
            tell.close()
    return 0
