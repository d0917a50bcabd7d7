"""What NGFF asks of labels beside an image, and what makes them lie on it."""

from __future__ import annotations

from math import isclose
from typing import TYPE_CHECKING, Any

from seamlabel.errors import ImageError, RemoteError
from seamlabel.io.ngff.generations import OURS, left_over
from seamlabel.io.ngff.image_rules import axis_names, check_image
from seamlabel.io.ngff.nodes import is_image, objects
from seamlabel.io.ngff.strict import is_inside

if TYPE_CHECKING:
    from seamlabel.io.ngff.image_rules import Level
    from seamlabel.io.ngff.nodes import Findings, Node


def check_labels(image: Node, levels: list[Level], found: Findings) -> None:
    """Note what is wrong with the labels of an image, whose levels are given; [] if they are not known."""
    labels = image.child("labels")
    if not labels.is_group:
        if (folder := labels.folder) is not None and folder.is_dir():
            found.wrong(labels, "it is no zarr group", "Remove it, or write its metadata")
        return
    listed = labels.ngff.get("labels")
    if not isinstance(listed, list):
        found.wrong(labels, "the list of labels is missing", "Add 'labels': [NAME, …] to its attributes")
        listed = []
    for name in listed:
        _check_listed(labels, name, image, levels, found)
    for node in _others(labels, listed):
        _check_unlisted(node, image, levels, found)


def _check_listed(labels: Node, name: Any, image: Node, levels: list[Level], found: Findings) -> None:
    if not is_inside(name):
        found.wrong(labels, f"the label {name!r:.100} is not a path inside it", "Correct the list")
        return
    node = labels.child(name)
    if not node.is_group:
        found.wrong(node, "it is listed, but there is none", "Take it out of the list of labels")
    elif not is_image(node):
        found.wrong(
            node, "it is listed, but is no image of labels", "Write it again, or take it out of the list"
        )
    else:
        check_label(node, image, levels, found)


def _others(labels: Node, listed: list[Any]) -> list[Node]:
    """Return groups beside those listed; only folders can be looked through."""
    folder = labels.folder
    if folder is None:
        return []
    inside = sorted(path.name for path in folder.iterdir() if path.is_dir())
    tops = {str(name).split("/")[0] for name in listed}
    return [node for name in inside if name not in tops and (node := labels.child(name)).is_group]


def _check_unlisted(node: Node, image: Node, levels: list[Level], found: Findings) -> None:
    if is_image(node):
        mend = "Add its name to the list of labels: most programs do not find it"
        found.wrong(node, "these labels are not listed", mend)
        check_label(node, image, levels, found)
        return
    own = node.attributes.get("seamlabel")
    if isinstance(own, dict) and own.get("state") == "writing" and (folder := node.folder) is not None:
        names = {path.name for path in folder.iterdir() if OURS.fullmatch(path.name)}
        if left_over(folder, names) == names:
            mend = "Go on with its run (seamlabel resume), write labels of that name, or delete the folder"
            found.advice(node, "labels that nobody goes on writing were left half written", mend)


def check_label(node: Node, image: Node | None, levels: list[Level], found: Findings) -> None:
    """Note what is wrong with a label; with what it is beside, if that is known."""
    own = check_image(node, found)
    _check_own(node, own, found)
    if image is None or not levels or not own:
        return
    if len(own) != len(levels):
        what = f"it has {len(own)} levels, the image has {len(levels)}"
        found.wrong(node, what, "Write the labels again: viewers pair levels by number")
    kept = _kept(image, node)
    for mine, theirs in zip(own, levels, strict=False):
        _check_on(node.child(mine.path), mine, theirs, kept, found)


def _kept(image: Node, label: Node) -> list[int] | None:
    """Return which axes of the image the labels have; None if that cannot be told."""
    theirs, mine = axis_names(image), axis_names(label)
    return [theirs.index(name) for name in mine] if set(mine) <= set(theirs) and mine else None


def _check_on(node: Node, mine: Level, theirs: Level, kept: list[int] | None, found: Findings) -> None:
    """Note a level that does not lie on the image's level of that number."""
    if kept is None or len(kept) != len(mine.shape) or max(kept) >= len(theirs.shape):
        found.wrong(
            node, "its axes are not those of the image", "Write the labels again, with the image's axes"
        )
        return
    shape = tuple(theirs.shape[i] for i in kept)
    if mine.shape != shape:
        what = f"shape {mine.shape} is not that of the image, {shape}"
        found.wrong(node, what, "Write the labels again, on this level of the image")
    if mine.scale and theirs.scale:
        scale = tuple(theirs.scale[i] for i in kept)
        if not all(isclose(a, b, rel_tol=1e-3) for a, b in zip(mine.scale, scale, strict=True)):
            what = f"scale {mine.scale} is not that of the image, {scale}: labels lie beside their objects"
            found.wrong(node, what, "Write the image's scale into the labels' metadata")


def _check_own(node: Node, levels: list[Level], found: Findings) -> None:
    """Note what is wrong with what only labels have."""
    if levels and not any(word in levels[0].kind for word in ("int", "i", "u")):
        found.wrong(node, f"labels are {levels[0].kind}, not whole numbers", "Write them as uint32")
    about = node.ngff.get("image-label")
    if not isinstance(about, dict):
        found.wrong(node, "'image-label' is missing", "Add it, if only as {}: it tells labels from images")
        return
    for key, values in (("colors", about.get("colors")), ("properties", about.get("properties"))):
        if values is None:
            continue
        numbers = [one.get("label-value") for one in objects(values)]
        if not numbers or not all(isinstance(number, int) for number in numbers):
            found.wrong(
                node, f"{key} of 'image-label' do not all have a label-value", "Correct or remove them"
            )
        elif len(set(numbers)) < len(numbers):
            found.wrong(node, f"{key} of 'image-label' name a label twice", "Name each once")


def check_source(node: Node, found: Findings) -> None:
    """Note labels whose image is not where they say; only where that is a path in folders."""
    about = node.ngff.get("image-label")
    source = about.get("source") if isinstance(about, dict) else None
    path = source.get("image") if isinstance(source, dict) else None
    folder = node.folder
    if not isinstance(path, str) or folder is None or "://" in path:
        return
    try:
        there = (folder / path).resolve()
        known = any((there / name).exists() for name in ("zarr.json", ".zgroup"))
    except (OSError, ValueError, ImageError, RemoteError):
        known = False
    if not known:
        found.advice(node, f"its image is not at {path!r:.200}", "Correct source.image in 'image-label'")
