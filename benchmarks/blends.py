"""Jobs of `python -m benchmarks blending`: one model that changes nothing, patches that overlap by half.

Ours, what one would write by hand, and other packages as their own documentation says to call them. Each
checks that it gave back what it was given. Jobs of peers run on a Python that need not have seamlabel.
"""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.jobs import _used

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from benchmarks.jobs import Job

SIGMA = 1 / 8
"""Of the Gaussian, in patch lengths, as MONAI, patchly and seamlabel have it."""
NEAR = 1e-4
"""What values from 0 to 1 may differ by after they were weighed."""


def _same(tile: Any) -> Any:
    """Predict what is there."""
    return tile


def _peak() -> int:
    """Return the most memory that this process held, in bytes; on Linux since it was last reset."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def _measured(work: Callable[[], Any]) -> tuple[Any, dict[str, Any]]:
    """Return what a function gives, and what it alone took: not the making of its input, nor checks."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    held, before = _peak(), _used()
    found = work()
    after = _used()
    took: dict[str, Any] = {name: after[name] - before[name] for name in ("cpu", "wall")}
    return found, took | {"extra": _peak() - held}


def _pixels(job: Job) -> NDArray[np.float32]:
    import zarr

    array: Any = zarr.open_array(f"{job.image}/0", mode="r")
    return np.asarray(array[...])


def _starts(shape: tuple[int, ...], job: Job) -> Iterator[tuple[int, ...]]:
    yield from product(*(range(0, n - p + 1, p // 2) for n, p in zip(shape, job.tile, strict=True)))


def _copied(pixels: NDArray[np.float32], job: Job) -> Any:
    return pixels.copy()


def _window(job: Job) -> NDArray[np.float32]:
    lines = [np.exp(-0.5 * ((np.arange(p) - (p - 1) / 2) / (SIGMA * p)) ** 2) for p in job.tile]
    return np.multiply.outer(*lines).astype(np.float32)


def _looped(pixels: NDArray[np.float32], job: Job) -> Any:
    window = _window(job)
    total, weight = np.zeros_like(pixels), np.zeros_like(pixels)
    for start in _starts(pixels.shape, job):
        cut = tuple(slice(a, a + p) for a, p in zip(start, job.tile, strict=True))
        total[cut] += _same(pixels[cut]) * window
        weight[cut] += window
    total /= weight
    return total


def _grid(shape: tuple[int, ...], job: Job) -> Any:
    from seamlabel.patch_grid import PatchGrid

    return PatchGrid(shape, job.tile, tuple(p // 2 for p in job.tile))


def _ours(pixels: NDArray[np.float32], job: Job, weights: str = "gaussian") -> Any:
    from seamlabel.blending.blend import Blend
    from seamlabel.blending.predicting import predict

    out = np.empty_like(pixels)
    blend = Blend(_grid(pixels.shape, job), out, weights)
    for _ in predict(blend, lambda box: pixels[box.slices], _same):
        pass
    return out


def _patchly(pixels: NDArray[np.float32], job: Job) -> Any:
    from patchly import Aggregator, GridSampler

    size = {"spatial_size": pixels.shape, "patch_size": job.tile, "step_size": [p // 2 for p in job.tile]}
    sampler = GridSampler(image=pixels, **size)
    aggregator = Aggregator(sampler=sampler, output_size=pixels.shape, weights="gaussian")
    for patch, box in sampler:
        aggregator.append(_same(patch), box)
    return aggregator.get_output()


def _qlty(pixels: NDArray[np.float32], job: Job) -> Any:
    import torch
    from qlty import NCYXQuilt

    quilt = NCYXQuilt(*pixels.shape, **_bordered(job))
    patches = quilt.unstitch(torch.from_numpy(pixels)[None, None])
    return quilt.stitch(_same(patches))[0].numpy()


def _bordered(job: Job) -> dict[str, Any]:
    edge = (job.tile[0] // 16,) * 2
    return {"window": job.tile, "step": tuple(p // 2 for p in job.tile), "border": edge, "border_weight": 0.1}


def _monai(pixels: NDArray[np.float32], job: Job) -> Any:
    import torch
    from monai.inferers import SlidingWindowInferer

    inferer = SlidingWindowInferer(job.tile, overlap=0.5, mode="gaussian")
    with torch.no_grad():
        # it weighs what a model gives in place: the model must not give back the image itself
        return inferer(torch.from_numpy(pixels)[None, None], lambda tile: _same(tile).clone()).numpy()


def _tiler(pixels: NDArray[np.float32], job: Job) -> Any:
    from tiler import Merger, Tiler

    tiler = Tiler(data_shape=pixels.shape, tile_shape=job.tile, overlap=0.5)
    shape, padding = tiler.calculate_padding()
    tiler.recalculate(data_shape=shape)
    merger = Merger(tiler, window="hann")
    for number, tile in tiler(np.pad(pixels, padding, mode="reflect")):
        merger.add(number, _same(tile))
    return merger.merge(unpad=True, extra_padding=padding)


def _array(
    job: Job, image: Any, name: str = "", shape: tuple[int, ...] = (), chunks: tuple[int, ...] = ()
) -> Any:
    """Return a new array with the chunks and the compression of the image."""
    import zarr

    return zarr.create_array(
        os.path.join(job.output, name) if name else job.output,
        shape=shape or image.shape,
        dtype="float32",
        chunks=chunks or image.chunks,
        compressors=image.compressors,
        filters=image.filters,
        config={"write_empty_chunks": True},
    )


def _copied_chunks(image: Any, job: Job) -> str:
    out = _array(job, image)
    for start in product(*(range(0, n, c) for n, c in zip(image.shape, image.chunks, strict=True))):
        cut = tuple(slice(a, a + c) for a, c in zip(start, image.chunks, strict=True))
        out[cut] = image[cut]
    return job.output


def _ours_stored(image: Any, job: Job, weights: str = "gaussian") -> str:
    from seamlabel.blending.blend import Blend
    from seamlabel.blending.predicting import predict
    from seamlabel.io.sources import image_info, open_source

    source = open_source(job.image, image_info(job.image), 0, ())
    blend = Blend(_grid(image.shape, job), _array(job, image), weights)
    for _ in predict(blend, source.read, _same):
        pass
    return job.output


def _ours_with_pyramid(image: Any, job: Job, weights: str = "gaussian") -> str:
    import seamlabel

    half = tuple(p // 2 for p in job.tile)
    edge = {axis: p // 4 for axis, p in zip("yx", job.tile, strict=True)}
    found = seamlabel.blend(
        job.image, _same, tile_shape=half, overlap=edge, weights=weights, output=job.output, workers=1
    )
    return f"{found.path}/0"


def _read_modify_write(image: Any, job: Job) -> str:
    """Add every patch to sums and weights in zarr arrays; divide in the end."""
    total, weight = _array(job, image, "sums"), _array(job, image, "weights")
    window = _window(job)
    for start in _starts(image.shape, job):
        cut = tuple(slice(a, a + p) for a, p in zip(start, job.tile, strict=True))
        total[cut] = total[cut] + _same(image[cut]) * window
        weight[cut] = weight[cut] + window
    for start in product(*(range(0, n, c) for n, c in zip(image.shape, image.chunks, strict=True))):
        cut = tuple(slice(a, a + c) for a, c in zip(start, image.chunks, strict=True))
        total[cut] = total[cut] / weight[cut]
    return f"{job.output}/sums"


def _monai_stored(image: Any, job: Job) -> str:
    import torch
    from monai.inferers import ZarrAvgMerger

    shape, chunks = (1, 1, *image.shape), (1, 1, *image.chunks)
    stores = {"store": "mean", "value_store": "sums", "count_store": "counts"}
    places = {name: f"{job.output}/{place}" for name, place in stores.items()}
    merger = ZarrAvgMerger(merged_shape=shape, chunks=chunks, **places)
    for start in _starts(image.shape, job):
        cut = tuple(slice(a, a + p) for a, p in zip(start, job.tile, strict=True))
        merger.aggregate(torch.from_numpy(_same(image[cut]))[None, None], start)
    merger.finalize()
    return places["store"]


def _qlty_stored(image: Any, job: Job) -> str:
    import torch
    from qlty import LargeNCYXQuilt

    os.makedirs(job.output, exist_ok=True)
    quilt = LargeNCYXQuilt(f"{job.output}/cache", 1, *image.shape, **_bordered(job))
    pixels = torch.from_numpy(np.asarray(image[...]))[None, None]
    for _ in range(quilt.N_chunks):
        number, patch = quilt.unstitch_next(pixels)
        quilt.stitch(_same(patch)[None], number)
    out = _array(job, image, "mean")
    out[...] = np.asarray(quilt.return_mean(), np.float32).reshape(image.shape)
    return f"{job.output}/mean"


IN_MEMORY: dict[str, Callable[[NDArray[np.float32], Job], Any]] = {
    "numpy copy": _copied,
    "numpy loop": _looped,
    "seamlabel, gaussian": _ours,
    "seamlabel, crop": partial(_ours, weights="crop"),
    "patchly": _patchly,
    "qlty": _qlty,
    "monai": _monai,
    "tiler": _tiler,
}
STORED: dict[str, Callable[[Any, Job], str]] = {
    "chunk copy": _copied_chunks,
    "seamlabel, gaussian": _ours_stored,
    "seamlabel, crop": partial(_ours_stored, weights="crop"),
    "seamlabel, gaussian, OME-Zarr": _ours_with_pyramid,
    "seamlabel, crop, OME-Zarr": partial(_ours_with_pyramid, weights="crop"),
    "read, modify, write": _read_modify_write,
    "monai": _monai_stored,
    "qlty": _qlty_stored,
}


def in_memory(job: Job) -> dict[str, Any]:
    """Carry out the job of `IN_MEMORY` that its kind names, on pixels in memory; check what it returns."""
    pixels, work = _pixels(job), IN_MEMORY[job.kind.partition(": ")[2]]
    found, took = _measured(lambda: work(pixels, job))
    for a, b in zip(np.asarray(found).reshape(pixels.shape), pixels, strict=True):
        _check(a, b)
    return took


def stored(job: Job) -> dict[str, Any]:
    """Carry out the job of `STORED` that its kind names, from zarr to zarr; check the array that it made."""
    import zarr

    image: Any = zarr.open_array(f"{job.image}/0", mode="r")
    work = STORED[job.kind.partition(": ")[2]]
    made, took = _measured(lambda: work(image, job))
    found: Any = zarr.open_array(made, mode="r")
    for row in range(0, image.shape[0], image.chunks[0]):
        band = image[row : row + image.chunks[0]]
        _check(np.asarray(found[..., row : row + image.chunks[0], :]).reshape(band.shape), band)
    return took


def _check(found: NDArray[Any], true: NDArray[Any]) -> None:
    off = float(np.abs(found - true).max())
    assert off < NEAR, f"values differ by {off}"


def held(job: Job) -> dict[str, Any]:
    """Blend a map of `count` rows of 8192 that is kept nowhere; return the most that was held of it."""
    from seamlabel.blending.blend import Blend
    from seamlabel.patch_grid import PatchGrid

    class Nowhere:
        shape, dtype, chunks = (job.count, 8192), np.dtype(np.float32), job.tile

        def __setitem__(self, key: Any, block: Any) -> None:
            pass

    grid = PatchGrid(Nowhere.shape, job.tile, tuple(p // 2 for p in job.tile))
    blend, most, tile = Blend(grid, Nowhere(), "gaussian"), 0, np.ones(job.tile, np.float32)
    for number in blend.needed():
        blend.add(number, tile)
        most = max(most, blend.held)
    blend.finish()
    return {"held": most, "patches": len(grid), "rows": job.count}
