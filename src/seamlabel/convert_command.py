"""The command ``seamlabel convert``: its options, and what it says."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from seamlabel.errors import Problem, SpecError

if TYPE_CHECKING:
    from argparse import Namespace

    from seamlabel.io.convert.choice import Choice
    from seamlabel.io.convert.front import Form


OPTIONS = ("pattern", "gaps", "scale", "unit", "chunks", "shards", "levels", "ngff")
"""Names of what can be wrong with a request, that are options."""


def add_command(subs: Any) -> None:
    """Add the command to those of the command line."""
    about = "Make an OME-Zarr of an image. The same command goes on with a conversion that was cut short."
    add = subs.add_parser("convert", help="make an OME-Zarr of an image of any kind", description=about)
    add.add_argument("source", metavar="SRC", help="TIFF, numpy, HDF5, zarr, a folder of planes, …")
    add.add_argument("out", metavar="OUT.zarr")
    what = add.add_argument_group("source")
    what.add_argument("--pattern", metavar="NAME", help="of a folder: img_t{t}_z{z}_c{c}.tif; {stack}, * too")
    what.add_argument("--stack", metavar="NAME", help="which of several; all: each into OUT.zarr/NAME.zarr")
    what.add_argument("--gaps", metavar="HOW", default="error", help="missing planes: error, fill, close-up")
    what.add_argument("--axes", metavar="ZYX", help="letters of the axes as they lie in the file")
    what.add_argument("--series", type=int, metavar="N", help="which image of several in a file")
    what.add_argument("--dataset", metavar="PATH", help="which array of an HDF5 or .npz file")
    what.add_argument("--bioio", action="store_true", help="read with bioio, whatever it is")
    known = add.add_argument_group("calibration", "what the file says where not given")
    known.add_argument("--scale", metavar="z=2,y=0.5,x=0.5", help="size of a voxel")
    known.add_argument("--unit", metavar="UNIT", help="of the scale, such as micrometer; or t=s,z=nm")
    known.add_argument("--channels", metavar="A,B", help="names of the channels")
    out = add.add_argument_group("output")
    out.add_argument("--ngff", metavar="V", default="0.5", help="0.5 (default) or 0.4")
    out.add_argument("--chunks", metavar="[Z,]Y,X", help="voxels; or z=64,y=128,x=128")
    out.add_argument("--shards", metavar="[Z,]Y,X", help="voxels of the chunks that share a file")
    out.add_argument("--levels", type=int, metavar="N", help="default: until y and x are at most 512")
    out.add_argument("--overwrite", action="store_true", help="replace an image that is there")
    how = add.add_argument_group("how")
    how.add_argument("--workers", type=int, metavar="N", help="blocks at once; default: cores, 4 at most")
    how.add_argument("--dry-run", action="store_true", help="only tell what would be made")
    how.add_argument("--quiet", action="store_true", help="no progress")
    add.set_defaults(command=command)


def command(args: Namespace) -> int:
    """Convert, or tell what would be made."""
    from seamlabel.io.convert.choice import Choice
    from seamlabel.io.convert.front import Form, convert
    from seamlabel.io.convert.telling import shape_made

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what matters is raised
    choice = Choice(args.axes, args.series, args.dataset, args.gaps, args.bioio)
    form = Form(args.ngff, _sides("chunks", args.chunks), _sides("shards", args.shards), args.levels)
    known = {
        "scale": {axis: _number("scale", text) for axis, text in _named("scale", args.scale).items()},
        "unit": _named("unit", args.unit) if "=" in (args.unit or "") else args.unit,
        "channels": tuple(args.channels.split(",")) if args.channels else None,
    }
    if args.dry_run:
        return _tell(args, choice, form, known)
    tell = None if args.quiet else Progress("Converting")
    options: dict[str, Any] = {**vars(choice), **vars(form), **known}
    options |= {name: getattr(args, name) for name in ("pattern", "stack", "workers", "overwrite")}
    try:
        made = convert(args.source, args.out, **options, on_progress=tell)
    finally:
        if tell:
            tell.close()
    for path in made:
        print(f"{path}: {shape_made(path)}")
    return 0


def _tell(args: Namespace, choice: Choice, form: Form, known: dict[str, Any]) -> int:
    """Print what would be made."""
    from seamlabel.io.convert.front import prepare
    from seamlabel.io.convert.telling import summary

    said: Any = tuple(known.values())
    for job in prepare(args.source, args.out, choice, form, said, (args.pattern, args.stack)):
        print(summary(job))
        print(f"now      {_WORDS[job.check(overwrite=args.overwrite)]}")
    return 0


_WORDS = {
    "new": "nothing is there",
    "replace": "what is there is replaced",
    "resume": "goes on with what was cut short",
    "done": "is made already",
}


def _named(option: str, text: str | None) -> dict[str, str]:
    """Return values by axis, of ``z=2,y=0.5``."""
    parts = [part.partition("=") for part in text.split(",")] if text else []
    if any(not sign or not value for _, sign, value in parts):
        raise SpecError(
            [Problem(option, f"{text!r} names no axes", "Write axis=value, such as z=2,y=0.5,x=0.5")]
        )
    return {axis.strip(): value.strip() for axis, _, value in parts}


def _number(option: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise SpecError([Problem(option, f"{text!r} is no number", "Write z=2,y=0.5,x=0.5")]) from None


def _sides(option: str, text: str | None) -> Any:
    """Return voxels by axis, or in order."""
    if text is None:
        return None
    named = _named(option, text) if "=" in text else None
    try:
        if named is not None:
            return {axis: int(value) for axis, value in named.items()}
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        fix = "Write whole numbers, such as 64,128,128 or y=512,x=512"
        raise SpecError([Problem(option, f"{text!r} are no voxels", fix)]) from None


class Progress:
    """A bar on a terminal, a line every tenth part elsewhere.

    Parameters
    ----------
    title : str
        What is going on.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._bar: Any = None
        self._tenth = 0

    def __call__(self, done: int, total: int) -> None:
        """Show how many voxels are done."""
        if sys.stderr.isatty():
            if self._bar is None:
                self._bar = tqdm(
                    total=total, desc=self._title, unit="voxel", unit_scale=True, file=sys.stderr
                )
            self._bar.update(done - self._bar.n)
        elif done * 10 // total > self._tenth:
            self._tenth = done * 10 // total
            print(f"{self._title}: {self._tenth * 10} %", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Leave the terminal in order."""
        if self._bar is not None:
            self._bar.close()
