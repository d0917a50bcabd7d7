"""`check_backend`: whether a backend keeps the contract, for its authors to call in their tests.

Knows the contract of `seamlabel.protocols.Segmenter` only, not how anybody segments.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel import registry
from seamlabel.errors import SpecError
from seamlabel.kernels.statistics import ImageStatistics
from seamlabel.protocols import SegmentContext
from seamlabel.testing.cells import Tissue
from seamlabel.testing.partition import compare, same_partition

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from seamlabel.protocols import Image, Labels, Segmenter


def check_backend(
    backend: str | Callable[..., Labels],
    params: Mapping[str, Any] | None = None,
    *,
    image: Image | None = None,
    axes: str = "yx",
    channels: int = 1,
) -> None:
    """Check that a backend keeps the contract; return quietly if it does.

    Labels have the spatial shape, are integers and not negative; a second call gives the same; the
    image is not changed; an image of zeros is no error; and, if the parameters have a `radius`,
    labels of a part agree with those of the whole further than that from the cut.

    Parameters
    ----------
    backend : str or callable
        Name in the registry, or a function that takes pixels and returns labels.
    params : mapping, optional
        Parameters of a backend in the registry.
    image : array, optional
        Pixels over `axes`, behind a channel axis if there are more channels; synthetic tissue by
        default.
    axes : str
        Space axes, ``"yx"`` or ``"zyx"``.
    channels : int
        How many channels the synthetic tissue has.

    Raises
    ------
    AssertionError
        Saying everything that is wrong, a line each.
    SpecError
        If the parameters are wrong.
    BackendError
        If there is no such backend, or it cannot be made.
    """
    pixels = _tissue(axes, channels) if image is None else np.asarray(image)
    segment, radius = _made(backend, params, pixels, axes)
    shape = pixels.shape[-len(axes) :]
    before = pixels.copy()
    labels = segment(pixels)
    problems = _not_labels(labels, shape)
    if not np.array_equal(before, pixels, equal_nan=pixels.dtype.kind == "f"):
        problems.append("the image was changed: work on a copy")
    if not problems:
        again = segment(before.copy())
        if not np.array_equal(np.asarray(again), np.asarray(labels)):
            problems.append("a second call gave other labels: fix seeds, keep no state")
        empty = _not_labels(segment(np.zeros_like(before)), shape)
        problems += [f"on an image of zeros: {problem}" for problem in empty]
    if not problems and radius is not None:
        problems += _not_local(segment, before, np.asarray(labels), radius)
    assert not problems, "\n".join(problems)


def _tissue(axes: str, channels: int) -> Image:
    shape = (160, 320) if len(axes) == 2 else (32, 64, 160)
    cells = Tissue(shape, "dense", diameter=16)
    planes = [replace(cells, seed=i).image() for i in range(channels)]
    return planes[0] if channels == 1 else np.stack(planes)


def _made(
    backend: str | Callable[..., Labels], params: Mapping[str, Any] | None, pixels: Image, axes: str
) -> tuple[Segmenter, int | None]:
    """Return the segmenter as the engine makes it, and the radius that its parameters state."""
    if not isinstance(backend, str):
        return backend, None
    record = registry.backend(backend)
    parsed, problems = record.parse(params or {})
    if problems:
        raise SpecError(problems)
    if record.whole_object:
        parsed = replace(parsed, **dict.fromkeys(record.whole_object, 0))
    planes = pixels if pixels.ndim > len(axes) else pixels[None]
    context = SegmentContext(
        axes=axes,
        dtype=pixels.dtype.name,
        scale=(1.0,) * len(axes),
        channels=tuple(map(str, range(len(planes)))),
        statistics=lambda i: ImageStatistics.of(planes[i]),
        filtered=lambda i, function: ImageStatistics.of(function(planes[i], (1.0,) * len(axes))),
    )
    return record.make(parsed, context), getattr(parsed, "radius", None)


def _not_labels(labels: Any, shape: tuple[int, ...]) -> list[str]:
    found = np.asarray(labels)
    if found.shape != shape:
        return [f"labels have shape {found.shape}, the image has {shape}"]
    if found.dtype.kind not in "iu":
        return [f"labels are of type {found.dtype}, not integers"]
    if found.size and found.min() < 0:
        return [f"a label is negative: {found.min()}"]
    return []


def _not_local(segment: Segmenter, pixels: Image, whole: NDArray[Any], radius: int) -> list[str]:
    """Compare a part that is cut off at two thirds of each axis with the whole."""
    from skimage.measure import label as connected  # slow to import

    problems = []
    for axis in range(whole.ndim):
        size = whole.shape[axis]
        cut = size * 2 // 3
        keep = slice(0, cut - radius)
        if cut <= radius:
            continue
        along = axis + pixels.ndim - whole.ndim
        part = np.asarray(segment(np.ascontiguousarray(pixels.take(range(cut), along))))
        zone = tuple(keep if i == axis else slice(None) for i in range(whole.ndim))
        # an object may hang together outside the zone only: compare its pieces within
        one, other = (connected(x[zone], background=0) for x in (whole, part))
        if not same_partition(one, other):
            problems.append(
                f"further than the radius of {radius} voxels from a cut across axis {axis} labels "
                f"differ: {compare(one, other)}"
            )
    return problems
