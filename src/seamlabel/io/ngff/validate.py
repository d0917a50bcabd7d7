"""`validate`: what is wrong with a store, by the rules of NGFF; whatever it is: image, labels, plate, series.

Says of each finding where it is, what it is and how to mend it. Reads metadata only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seamlabel.io.ngff.image_rules import check_image
from seamlabel.io.ngff.label_rules import check_label, check_labels, check_source
from seamlabel.io.ngff.nodes import Findings, Node, is_image, objects
from seamlabel.io.ngff.strict import is_inside

if TYPE_CHECKING:
    import os

    from seamlabel.io.ngff.nodes import Finding


def validate(path: str | os.PathLike[str], *, deep: bool = True) -> list[Finding]:
    """Return what is wrong with a store, and advice; empty if there is nothing to say.

    Parameters
    ----------
    path : str or path-like
        An image, labels, a plate, a well, or a collection of images: folder, zip or address.
    deep : bool
        Look at every image of a plate or collection, not at the first alone.

    Raises
    ------
    ImageError
        If there is no zarr group, or it cannot be read.
    """
    found, node = Findings(deep), Node.at(path)
    check(node, found)
    return list(dict.fromkeys(found.found))


def kind_of(node: Node) -> str:
    """Return what a group is: image, label, labels, plate, well, series or ""."""
    ngff = node.ngff
    if is_image(node):
        return "label" if "image-label" in ngff or "seamlabel" in node.attributes else "image"
    for key, kind in (("plate", "plate"), ("well", "well"), ("bioformats2raw.layout", "series")):
        if key in ngff:
            return kind
    return "labels" if isinstance(ngff.get("labels"), list) else ""


def check(node: Node, found: Findings) -> None:
    """Note what is wrong with a group and all below it."""
    kind = kind_of(node)
    if kind == "image":
        check_labels(node, check_image(node, found), found)
    elif kind == "label":
        check_label(node, None, [], found)
        check_source(node, found)
    elif kind == "labels":
        for label in node.parts(node.ngff["labels"]):
            check_label(label, None, [], found)
    elif kind == "plate":
        _check_plate(node, found)
    elif kind == "well":
        _check_well(node, found)
    elif kind == "series":
        _check_series(node, found)
    elif node.child("labels").is_group:
        check_labels(node, [], found)
    else:
        mend = "Give an OME-Zarr, or write its metadata"
        found.wrong(node, "it is a zarr group without NGFF metadata", mend)


def series_of(node: Node) -> list[Node]:
    """Return the images of a collection (bioformats2raw): those listed, else 0, 1 and so on."""
    listed = node.child("OME").ngff.get("series")
    if isinstance(listed, list):
        return node.parts(listed)
    found: list[Node] = []
    while is_image(node.child(str(len(found)))):
        found.append(node.child(str(len(found))))
    return found


def _check_series(node: Node, found: Findings) -> None:
    images = series_of(node)
    if not images:
        found.wrong(node, "a collection (bioformats2raw) without images", "Write it again")
    for image in found.some(images):
        _check_member(image, found, "it is listed as an image of the collection")


def _check_member(image: Node, found: Findings, why: str) -> None:
    if is_image(image):
        check(image, found)
    else:
        found.wrong(image, f"{why}, but there is none", "Write it, or take it out of the list")


def _check_plate(node: Node, found: Findings) -> None:
    plate = node.ngff["plate"]
    if not isinstance(plate, dict):
        found.wrong(node, "'plate' is no object", "Write the metadata again")
        return
    rows, columns = (_names(node, plate.get(key), key, found) for key in ("rows", "columns"))
    wells = plate.get("wells")
    if not isinstance(wells, list) or not wells:
        found.wrong(node, "the plate lists no wells", "Add 'wells'")
        return
    for well in wells:
        _check_entry(node, well, rows, columns, found)
    for part in found.some(node.parts(wells)):
        if "well" in part.ngff:
            _check_well(part, found)
        else:
            found.wrong(part, "it is listed as a well, but is none", "Write it, or take it out of 'wells'")


def _names(node: Node, listed: Any, key: str, found: Findings) -> list[str]:
    names = [one.get("name") for one in objects(listed)]
    if not names or not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        found.wrong(node, f"the plate's {key} are not a list of distinct names", f"Correct '{key}'")
    return [str(name) for name in names]


def _check_entry(node: Node, well: Any, rows: list[str], columns: list[str], found: Findings) -> None:
    path = well.get("path") if isinstance(well, dict) else None
    if not is_inside(path):
        found.wrong(
            node, f"the well {path!r:.100} is not a path inside the plate", "Correct it, such as 'A/1'"
        )
        return
    row, _, column = str(path).partition("/")
    if row not in rows or column not in columns:
        what = f"the well {path} is in no row and column of the plate"
        found.wrong(node, what, "Correct 'rows', 'columns' or the well's path")
    elif node.version not in ("0.1", "0.2", "0.3") and (
        well.get("rowIndex") != rows.index(row) or well.get("columnIndex") != columns.index(column)
    ):
        what = f"rowIndex or columnIndex of the well {path} are not those of its row and column"
        found.wrong(node, what, "Correct them")


def _check_well(node: Node, found: Findings) -> None:
    well = node.ngff["well"]
    images = well.get("images") if isinstance(well, dict) else None
    if not isinstance(images, list) or not images:
        found.wrong(node, "the well lists no images", "Add 'images'")
        return
    for image in found.some(node.parts(images)):
        _check_member(image, found, "it is listed as a field of the well")
