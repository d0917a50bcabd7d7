"""The command line: arguments in, exit code out, errors in one line and a hint.

Exit codes: 0 done, 1 failed, 2 wrong arguments, 3 some tiles failed, 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from typing import TYPE_CHECKING

from seamlabel import (
    blend_command,
    commands,
    convert_command,
    export_command,
    info_command,
    measuring,
    merge_command,
    overlap_command,
)
from seamlabel.errors import IncompleteError, Problem, SeamlabelError, SpecError
from seamlabel.spec import RunSpec
from seamlabel.steps import STEPS

if TYPE_CHECKING:
    from collections.abc import Sequence

DONE, FAILED, WRONG, INCOMPLETE, INTERRUPTED = 0, 1, 2, 3, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; those of the process by default.
    """
    args = _parser().parse_args(_values_joined(sys.argv[1:] if argv is None else argv))
    try:
        code: int = args.command(args)
    except SeamlabelError as error:
        if args.debug:
            raise
        return _explain(error, "--image" if hasattr(args, "run_dir") else "IMAGE")
    except KeyboardInterrupt:
        print("seamlabel: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        if args.debug:
            raise
        print(f"seamlabel: {error}", file=sys.stderr)
        return FAILED
    return code


def _values_joined(argv: Sequence[str]) -> list[str]:
    """Return arguments with values such as ``-1,20``, which look like options, joined to theirs."""
    joined: list[str] = []
    for arg in argv:
        option = bool(joined) and re.fullmatch(r"--[a-z-]+", joined[-1]) is not None
        if option and re.match(r"-\d", arg):
            joined[-1] += f"={arg}"
        else:
            joined.append(arg)
    return joined


def _explain(error: SeamlabelError, image: str) -> int:
    """Print what is wrong and return the exit code; `image` is how this command is given one."""
    if isinstance(error, SpecError):
        for problem in error.problems:
            print(f"seamlabel: {_as_typed(problem, image)}", file=sys.stderr)
        return WRONG
    print(f"seamlabel: {error}", file=sys.stderr)
    if error.hint:
        print(f"  {error.hint}", file=sys.stderr)
    return INCOMPLETE if isinstance(error, IncompleteError) else FAILED


def _as_typed(problem: Problem, image: str) -> Problem:
    """Return a problem in the words of the command line."""
    field = problem.field
    option = {**_OPTIONS, "image": image}.get(field, f"--{field.split('.')[-1].replace('_', '-')}")
    if field.startswith("params."):
        option = f"--set {field.removeprefix('params.')}"
    known = field in _OPTIONS or "." in field or field in RunSpec.model_fields
    fix = problem.fix.replace("choose to overwrite them", "--overwrite")
    return Problem(option if known else field, problem.message, fix)


def _parser() -> argparse.ArgumentParser:
    from seamlabel import __version__

    parser = argparse.ArgumentParser(
        prog="seamlabel", description="Segment images far larger than memory, and get labels without seams."
    )
    parser.add_argument("--version", action="version", version=f"seamlabel {__version__}")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    subs = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_sample(subs)
    info_command.add_commands(subs)
    _add_backends(subs)
    _add_segment(subs)
    _add_resume(subs)
    _add_merge(subs)
    measuring.add_command(subs)
    overlap_command.add_command(subs)
    blend_command.add_command(subs)
    convert_command.add_command(subs)
    export_command.add_command(subs)
    _add_view(subs)
    _add_demo(subs)
    for sub in subs.choices.values():
        sub.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help="show tracebacks")
    return parser


_OPTIONS = {"tile_shape": "--tile", "merge.rule": "--merge", "again": "--again"}
_OPTIONS |= {
    name: f"--{name.replace('_', '-')}" for name in (*convert_command.OPTIONS, *blend_command.OPTIONS)
}
_Subs = "argparse._SubParsersAction[argparse.ArgumentParser]"


def _add_sample(subs: _Subs) -> None:  # type: ignore[valid-type]
    add = subs.add_parser("sample", help="make a sample OME-Zarr")  # type: ignore[attr-defined]
    add.add_argument("out", metavar="OUT.zarr")
    add.add_argument("--shape", metavar="[Z,]Y,X", help="4096,4096; three numbers for tissue3d")
    add.add_argument("--cells", choices=["dense", "sparse", "tissue3d"], default="dense")
    add.add_argument("--seed", type=int, default=0, help="another seed, other cells")
    add.add_argument("--overwrite", action="store_true", help="replace what is there")
    add.set_defaults(command=commands.sample)


def _add_backends(subs: _Subs) -> None:  # type: ignore[valid-type]
    add = subs.add_parser("backends", help="ways to segment, and their parameters")  # type: ignore[attr-defined]
    add.add_argument("name", nargs="?", metavar="NAME", help="of one, or FILE.py:FUNCTION of your own")
    add.set_defaults(command=commands.backends)


def _add_segment(subs: _Subs) -> None:  # type: ignore[valid-type]
    add = subs.add_parser("segment", help="segment an image tile by tile")  # type: ignore[attr-defined]
    add.add_argument(
        "image", nargs="?", metavar="IMAGE", help="an OME-Zarr; with --output also TIFF, HDF5, …"
    )
    add.add_argument("--spec", metavar="RUN.json", help="a run file; other options change it")
    overlap_command.add_method(add)
    _add_objects(add)
    tiles = add.add_argument_group("tiles")
    tiles.add_argument("--tile", metavar="N", help="1024, or 32,1024,1024, or auto")
    tiles.add_argument("--overlap", metavar="N", help="32, or 4,32,32, or y=32,x=32, or auto, or measure")
    tiles.add_argument("--merge", metavar="RULE", help="iou (default), touching, face, or file.py:function")
    tiles.add_argument("--iou", type=float, metavar="X", help="least overlap of one object, 0 to 1")
    tiles.add_argument("--z-link", type=float, metavar="X", help="of one object in two planes; default: none")
    tiles.add_argument(
        "--connectivity", type=int, metavar="N", help="for touching: 1 faces, 2 edges, 3 corners"
    )
    _add_skipping(add)
    out = add.add_argument_group("output")
    out.add_argument("--name", metavar="NAME", help="of the labels; default labels")
    out.add_argument("--output", metavar="PATH", help="an OME-Zarr of its own for the labels")
    out.add_argument("--table", metavar="PATH", help="a table of all objects too: .csv or .parquet")
    out.add_argument("--overwrite", action="store_true", default=None, help="replace labels of that name")
    how = add.add_argument_group("how")
    _add_workers(how)
    how.add_argument(
        "--restart", action="store_true", help="start over where a run of that name is unfinished"
    )
    how.add_argument("--plan", action="store_true", help="only show what would be done")
    how.add_argument("--keep", action="store_true", help="keep the tiles, for 'seamlabel merge'")
    how.add_argument("--save-spec", metavar="RUN.json", help="save the run file, for --spec")
    how.add_argument("--json", action="store_true", help="events as JSON lines")
    how.add_argument("--quiet", action="store_true", help="no progress")
    add.set_defaults(command=commands.segment)


def _add_workers(how: argparse._ArgumentGroup) -> None:
    how.add_argument("--executor", metavar="KIND", help="auto, serial, threads, processes or dask")
    how.add_argument("--scheduler", metavar="ADDRESS", help="for dask: tcp://host:8786")
    how.add_argument("--workers", type=int, metavar="N", help="tiles at once")
    how.add_argument("--retries", type=int, metavar="N", help="how often a failing tile is tried again")
    how.add_argument("--timeout", type=float, metavar="S", help="seconds that a tile may take")


def _add_resume(subs: _Subs) -> None:  # type: ignore[valid-type]
    add = subs.add_parser("resume", help="go on with a run that did not reach its end")  # type: ignore[attr-defined]
    add.add_argument("run_dir", metavar="RUN_DIR", help="'seamlabel info IMAGE' tells")
    add.add_argument("--retry-failed", action="store_true", help="segment tiles that failed, too")
    add.add_argument("--image", metavar="PATH", help="where the image is, if it is elsewhere now")
    add.add_argument("--accept-changes", action="store_true", help="though the method's code changed since")
    add.add_argument("--overwrite", action="store_true", help="replace labels of that name")
    how = add.add_argument_group("how", "as in the run where not given")
    _add_workers(how)
    how.add_argument("--json", action="store_true", help="events as JSON lines")
    how.add_argument("--quiet", action="store_true", help="no progress")
    add.set_defaults(command=merge_command.resume)


def _add_objects(add: argparse.ArgumentParser) -> None:
    objects = add.add_argument_group("objects")
    what = f"done to labels after the method, in this order: {', '.join(STEPS)}; voxels, or 1.5um"
    objects.add_argument("--steps", metavar="NAME=LENGTH,…", help=what)
    objects.add_argument("--min-size", metavar="N", help='remove smaller ones; voxels, or "50 um2"')
    objects.add_argument("--max-size", metavar="N", help='remove larger ones; voxels, or "0.2 mm3"')
    objects.add_argument(
        "--drop-border", action="store_true", default=None, help="remove those at the image's border"
    )
    objects.add_argument("--fill-holes", action="store_true", default=None, help="fill what one encloses")


def _add_skipping(add: argparse.ArgumentParser) -> None:
    tiles = add.add_argument_group("parts of the image")
    tiles.add_argument(
        "--region", action="append", metavar="A:B,C:D", help="only there; repeat for more boxes"
    )
    tiles.add_argument("--skip-empty", metavar="X", help="skip: nothing above X, or otsu, or in mask X.zarr")
    tiles.add_argument("--skip-level", type=int, metavar="N", help="judged by that level, without reading")


def _add_merge(subs: _Subs) -> None:  # type: ignore[valid-type]
    add = subs.add_parser("merge", help="merge the tiles of a kept run again")  # type: ignore[attr-defined]
    add.add_argument("run_dir", metavar="RUN_DIR", help="of 'seamlabel segment IMAGE --keep'")
    how = add.add_argument_group("settings", "those of the run where not given")
    how.add_argument("--iou", type=float, metavar="X", help="least overlap of one object, 0 to 1")
    how.add_argument("--merge", metavar="RULE", help="iou, or file.py:function")
    how.add_argument("--z-link", type=float, metavar="X", help="of one object in two planes")
    how.add_argument("--min-size", metavar="N", help='remove smaller objects; voxels, or "50 um2"')
    how.add_argument("--max-size", metavar="N", help='remove larger ones; voxels, or "0.2 mm3"')
    how.add_argument("--drop-border", action=argparse.BooleanOptionalAction, help="at the image's border")
    by_hand = add.add_argument_group("edits", "kept in RUN_DIR; points are voxels, as often as wanted")
    by_hand.add_argument("--join", action="append", metavar="Y,X:Y,X", help="two objects are one")
    by_hand.add_argument("--cut", action="append", metavar="Y,X:Y,X", help="two objects are not one")
    by_hand.add_argument("--remove", action="append", metavar="Y,X", help="remove an object")
    by_hand.add_argument("--edits", metavar="FILE", help="a table: kind,y1,x1,y2,x2; or JSON")
    by_hand.add_argument("--no-edits", action="store_true", help="forget those made before")
    tiles = add.add_argument_group("tiles")
    tiles.add_argument(
        "--again", metavar="N,N", help="segment these again first; or missing, all that failed"
    )
    tiles.add_argument("--image", metavar="PATH", help="where the image is, if it is elsewhere now")
    out = add.add_argument_group("output")
    out.add_argument("--name", metavar="NAME", help="of the labels; default: replace those of the run")
    out.add_argument("--output", metavar="PATH", help="an OME-Zarr of its own for the labels")
    out.add_argument("--overwrite", action="store_true", help="replace labels of another --name or --output")
    out.add_argument("--table", metavar="PATH", help="a table of all objects too: .csv or .parquet")
    out.add_argument("--json", action="store_true", help="events as JSON lines")
    out.add_argument("--quiet", action="store_true", help="no progress")
    add.set_defaults(command=merge_command.merge)


def _add_view(subs: _Subs) -> None:  # type: ignore[valid-type]
    add = subs.add_parser("view", help="open in napari, with labels and the dock widget")  # type: ignore[attr-defined]
    add.add_argument("image", metavar="IMAGE")
    add.set_defaults(command=commands.view)


def _add_demo(subs: _Subs) -> None:  # type: ignore[valid-type]
    add = subs.add_parser("demo", help="the main job on a sample")  # type: ignore[attr-defined]
    add.add_argument(
        "--out", metavar="DIR", default="demo", help="where to; default ./demo, made anew each time"
    )
    add.add_argument("--shape", metavar="Y,X", default="4096,4096")
    add.add_argument("--show", action="store_true", help="open the result in napari")
    add.set_defaults(command=commands.demo)


if __name__ == "__main__":
    sys.exit(main())
