"""Scales and translations of an image's levels, out of its NGFF coordinate transformations.

Pure but for the arrays' shapes. Only what keeps axes apart is understood: no rotation, no shear.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seamlabel.axes import LevelInfo
from seamlabel.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import zarr

MOST_WORLD = 1e30
"""World units: no voxel is larger, and nothing is farther away."""
_MEND = "Correct the coordinate transformations in the metadata"
_Where = tuple[tuple[float, ...], tuple[float, ...]]


def read_levels(
    text: str,
    image: dict[str, Any],
    datasets: list[dict[str, Any]],
    arrays: Sequence[zarr.Array[Any]],
) -> tuple[LevelInfo, ...]:
    """Return the levels of a multiscale image.

    A level without transformations gets those of level 0, times the ratio of their shapes; where no
    level has any, level 0 has voxels of size 1. Transformations of the whole image come after those
    of its levels, but not in NGFF 0.6: there they lead on, to other coordinate systems.

    Parameters
    ----------
    text : str
        The image's path, for messages.
    image : dict
        An entry of ``multiscales``.
    datasets : list of dict
        Its levels.
    arrays : sequence of zarr.Array
        One per level.

    Raises
    ------
    ImageError
        If they are not numbers that make sense, or turn or shear the image.
    """
    ndim = arrays[0].ndim
    top = None if image.get("coordinateSystems") else image.get("coordinateTransformations")
    given = [dataset.get("coordinateTransformations") for dataset in datasets]
    if any(given) and not given[0]:
        msg = f"{text}: level '{datasets[0]['path']}' has no coordinate transformation, though others have"
        raise ImageError(msg, _MEND)
    first = _apply(text, given[0], ((1.0,) * ndim, (0.0,) * ndim))
    levels = []
    for dataset, array, own in zip(datasets, arrays, given, strict=True):
        place = _apply(text, own, ((1.0,) * ndim, (0.0,) * ndim)) if own else first
        if not own:
            ratios = _ratios(arrays[0].shape, array.shape)
            place = tuple(a * b for a, b in zip(first[0], ratios, strict=True)), first[1]
        scale, translation = _apply(text, top, place)
        if not all(0 < s < MOST_WORLD for s in scale) or not all(abs(t) < MOST_WORLD for t in translation):
            msg = f"{text}: level '{dataset['path']}' has voxels of size {scale} at {translation}"
            raise ImageError(msg, _MEND)
        levels.append(LevelInfo(dataset["path"], array.shape, array.chunks, scale, translation))
    return tuple(levels)


def world_axes(image: dict[str, Any]) -> Any:
    """Return what an image of NGFF 0.6 says of its axes: those that its levels' transformations lead to."""
    systems = image.get("coordinateSystems")
    found = [s for s in systems if isinstance(s, dict)] if isinstance(systems, list) else []
    name = _output(image)
    meant = [s for s in found if s.get("name") == name] or found
    return meant[0].get("axes") if meant else None


def _output(image: dict[str, Any]) -> Any:
    """Return the coordinate system that level 0 is transformed to; drafts of 0.6 gave its name alone."""
    part: Any = image
    for key in ("datasets", "coordinateTransformations"):
        listed = part.get(key) if isinstance(part, dict) else None
        part = listed[0] if isinstance(listed, list) and listed else None
    output = part.get("output") if isinstance(part, dict) else None
    return output.get("name") if isinstance(output, dict) else output


def _ratios(full: tuple[int, ...], shape: tuple[int, ...]) -> tuple[float, ...]:
    """Return voxels of level 0 per voxel of a coarser one, whole numbers where rounding explains the rest."""
    ratios = []
    for n, m in zip(full, shape, strict=True):
        whole = round(n / m) if m else 1
        snapped = whole >= 1 and m in (n // whole, -(-n // whole))
        ratios.append(float(whole) if snapped else n / m)
    return tuple(ratios)


def _apply(text: str, transforms: Any, place: _Where) -> _Where:
    """Return scale and translation after some NGFF coordinate transformations, applied in order."""
    scale, translation = place
    for item in transforms if isinstance(transforms, list) else ():
        kind = item.get("type") if isinstance(item, dict) else item
        if kind == "sequence":
            scale, translation = _apply(text, item.get("transformations"), (scale, translation))
        elif kind == "scale":
            by = _numbers(text, item, "scale", len(scale))
            scale = tuple(a * b for a, b in zip(scale, by, strict=True))
            translation = tuple(a * b for a, b in zip(translation, by, strict=True))
        elif kind == "translation":
            by = _numbers(text, item, "translation", len(scale))
            translation = tuple(a + b for a, b in zip(translation, by, strict=True))
        elif kind != "identity":
            msg = f"{text}: coordinate transformation {kind!r:.50} is not supported"
            raise ImageError(msg, "Use scale and translation, or pass the array of a level instead")
    return scale, translation


def _numbers(text: str, item: dict[str, Any], key: str, ndim: int) -> tuple[float, ...]:
    values = item.get(key)
    good = isinstance(values, list) and len(values) == ndim and all(map(_is_number, values))
    if not good:
        msg = f"{text}: {key} {values!r:.100} is not {ndim} finite numbers, one per axis"
        raise ImageError(msg, "Correct the metadata")
    if key == "scale" and not all(v > 0 for v in values or ()):
        msg = f"{text}: scale {values!r:.100} is not above 0, voxels would have no size"
        raise ImageError(msg, "Correct the metadata")
    return tuple(float(v) for v in values or ())


def _is_number(value: Any) -> bool:
    """Return whether this is a number that is neither infinite nor too large for a float."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return abs(value) < MOST_WORLD  # false of NaN too
