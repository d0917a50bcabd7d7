"""Intensity statistics of pixels: extremes, moments, percentiles, thresholds by Otsu, Li and triangle.

Knows a flat array of pixels; not which image, level or channel they come from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BINS = 4096
"""Bins of the histogram of floating-point pixels."""
_DENSE = 1 << 22
"""Range of integers up to which they are counted without sorting."""
_BLOCK = 1 << 22
_STEPS = 1000
"""Most steps of an iteration; a dozen are usual."""


@dataclass(frozen=True)
class ImageStatistics:
    """Statistics of pixels, from their histogram; meets `seamlabel.protocols.Statistics`.

    Parameters
    ----------
    minimum, maximum : float
        Extremes of the pixels that are finite.
    values : array of float, shape (n,)
        Ascending: the values there are (integers), or centres of bins.
    counts : array of int, shape (n,)
        Pixels of each value or bin.
    width : float
        Width of a bin; 0 where values are exact.
    """

    minimum: float
    maximum: float
    values: NDArray[np.float64] = field(repr=False)
    counts: NDArray[np.int64] = field(repr=False)
    width: float = 0.0

    @classmethod
    def of(cls, pixels: NDArray[Any]) -> ImageStatistics:
        """Take the statistics of pixels of any shape.

        Integers and booleans are counted exactly, floats in `BINS` bins between their extremes.
        NaN and infinite pixels are ignored.

        Raises
        ------
        ValueError
            If there is no pixel, or none that is finite.
        """
        flat = np.asarray(pixels).ravel()
        if flat.dtype.kind == "f":
            flat = flat[np.isfinite(flat)]
        if not flat.size:
            msg = f"no finite pixel among {np.size(pixels)} of type {np.asarray(pixels).dtype}"
            raise ValueError(msg)
        if flat.dtype.kind == "b":
            flat = flat.view(np.uint8)
        low, high = flat.min(), flat.max()
        if flat.dtype.kind == "f" and high > low:
            return _of_floats(flat, float(low), float(high))
        if flat.dtype.kind == "f":
            return cls(float(low), float(high), np.array([low], np.float64), np.array([flat.size]))
        return cls(float(low), float(high), *_count(flat, int(low), int(high)))

    @property
    def mean(self) -> float:
        """Mean of the pixels that are finite; exact to a bin's width for floating-point ones."""
        offsets = self.values - self.values[0]  # keeps large values, such as 64-bit ones, precise
        return float(self.values[0] + np.average(offsets, weights=self.counts))

    @property
    def deviation(self) -> float:
        """Standard deviation of those pixels, that of the population."""
        return float(np.sqrt(np.average((self.values - self.mean) ** 2, weights=self.counts)))

    def otsu(self) -> float:
        """Return Otsu's threshold: the last value (or bin centre) of the darker class.

        Maximises the between-class variance ``(mu_T w(k) - mu(k))^2 / (w(k) (1 - w(k)))``, eq. 18
        of N. Otsu, A threshold selection method from gray-level histograms, IEEE Trans. SMC 9,
        62-66 (1979); the lowest of equal maxima. Of an even image: its value, which nothing exceeds.
        """
        if len(self.values) == 1:
            return float(self.values[0])
        weights = np.cumsum(self.counts)[:-1] / self.counts.sum()
        offsets = self.values - self.values[0]  # keeps large values, such as 64-bit ones, precise
        sums = np.cumsum(offsets * (self.counts / self.counts.sum()))
        between = (sums[-1] * weights - sums[:-1]) ** 2 / (weights * (1 - weights))
        return float(self.values[int(np.argmax(between))])

    def li(self) -> float:
        """Return Li's threshold, at which the cross entropy of image and two-valued image is least.

        By the iteration of C. H. Li and P. K. S. Tam, An iterative algorithm for minimum cross entropy
        thresholding, Pattern Recognition Letters 19, 771-776 (1998), eq. 11, which begins at the mean
        and ends when it moves by less than half a value (or bin). Of an even image: its value.
        """
        if len(self.values) == 1:
            return float(self.values[0])
        offsets = self.values - self.minimum  # logarithms need values that are not negative
        counts, sums = np.cumsum(self.counts), np.cumsum(offsets * self.counts)
        tolerance, level = self.width / 2 or 0.5, float(sums[-1] / counts[-1])
        for _ in range(_STEPS):
            last = min(int(np.searchsorted(offsets, level, side="right")), len(offsets) - 1) - 1
            dark = sums[last] / counts[last]
            bright = (sums[-1] - sums[last]) / (counts[-1] - counts[last])
            if dark <= 0:
                break
            before, level = level, float((dark - bright) / (np.log(dark) - np.log(bright)))
            if abs(level - before) <= tolerance:
                break
        return level + self.minimum

    def triangle(self) -> float:
        """Return the threshold by the triangle method, for one high peak and a long tail.

        The value whose count lies furthest below the line from the peak of the histogram to the end of
        its longer tail: G. W. Zack, W. E. Rogers and S. A. Latt, Automatic measurement of sister
        chromatid exchange frequency, J. Histochem. Cytochem. 25, 741-753 (1977). Never the largest
        value, above which nothing would lie; of an even image: its value.
        """
        if len(self.values) == 1:
            return float(self.values[0])
        step = self.width or _step(self.values)
        place = np.rint((self.values - self.values[0]) / step)
        top = int(np.argmax(self.counts))
        below = place[top] >= place[-1] - place[top]  # the longer tail is the darker one
        tail = slice(None, top) if below else slice(-1, top, -1)
        away, counts = abs(place[tail] - place[0 if below else -1]), self.counts[tail]
        width, peak = abs(place[top] - place[0 if below else -1]), self.counts[top]
        # within a gap of the histogram the line is furthest at its end that is nearer to the peak
        gaps = np.append(away[1:], width) - 1
        gaps = gaps[gaps > away]
        where = np.concatenate([away, gaps])
        length = peak * where - width * np.concatenate([counts, np.zeros(gaps.size)])
        best = where[length == length.max()].min()
        found = self.values[0] + step * best if below else self.values[-1] - step * best
        return float(min(found, self.values[-2]))

    def percentile(self, percent: float) -> float:
        """Return the lowest value (or upper edge of a bin) that `percent` % of the pixels do not exceed.

        Raises
        ------
        ValueError
            If `percent` is not within 0 to 100.
        """
        if not 0 <= percent <= 100:
            msg = f"percent {percent} is not within 0 to 100"
            raise ValueError(msg)
        if percent == 0:
            return self.minimum
        total = np.cumsum(self.counts)
        place = int(np.searchsorted(total, percent / 100 * total[-1]))
        return min(self.maximum, float(self.values[min(place, len(total) - 1)]) + self.width / 2)


def _step(values: NDArray[np.float64]) -> float:
    """Return the largest whole number that all differences are multiples of."""
    gaps = np.diff(values)
    return float(np.gcd.reduce(gaps.astype(np.int64))) or 1.0 if gaps.max() < 2**62 else 1.0


def _count(flat: NDArray[Any], low: int, high: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the values that integers have, and how many have each."""
    if high - low >= _DENSE:
        values, counts = np.unique(flat, return_counts=True)
        return values.astype(np.float64), counts.astype(np.int64)
    dense = np.zeros(high - low + 1, np.int64)
    for start in range(0, flat.size, _BLOCK):
        block = flat[start : start + _BLOCK]
        # a narrow signed type cannot hold the difference, uint64 does not fit into a signed one
        shifted = block - flat.dtype.type(low) if low >= 0 else block.astype(np.int64) - low
        dense += np.bincount(shifted.astype(np.intp, copy=False), minlength=dense.size)
    present = np.flatnonzero(dense)
    return present.astype(np.float64) + low, dense[present]


def _of_floats(flat: NDArray[Any], low: float, high: float) -> ImageStatistics:
    width = high / BINS - low / BINS
    if not width > 0:  # a range of denormal numbers cannot be divided
        return ImageStatistics(low, high, np.array([low, high]), np.array([1, flat.size - 1]))
    counts = np.zeros(BINS, np.int64)
    for start in range(0, flat.size, _BLOCK):
        places = (flat[start : start + _BLOCK].astype(np.float64) - low) / width
        counts += np.bincount(np.minimum(places.astype(np.intp), BINS - 1), minlength=BINS)
    values = np.arange(BINS, dtype=np.float64) * width + (low + 0.5 * width)
    full = np.flatnonzero(counts)
    return ImageStatistics(low, high, values[full], counts[full], width)
