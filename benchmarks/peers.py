"""Other packages' jobs, each as its own documentation says to call it. Imported where it runs.

Knows `benchmarks.jobs.Job`; nothing of seamlabel, which need not be installed beside them.
"""

from __future__ import annotations

from pathlib import Path
from shutil import copy2
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.jobs import FUNCTIONS, LABEL_CHUNKS, THRESHOLD

if TYPE_CHECKING:
    from benchmarks.jobs import Job


def patchworks_default(job: Job) -> dict[str, Any]:
    """Run patchworks into the store with its default merge: labels that touch are one object."""
    return _patchworks(job)


def patchworks_iou(job: Job) -> dict[str, Any]:
    """Run patchworks into the store with `stitch="iou"`, on 2 voxels of overlap at least."""
    return _patchworks(job, least=2, stitch="iou")


def _patchworks(job: Job, least: int = 0, **options: Any) -> dict[str, Any]:
    from patchworks import tile_process

    store = linked(Path(job.image), Path(job.output))
    tile_process(
        str(store),
        FUNCTIONS[job.function],
        tile_shape=job.tile,
        overlap=max(least, job.overlap),
        max_workers=job.workers,
        progress=False,
        **options,
    )
    return {"labels": str(store / "labels" / "labels" / "0"), "kept": str(store / "labels")}


def linked(image: Path, store: Path) -> Path:
    """Return an OME-Zarr of one's own whose levels are links to those of an image."""
    store.mkdir(parents=True)
    for part in image.iterdir():
        if part.is_dir():
            (store / part.name).symlink_to(part, target_is_directory=True)
        else:
            copy2(part, store / part.name)
    return store


def dask_image_label(job: Job) -> dict[str, Any]:
    """Run `dask_image.ndmeasure.label` on the thresholded image, into an array."""
    import dask
    import dask.array as da
    import zarr
    from dask_image.ndmeasure import label

    image = da.from_zarr(f"{job.image}/0", chunks=job.tile)
    labels, _ = label(image > THRESHOLD, np.ones((3,) * image.ndim, bool))
    out = zarr.create_array(
        job.output,
        shape=image.shape,
        dtype=labels.dtype,
        chunks=tuple(map(min, LABEL_CHUNKS[image.ndim], image.shape)),
        compressors=zarr.codecs.ZstdCodec(level=1),
    )
    with dask.config.set(scheduler="threads", num_workers=job.workers):
        da.store(labels, out, lock=False)
    return {"labels": job.output}
