"""The commands ``seamlabel info`` and ``seamlabel validate``: what a store holds, what is wrong with it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seamlabel.sizes import human

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from seamlabel.axes import ImageInfo
    from seamlabel.io.journal import Unfinished
    from seamlabel.io.ngff.listing import LabelTold, Member, StoredArray
    from seamlabel.io.ngff.nodes import Finding, Node

SHOWN = 24
"""Images of a plate or collection, and findings, that are shown in one go; JSON has all."""
MANY_FILES, TINY_BYTES = 5000, 1 << 16
"""From so many files on, so small on the average, an array is slow to copy and to read over a network."""


def add_commands(subs: Any) -> None:
    """Add the commands to those of the command line."""
    about = "what a store holds, and what is wrong with it: an image, a plate, a collection"
    add = subs.add_parser("info", help="what an OME-Zarr holds, and what is wrong with it", description=about)
    add.add_argument("image", metavar="IMAGE", help="folder, zip or address; or another file")
    add.add_argument("--axes", metavar="ZYX", help="of a file that does not say them")
    add.add_argument("--json", action="store_true", help="as JSON")
    add.set_defaults(command=info)
    about = (
        "check a store by the rules of NGFF, every image of a plate; exit code 0: none is broken, 1: some are"
    )
    add = subs.add_parser("validate", help="check an OME-Zarr by the rules of NGFF", description=about)
    add.add_argument(
        "store", metavar="STORE", help="image, labels, plate or collection; folder, zip or address"
    )
    add.add_argument("--json", action="store_true", help="as JSON")
    add.set_defaults(command=validate)


def validate(args: Namespace) -> int:
    """Print what is wrong with a store; return 1 if something is."""
    from seamlabel.io.ngff.validate import validate as check

    found = check(args.store)
    broken = any(one.wrong for one in found)
    if args.json:
        print(json.dumps({"valid": not broken, "findings": [asdict(one) for one in found]}, indent=2))
        return int(broken)
    print("\n".join([*map(_line, found), "not valid" if broken else "valid"]))
    return int(broken)


def info(args: Namespace) -> int:
    """Print what a store holds."""
    from seamlabel.io.journal import unfinished_runs
    from seamlabel.io.ngff.nodes import Node
    from seamlabel.io.ngff.validate import kind_of
    from seamlabel.io.opened import Opened, opened

    place = Path(args.image).expanduser()
    if not place.exists() and (runs := unfinished_runs(place)):  # an output that no run has made yet
        if args.json:
            print(json.dumps({"kind": "", "path": str(place), **_as_json(runs, [], [])}, indent=2))
            return 0
        print(f"{place}: not there yet")
        _print_rest(runs, [], [])
        return 0
    if isinstance(held := opened(args.image, args.axes), Opened):
        return _file(str(place), held.info, args.json)
    node = Node.at(args.image)
    kind = kind_of(node)
    if kind in ("plate", "well", "series"):
        return _many(node, kind, args.json)
    if kind in ("", "labels"):
        return _labels_alone(node, args.json)
    return _one(node, kind, args.json)


def _file(path: str, image: ImageInfo, as_json: bool) -> int:
    """Tell of a file that is no OME-Zarr."""
    if as_json:
        print(json.dumps({**asdict(image), "kind": "file", "path": path}, indent=2))
        return 0
    print(f"{path}: no OME-Zarr, but it can be read; {image.dtype}")
    print("\n".join(_describe(image, [], [])))
    print("writable   no: give --output for the labels; or convert it: seamlabel convert")
    return 0


def _many(node: Node, kind: str, as_json: bool) -> int:
    """Tell of a store of many images."""
    from seamlabel.io.ngff.listing import members, place_kind, plate_size
    from seamlabel.io.ngff.validate import validate as check

    images, found = members(node), check(node.full, deep=False)
    rows, columns = plate_size(node)
    if as_json:
        told: dict[str, Any] = {"kind": kind, "path": node.full, "store": place_kind(node)}
        told["ngff_version"] = node.version
        told |= {"zarr_format": node.zarr_format, "images": [asdict(image) for image in images]}
        told |= {"rows": rows, "columns": columns} if kind == "plate" else {}
        print(json.dumps({**told, "findings": [asdict(one) for one in found]}, indent=2))
        return 0
    wells = len({image.well for image in images})
    what = {
        "plate": f"plate of {rows} x {columns}, {wells} wells, {len(images)} fields",
        "well": f"well of {len(images)} fields",
        "series": f"collection of {len(images)} images (bioformats2raw)",
    }
    print(f"{node.full}: OME-Zarr {node.version} (zarr {node.zarr_format}), {what[kind]}")
    print("\n".join(_table(node, images)))
    if images:
        print(f"Choose one: seamlabel info {images[0].full}")
    _print_rest([], [], found)
    return 0


def _labels_alone(node: Node, as_json: bool) -> int:
    """Tell of a store that holds labels alone, such as an output of its own."""
    from seamlabel.errors import ImageError
    from seamlabel.io.ngff import listing
    from seamlabel.io.ngff.validate import validate as check

    group = node if isinstance(node.ngff.get("labels"), list) else node.child("labels")
    if not group.is_group:
        msg = f"{node.full} is a zarr group without NGFF metadata (multiscales)"
        raise ImageError(msg, "Give an OME-Zarr image")
    listed = group.ngff.get("labels")
    names = tuple(map(str, listed)) if isinstance(listed, list) else ()
    labels, found = listing.labels(group, names), check(node.full)
    runs, kept = _runs(node)
    if as_json:
        told: dict[str, Any] = {"kind": "labels", "path": node.full, "store": listing.place_kind(node)}
        told |= {"zarr_format": node.zarr_format, "labels": [label.name for label in labels]}
        told |= {"made": {label.name: label.made for label in labels}, **_as_json(runs, kept, found)}
        print(json.dumps(told, indent=2))
        return 0
    print(f"{node.full}: labels alone, without an image (zarr {node.zarr_format})")
    print("\n".join(_labels(labels)))
    if labels:
        print(f"Look at one: seamlabel info {group.child(labels[0].name).full}")
    _print_rest(runs, kept, found)
    return 0


def _runs(node: Node) -> tuple[list[Unfinished], list[Path]]:
    """Return the unfinished and the kept runs beside a store; runs lie in folders only."""
    from seamlabel.io.journal import kept_runs, unfinished_runs

    return (unfinished_runs(node.full), kept_runs(node.full)) if node.folder is not None else ([], [])


def _as_json(runs: Sequence[Unfinished], kept: Sequence[Path], found: Sequence[Finding]) -> dict[str, Any]:
    return {
        "unfinished_runs": [{**asdict(run), "path": str(run.path)} for run in runs],
        "kept_runs": list(map(str, kept)),
        "findings": [asdict(one) for one in found],
    }


def _print_rest(runs: Sequence[Unfinished], kept: Sequence[Path], found: Sequence[Finding]) -> None:
    for run in runs:
        go_on = f"go on: seamlabel resume {run.path}; or delete that folder"
        print(f"unfinished {run.path}: {run}; {go_on}")
    for folder in kept:
        print(f"kept       {folder}: seamlabel merge {folder}")
    for one in found[:SHOWN]:
        print(_line(one))
    if len(found) > SHOWN:
        print(f"and {len(found) - SHOWN:,} more: seamlabel validate")


def _table(node: Node, images: Sequence[Member]) -> list[str]:
    """Return a line for every image: path, axes and shape."""
    width = max((len(image.path) for image in images), default=0)
    lines = [f"{image.path:<{width}}  {_shape(node, image)}" for image in images[:SHOWN]]
    more = len(images) - SHOWN
    return lines + ([f"and {more:,} more; all of them with --json"] if more > 0 else [])


def _shape(node: Node, image: Member) -> str:
    from seamlabel.errors import ImageError, RemoteError
    from seamlabel.io.ngff.image_rules import axis_names

    inside = node.child(image.path.removeprefix(f"{node.path}/") if node.path else image.path)
    try:
        levels = inside.parts(inside.pyramid.get("datasets"))
        first = levels[0].array if levels else {}
        shape = " x ".join(map(str, first.get("shape") or ()))
        return f"{''.join(axis_names(inside))} {shape}".strip() or "no image"
    except RemoteError:
        raise
    except (ImageError, TypeError):
        return "cannot be read"


def _one(node: Node, kind: str, as_json: bool) -> int:
    """Tell of one image, or of labels."""
    from seamlabel.io.ngff import listing
    from seamlabel.io.ngff.validate import validate as check
    from seamlabel.io.sources import image_info

    image = image_info(node.full)
    stored, found = listing.arrays(node), check(node.full)
    labels, colors = listing.labels(node.child("labels"), image.labels), listing.colors(node)
    runs, kept = _runs(node)
    found += _tiny(stored)
    if as_json:
        told = {**asdict(image), "kind": kind, "store": listing.place_kind(node)}
        told |= {"zarr_format": node.zarr_format, "colors": colors, "arrays": [asdict(one) for one in stored]}
        told |= {"made": {label.name: label.made for label in labels}}
        print(json.dumps({**told, **_as_json(runs, kept, found)}, indent=2))
        return 0
    place = {"folder": "", "zip": " in a zip file", "remote": " on a server"}[listing.place_kind(node)]
    version = f"OME-Zarr {image.ngff_version} (zarr {node.zarr_format})"
    print(f"{image.path}: {version}, {kind}{place}, {image.dtype}")
    print("\n".join(_describe(image, stored, colors)))
    print("\n".join(_labels(labels)))
    if not image.writable:
        print("writable   no: give --output for the labels")
    _print_rest(runs, kept, found)
    return 0


def _describe(image: ImageInfo, stored: Sequence[StoredArray], colors: Sequence[str]) -> list[str]:
    units = [axis.unit or "" for axis in image.axes]
    names = ", ".join(f"{a.name} ({a.kind})" for a in image.axes)
    lines = [f"axes       {names}"]
    if image.channels:
        shown = [f" #{color}" if color else "" for color in colors]
        shown += [""] * len(image.channels)
        lines.append(f"channels   {', '.join(map(''.join, zip(image.channels, shown, strict=False)))}")
    for number, level in enumerate(image.levels):
        size = " x ".join(map(str, level.shape))
        voxel = " x ".join(f"{s:.4g} {u}".strip() for s, u in zip(level.scale, units, strict=True))
        chunks = " x ".join(map(str, level.chunks))
        array = _array(stored[number]) if number < len(stored) else ""
        lines.append(f"level {number:<4} {size}, chunks {chunks}{array}, voxel {voxel}")
    return lines


def _array(stored: StoredArray) -> str:
    """Return how an array is stored, after its chunks."""
    shards = f" in shards of {' x '.join(map(str, stored.shards))}" if stored.shards else ""
    disk = ""
    if stored.files is not None and stored.bytes is not None:
        disk = f", {human(stored.bytes)} in {stored.files:,} files"
    return f"{shards}, {stored.codec or 'not compressed'}{disk}"


def _labels(labels: Sequence[LabelTold]) -> list[str]:
    """Return a line for each of the labels of an image."""
    heads = ["labels"] + [""] * len(labels)
    told = [f"{label.name}: {label.dtype}{_made(label.made)}" for label in labels] or ["none"]
    return [f"{head:<10} {text}" for head, text in zip(heads, told, strict=False)]


def _made(made: dict[str, Any]) -> str:
    """Return what labels were made with."""
    if not made:
        return ""
    spec = made.get("spec")
    method = f", {spec.get('backend')}" if isinstance(spec, dict) else ""
    level = f" on level {spec['level']}" if isinstance(spec, dict) and spec.get("level") else ""
    return f", by seamlabel {made.get('version', '')}{method}{level}"


def _tiny(stored: Sequence[StoredArray]) -> list[Finding]:
    """Return advice on arrays in very many very small files."""
    from seamlabel.io.ngff.nodes import Finding

    mend = "Write it with larger chunks, or in shards"
    return [
        Finding(
            array.path, f"{array.files:,} files of {human(array.bytes / array.files)} each", mend, wrong=False
        )
        for array in stored
        if array.files and array.bytes and array.files > MANY_FILES and array.bytes < TINY_BYTES * array.files
    ]


def _line(one: Finding) -> str:
    return f"{'wrong' if one.wrong else 'advice':<10} {one}"
