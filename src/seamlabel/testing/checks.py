"""`check_backend`: whether a backend keeps the contract, for its authors to call in their tests.

Knows the contract of `seamlabel.protocols.Segmenter` only, not how anybody segments.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING, Any

import cloudpickle
import numpy as np

from seamlabel import registry
from seamlabel.auto import alignment
from seamlabel.errors import SpecError
from seamlabel.kernels.statistics import ImageStatistics
from seamlabel.protocols import SegmentContext
from seamlabel.testing.cells import Tissue
from seamlabel.testing.parameters import odd_parameters
from seamlabel.testing.partition import PartitionReport, compare

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from seamlabel.protocols import Image, Labels, Segmenter
    from seamlabel.registry import Backend


def check_backend(
    backend: str | Callable[..., Labels],
    params: Mapping[str, Any] | None = None,
    *,
    image: Image | None = None,
    axes: str = "yx",
    channels: int = 1,
    rounding: int = 0,
) -> None:
    """Check that a backend keeps the contract; return quietly if it does.

    * Labels have the spatial shape, are integers and not negative.
    * A second call gives the same, and so do two threads at once; the image is not changed.
    * An image of zeros, an even one and a small piece of odd size are no errors.
    * It reaches other processes: it can be pickled, and then does the same.
    * Parameters: defaults are within their ranges; values at the ends of ranges make parameters, or are
      refused with a `ValueError`; what they say of themselves (`radius`, `diameter`, `align`) are numbers.
    * If the parameters have a `radius`, labels of a part agree with those of the whole further than that
      from the cut; parts begin at multiples of `align`.

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
    rounding : int
        Voxels that may be foreground in a part and not in the whole, or the other way round, where
        objects are the same. Libraries that run networks add up in another order for parts of other
        shapes, so that a voxel at the threshold may fall on either side. 0 for all other backends.

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
    subject = _Subject.of(backend, params, pixels, axes)
    segment, before = subject.make(), pixels.copy()
    labels = segment(pixels)
    problems = _not_labels(labels, before.shape[-len(axes) :])
    if not np.array_equal(before, pixels, equal_nan=pixels.dtype.kind == "f"):
        problems.append("the image was changed: work on a copy")
    if not problems:
        problems += _not_steady(subject, segment, before, np.asarray(labels))
        problems += _not_hardy(segment, before, len(axes))
        problems += _not_portable(subject, before, np.asarray(labels))
        problems += odd_parameters(subject.record, subject.params)
    if not problems and subject.radius is not None:
        problems += _not_local(segment, before, np.asarray(labels), subject, rounding)
    assert not problems, "\n".join(problems)


def _tissue(axes: str, channels: int) -> Image:
    shape = (160, 320) if len(axes) == 2 else (32, 64, 160)
    cells = Tissue(shape, "dense", diameter=16)
    planes = [replace(cells, seed=i).image() for i in range(channels)]
    return planes[0] if channels == 1 else np.stack(planes)


@dataclass(frozen=True)
class _Subject:
    """What is checked: a function, or a backend with parameters and what it may know of the image."""

    function: Callable[..., Labels] | None
    record: Backend | None
    params: Any
    context: SegmentContext

    @classmethod
    def of(
        cls,
        backend: str | Callable[..., Labels],
        params: Mapping[str, Any] | None,
        pixels: Image,
        axes: str,
    ) -> _Subject:
        planes = pixels if pixels.ndim > len(axes) else pixels[None]
        context = SegmentContext(
            axes=axes,
            dtype=pixels.dtype.name,
            scale=(1.0,) * len(axes),
            channels=tuple(map(str, range(len(planes)))),
            statistics=lambda i: ImageStatistics.of(planes[i]),
            filtered=lambda i, function: ImageStatistics.of(function(planes[i], (1.0,) * len(axes))),
        )
        if not isinstance(backend, str):
            return cls(backend, None, None, context)
        record = registry.backend(backend)
        parsed, problems = record.parse(params or {})
        if problems:
            raise SpecError(problems)
        if record.whole_object:
            parsed = replace(parsed, **dict.fromkeys(record.whole_object, 0))
        return cls(None, record, parsed, context)

    def make(self) -> Segmenter:
        """Return a segmenter as the engine makes it."""
        if self.record is None:
            assert self.function is not None
            return self.function
        return self.record.make(self.params, self.context)

    @property
    def shared(self) -> bool:
        """Whether one segmenter serves all threads."""
        return self.record is None or self.record.shared

    @property
    def radius(self) -> int | None:
        """Voxels beyond which a cut is said to change nothing; None if nothing is said."""
        found = getattr(self.params, "radius", None)
        return None if found is None else ceil(found)

    @property
    def align(self) -> tuple[int, ...]:
        """What tiles are read from multiples of, per axis."""
        return alignment(self.params, len(self.context.axes))


def _not_labels(labels: Any, shape: tuple[int, ...]) -> list[str]:
    found = np.asarray(labels)
    if found.shape != shape:
        return [f"labels have shape {found.shape}, the image has {shape}"]
    if found.dtype.kind not in "iu":
        return [f"labels are of type {found.dtype}, not integers"]
    if found.size and found.min() < 0:
        return [f"a label is negative: {found.min()}"]
    return []


def _not_steady(subject: _Subject, segment: Segmenter, pixels: Image, labels: NDArray[Any]) -> list[str]:
    """Segment again, and twice at once as the engine's threads do."""
    if not np.array_equal(np.asarray(segment(pixels.copy())), labels):
        return ["a second call gave other labels: fix seeds, keep no state"]
    both = [segment, segment if subject.shared else subject.make()]
    with ThreadPoolExecutor(2) as pool:
        found = [np.asarray(each) for each in pool.map(lambda one: one(pixels.copy()), both)]
    if all(np.array_equal(each, labels) for each in found):
        return []
    return ["two threads at once gave other labels: share nothing that changes, or lock it"]


def _not_hardy(segment: Segmenter, pixels: Image, ndim: int) -> list[str]:
    """Segment images that hold nothing or little."""
    small: tuple[Any, ...] = (..., *(slice(0, side) for side in (5, 17, 23)[-ndim:]))
    images = {
        "an image of zeros": np.zeros_like(pixels),
        "an image of ones": np.ones_like(pixels),
        "a small piece": np.ascontiguousarray(pixels[small]),
    }
    problems = []
    for what, image in images.items():
        try:
            found = _not_labels(segment(image), image.shape[-ndim:])
        except Exception as error:  # noqa: BLE001 - it is the one that is checked
            found = [f"{type(error).__name__}: {error}"]
        problems += [f"on {what}: {problem}" for problem in found]
    return problems


def _not_portable(subject: _Subject, pixels: Image, labels: NDArray[Any]) -> list[str]:
    """Make it again of what another process would get."""
    try:
        packed = cloudpickle.dumps(subject.function or (subject.record, subject.params))
        other = cloudpickle.loads(packed)
    except Exception as error:  # noqa: BLE001 - objects raise what they like when pickled
        reason = f"{type(error).__name__}: {error}"
        return [f"it cannot be pickled for other processes ({reason}): make locks, files and models late"]
    segment = other if subject.record is None else other[0].make(other[1], subject.context)
    if np.array_equal(np.asarray(segment(pixels.copy())), labels):
        return []
    return ["made of what was pickled it gives other labels: keep all that matters in the parameters"]


def _not_local(
    segment: Segmenter, pixels: Image, whole: NDArray[Any], subject: _Subject, rounding: int
) -> list[str]:
    """Compare parts that are cut off at a third and at two thirds of each axis with the whole."""
    problems, radius = [], subject.radius or 0
    for axis, step in enumerate(subject.align):
        size = whole.shape[axis]
        low, high = size // 3 // step * step, size * 2 // 3
        for start, stop in ((0, high), (low, size)):
            zone = (start + radius * (start > 0), stop - radius * (stop < size))
            if zone[1] <= zone[0]:
                continue
            along = axis + pixels.ndim - whole.ndim
            part = np.asarray(segment(np.ascontiguousarray(pixels.take(range(start, stop), along))))
            differ = _differ(whole, part, axis, start, zone)
            if not _the_same(differ, rounding):
                where = "above" if start else "below"
                problems.append(
                    f"further than the radius of {radius} voxels from a cut across axis {axis} labels "
                    f"{where} it differ: {differ}"
                )
    return problems


def _differ(
    whole: NDArray[Any], part: NDArray[Any], axis: int, start: int, zone: tuple[int, int]
) -> PartitionReport:
    """Return how a part that begins at `start` differs from the whole between two places of an axis."""
    from skimage.measure import label as connected  # slow to import

    def cut(labels: NDArray[Any], first: int) -> NDArray[Any]:
        here = slice(zone[0] - first, zone[1] - first)
        # an object may hang together outside the zone only: compare its pieces within
        return np.asarray(
            connected(
                labels[tuple(here if i == axis else slice(None) for i in range(labels.ndim))], background=0
            )
        )

    one, other = cut(whole, 0), cut(part, start)
    return compare(one, other)


def _the_same(report: PartitionReport, rounding: int) -> bool:
    """Return whether objects are the same, but for so many voxels."""
    close = report.n_a == report.n_b and not report.merges and not report.splits
    return report.same or (close and 0 < report.foreground_differs <= rounding)
