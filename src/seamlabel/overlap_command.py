"""The command ``seamlabel measure-overlap``, and the options that name a method."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from seamlabel import commands
from seamlabel.spec import RunSpec

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable


def add_method(add: ArgumentParser, usual: str = "threshold", gives: str = "labels") -> None:
    """Add the options that name a method and what of the image it gets."""
    method = add.add_argument_group("method")
    method.add_argument("--backend", metavar="NAME", help=f"see 'seamlabel backends'; default {usual}")
    method.add_argument(
        "--set", action="append", metavar="K=V", help="a parameter of the backend, or of your function"
    )
    method.add_argument("--function", metavar="FILE.py:FN", help=f"your own fn(tile) -> {gives}")
    method.add_argument("--level", type=int, metavar="N", help="resolution level, 0 = full")
    method.add_argument("--channels", metavar="A,B", help="names or numbers")
    method.add_argument("--axes", metavar="ZYX", help="of a file that does not say them, as they lie in it")
    method.add_argument("--planes", action="store_true", default=None, help="plane by plane across z, in 2D")


def add_command(subs: Any) -> None:
    """Add the command to those of the command line."""
    about = "how much overlap and alignment a method needs on an image, and whether any overlap will do"
    add = subs.add_parser("measure-overlap", help="how much overlap a method needs", description=about)
    add.add_argument("image", metavar="IMAGE", help="an OME-Zarr, TIFF, HDF5, …")
    add_method(add)
    how = add.add_argument_group("how")
    how.add_argument("--places", type=int, metavar="N", default=4, help="places to look at; default 4")
    how.add_argument("--seconds", type=float, metavar="S", default=60.0, help="time it may take; default 60")
    how.add_argument("--json", action="store_true", help="all that was found, as JSON")
    how.add_argument("--quiet", action="store_true", help="no progress")
    add.set_defaults(command=command)


def command(args: Namespace) -> int:
    """Measure, and print what the method needs and how to run it so."""
    from seamlabel.overlap_needs import measured

    chosen = {"level": args.level, "planes": args.planes, "axes": args.axes}
    fields = {name: value for name, value in chosen.items() if value is not None}
    if args.channels:
        fields["channels"] = commands.channels(args.channels)
    spec = RunSpec(**commands.method_fields(args, {}), **fields)
    tell = None if args.quiet or args.json or not sys.stderr.isatty() else _progress()
    found = measured(spec, args.image, places=args.places, seconds=args.seconds, on_progress=tell)
    if args.json:
        print(found.to_json())
        return 0
    print(found.summary())
    if not found.normalises_per_tile:
        print(f"Run with   --overlap {found.option}")
    return 0


def _progress() -> Callable[[int, int], None]:
    """Return what shows how much is done, in one line of a terminal."""

    def tell(done: int, total: int) -> None:
        end = "\r" if done < total else "\r\033[K"
        print(f"measuring {done * 100 // total:3} %", end=end, file=sys.stderr, flush=True)

    return tell
