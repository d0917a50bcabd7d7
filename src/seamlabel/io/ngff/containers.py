"""Groups that hold images: plates, wells, bioformats2raw collections; several images in one group.

One image in them is opened; of several, none is guessed: they are listed. Knows no arrays' contents.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from seamlabel.errors import ImageError
from seamlabel.io.ngff.arraydocs import DAMAGED
from seamlabel.io.ngff.documents import group_format, is_array, read_attributes
from seamlabel.io.ngff.metadata import ngff_part
from seamlabel.io.ngff.strict import is_inside, plain

if TYPE_CHECKING:
    from seamlabel.io.ngff.opening import Place

MOST_SERIES = 1_000
"""Images that are looked for where a collection lists none."""
_MOST_ABOVE = 8
"""Groups above a level that may be its image's."""
SHOWN = 6
"""Choices that are named."""


def only_image(text: str, place: Place, ome: dict[str, Any]) -> str:
    """Return the path of the one image (or well) below a group that is none itself.

    Parameters
    ----------
    text : str
        The group's path.
    place : Folder or Zipped
        Where its documents are.
    ome : dict
        Its NGFF attributes, without ``multiscales``.

    Raises
    ------
    ImageError
        If it holds no image, or several: the choices are named.
    """
    plate, well, labels = ome.get("plate"), ome.get("well"), ome.get("labels")
    if isinstance(plate, dict):
        wells = _paths(plate.get("wells"))
        if len(wells) != 1:
            raise _plate_error(text, place, wells)
        return wells[0]
    if isinstance(well, dict):
        found, what = _paths(well.get("images")), "a well of {} images"
    elif isinstance(labels, list):
        found = [name for name in labels if is_inside(name)]
        raise ImageError(f"{text} is a list of labels", f"Give one: {_few(text, found or ['NAME'])}")
    else:
        found, what = _series(place), "a collection of {} images"
    if len(found) == 1:
        return found[0]
    if found or "well" in ome or "bioformats2raw.layout" in ome:
        named = [f"{path}{_called(place, path)}" for path in found[:SHOWN]]
        hint = f"Give one: {_few(text, named, len(found))}" if found else DAMAGED
        raise ImageError(f"{text} is {what.format(len(found))}", hint)
    raise ImageError(f"{text} is a zarr group without NGFF metadata (multiscales)", "Give an OME-Zarr image")


def chosen(text: str, images: list[Any], level: str | None) -> dict[str, Any]:
    """Return the one of several ``multiscales`` whose largest level this is; the only one if there is one.

    Raises
    ------
    ImageError
        If it is not said which of several; they are named.
    """
    found = [image for image in images if isinstance(image, dict)]
    for image in found:
        if level is not None and _largest(image) == level:
            return image
    if len(found) == 1:
        return found[0]
    named = [f"{_largest(i)} ('{plain(i.get('name', '?'))}')" for i in found if is_inside(_largest(i))]
    msg = f"{text} holds {len(found)} images (multiscales) in one group"
    raise ImageError(msg, f"Give the path of the largest level of one: {_few(text, named)}")


def split_level(text: str) -> tuple[str, str | None]:
    """Return a path and None; of the largest level of one of several images, their group and that level."""
    try:
        return _split(Path(text)) or (text, None)
    except (ImageError, OSError):  # opening it says what is wrong
        return text, None


def _split(path: Path) -> tuple[str, str] | None:
    if not path.is_dir() or not is_array(path):
        return None
    for above in list(path.parents)[:_MOST_ABOVE]:
        if group_format(above) is not None:
            images: Any = ngff_part(read_attributes(above)).get("multiscales")
            level = path.relative_to(above).as_posix()
            several = isinstance(images, list) and len(images) > 1
            if several and level in [_largest(i) for i in images if isinstance(i, dict)]:
                return str(above), level
    return None


def _plate_error(text: str, place: Place, wells: list[str]) -> ImageError:
    if not wells:
        return ImageError(f"{text} is a plate that lists no wells", "Correct its metadata")
    fields = _paths((_attributes(place, wells[0]).get("well") or {}).get("images")) or ["0"]
    more = f" (fields of {wells[0]}: {_few('', fields)})" if len(fields) > 1 else ""
    return ImageError(
        f"{text} is a plate of {len(wells)} wells: {_few('', wells)}",
        f"Give a field of one, such as {text}/{wells[0]}/{fields[0]}{more}",
    )


def _series(place: Place) -> list[str]:
    """Return the images of a collection: those listed, else those numbered from 0."""
    listed = _attributes(place, "OME").get("series")
    if isinstance(listed, list) and listed:
        return [path for path in listed if is_inside(path)]
    found: list[str] = []
    while len(found) < MOST_SERIES and "multiscales" in _attributes(place, str(len(found))):
        found.append(str(len(found)))
    return found


def _attributes(place: Place, node: str) -> dict[str, Any]:
    document = place.document(node, "zarr.json")
    found = place.document(node, ".zattrs") if document is None else document.get("attributes")
    return ngff_part(found) if isinstance(found, dict) else {}


def _called(place: Place, node: str) -> str:
    images = _attributes(place, node).get("multiscales")
    name = (
        images[0].get("name") if isinstance(images, list) and images and isinstance(images[0], dict) else None
    )
    return f" ('{plain(name)}')" if name and str(name) != node else ""


def _paths(parts: Any) -> list[str]:
    """Return the paths of the parts of a plate or well, those that lie inside of it."""
    listed = [part.get("path") for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
    return [str(path) for path in listed if is_inside(path)]


def _largest(image: dict[str, Any]) -> Any:
    datasets = image.get("datasets")
    first = datasets[0] if isinstance(datasets, list) and datasets else None
    return first.get("path") if isinstance(first, dict) else None


def _few(above: str, names: list[str], count: int = 0) -> str:
    """Name some of the choices."""
    count = max(count, len(names))
    shown = [f"{above}/{name}" if above else name for name in names[:SHOWN]]
    return ", ".join(shown) + (f", … ({count - len(shown):,} more)" if count > len(shown) else "")
