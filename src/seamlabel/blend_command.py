"""The command ``seamlabel blend``: predictions of an image, tile by tile, as one map."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from seamlabel import commands, context_option
from seamlabel.errors import Problem, SpecError
from seamlabel.overlap_command import add_method

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable

OPTIONS = ("align", "batch", "boundary", "context", "dtype", "edge", "outputs", "padding", "z_slices")
"""Names of what can be wrong with a request, that are options."""


def add_command(subs: Any) -> None:
    """Add the command to those of the command line."""
    about = "predict an image tile by tile, and blend the predictions into one map: an OME-Zarr of its own"
    add: ArgumentParser = subs.add_parser(
        "blend", help="predictions as a map, without seams", description=about
    )
    add.add_argument("image", metavar="IMAGE", help="an OME-Zarr, TIFF, HDF5, …")
    add.add_argument("out", metavar="OUT.zarr", help="the map; what was cut short goes on")
    add_method(add, usual="none", gives="values")
    _add_tiles(add)
    context_option.add_options(add)
    _add_map(add)
    run = add.add_argument_group("run")
    run.add_argument("--workers", type=int, metavar="N", help="tiles at once")
    run.add_argument("--batch", type=int, default=1, metavar="N", help="tiles that the model gets at once")
    run.add_argument(
        "--retries", type=int, default=1, metavar="N", help="how often a failing tile is tried again"
    )
    run.add_argument("--overwrite", action="store_true", help="replace what is there")
    run.add_argument("--quiet", action="store_true", help="no progress")
    add.set_defaults(command=command)


def _add_tiles(add: ArgumentParser) -> None:
    tiles = add.add_argument_group("tiles")
    tiles.add_argument("--tile", metavar="N", help="1024, or 32,512,512, or auto")
    tiles.add_argument("--overlap", metavar="N", help="32, or 4,32,32, or auto, or measure")
    tiles.add_argument(
        "--align", type=int, metavar="N", help="tiles start at multiples; default: the method's"
    )
    tiles.add_argument(
        "--edge",
        choices=("snap", "even", "shrink", "pad"),
        help="of the last tile; default snap, of backends shrink",
    )
    tiles.add_argument("--padding", default="reflect", metavar="MODE", help="one of numpy's; default reflect")
    tiles.add_argument(
        "--skip-empty", metavar="X", help="a value, otsu, or a mask: other tiles are not predicted"
    )
    tiles.add_argument("--skip-level", type=int, metavar="N", help="judged by that level, without reading")
    tiles.add_argument("--skipped", type=float, default=0.0, metavar="X", help="what those have; default 0")


def _add_map(add: ArgumentParser) -> None:
    how = add.add_argument_group("map")
    how.add_argument(
        "--weights", default="crop", choices=("crop", "gaussian", "hann", "flat"), help="default crop: exact"
    )
    how.add_argument("--finalize", choices=("softmax", "argmax", "sigmoid"), help="done to each block")
    how.add_argument("--disagreement", action="store_true", help="and a map of how far tiles disagree")
    how.add_argument("--sigma", action="store_true", help="and one of the standard deviation")
    how.add_argument("--outputs", metavar="A,B", help="names of the map's channels")
    how.add_argument("--dtype", metavar="TYPE", help="float32 by default; integers are rounded and clipped")
    how.add_argument("--ngff", choices=("0.5", "0.4"), default="0.5", help="version; default 0.5")


def command(args: Namespace) -> int:
    """Predict, and say where the map is."""
    from seamlabel.blended import blend

    model, params = _model(args)
    progress = None if args.quiet else _progress()
    found = blend(args.image, model, params=params, output=args.out, on_tile=progress, **_asked(args))
    for name, path in found.paths.items():
        print(f"{name}: {path}" if len(found.paths) > 1 else path)
    print(f"{len(found.grid):,} tiles in {found.seconds:.1f} s", file=sys.stderr)
    return 0


def _asked(args: Namespace) -> dict[str, Any]:
    """Return the options as `blend` takes them."""
    return {
        "axes": args.axes,
        "level": args.level or 0,
        "channels": commands.channels(args.channels) if args.channels else None,
        "planes": bool(args.planes),
        "tile_shape": commands.sizes("tile_shape", "auto" if args.tile is None else args.tile),
        "overlap": commands.sizes("overlap", "auto" if args.overlap is None else args.overlap),
        "edge": args.edge,
        "padding": args.padding,
        "align": args.align,
        "weights": args.weights,
        "stats": ("mean", *(name for name in ("disagreement", "sigma") if getattr(args, name))),
        "finalize": args.finalize,
        "outputs": args.outputs.split(",") if args.outputs else None,
        "dtype": args.dtype,
        "skip_empty": args.skip_empty,
        "skip_level": args.skip_level,
        "skipped": args.skipped,
        "context": context_option.context_of(args),
        "version": args.ngff,
        "overwrite": args.overwrite,
        "workers": args.workers,
        "batch": args.batch,
        "retries": args.retries,
    }


def _model(args: Namespace) -> tuple[Any, dict[str, Any]]:
    """Return what predicts, a function or the name of a backend, and its parameters."""
    fields = commands.method_fields(args, {})
    if fields["backend"] != "function" and args.backend is None:
        raise SpecError([Problem("backend", "none given", "Use --function FILE.py:FN, or --backend torch")])
    return fields["backend"], fields["params"]


def _progress() -> Callable[[int, int], None] | None:
    """Return what shows a bar on a terminal."""
    if not sys.stderr.isatty():
        return None
    from tqdm import tqdm

    bars: list[Any] = []

    def tell(done: int, total: int) -> None:
        if not bars:
            bars.append(
                tqdm(total=total, desc="Predicting", unit="tile", file=sys.stderr, dynamic_ncols=True)
            )
        bars[0].update(done - bars[0].n)
        if done == total:
            bars[0].close()

    return tell
