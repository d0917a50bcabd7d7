"""Sample images: written once into the user's cache as OME-Zarr, so that labels can be written back."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from threading import get_ident
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_info

from seamlabel.io.ngff.images import write_image
from seamlabel.napari.layers.open_image import layer_data
from seamlabel.napari.preferences import preferences
from seamlabel.napari.sample_maker import make_and_wait
from seamlabel.testing.cells import Tissue

if TYPE_CHECKING:
    from collections.abc import Callable

MICROMETER = "micrometer"


def cells_2d() -> list[tuple[Any, dict[str, Any], str]]:
    """Return a dense tissue of 4096 × 4096 pixels, some 6,000 touching cells, as layer data."""
    return _layers("cells_2d")


def nuclei_3d() -> list[tuple[Any, dict[str, Any], str]]:
    """Return a volume of 64 × 512 × 512 voxels, twice as thick along z as wide, as layer data."""
    return _layers("nuclei_3d")


def _layers(name: str) -> list[tuple[Any, dict[str, Any], str]]:
    if not is_made(name):
        show_info("Making the sample…")
        make_and_wait(sample_path, name)
    return layer_data(str(sample_path(name)))


def is_made(name: str) -> bool:
    """Return whether a sample is written already."""
    return (cache_folder() / f"{name}.zarr").exists()


def cache_folder() -> Path:
    """Return where samples are kept; ``SEAMLABEL_CACHE`` or the preferences name another place."""
    given = os.environ.get("SEAMLABEL_CACHE") or preferences().cache_folder
    if given:
        return Path(given).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return base / "seamlabel" / "samples"


def sample_path(name: str) -> Path:
    """Return the OME-Zarr of a sample, written now if it is not there yet.

    It is written beside its place and moved there when whole, so that a broken off start leaves
    nothing that looks finished.
    """
    target = cache_folder() / f"{name}.zarr"
    if target.exists():
        return target
    part = target.with_name(f".{name}.{os.getpid()}.{get_ident()}.zarr")
    shutil.rmtree(part, ignore_errors=True)
    part.parent.mkdir(parents=True, exist_ok=True)
    WRITERS[name](part)
    try:
        part.rename(target)
    except OSError:
        shutil.rmtree(part, ignore_errors=True)
        if not target.exists():  # else another window was faster
            raise
    return target


def _write_cells(path: Path) -> None:
    tissue = Tissue((4096, 4096), "dense", seed=1)
    write_image(
        path, tissue.shape, "uint16", tissue.image, axes="yx", scale=(0.5, 0.5), units=(MICROMETER,) * 2
    )


def _write_nuclei(path: Path) -> None:
    tissue = Tissue((64, 512, 512), "sparse", diameter=24, seed=2, anisotropy=2.0)
    write_image(
        path,
        tissue.shape,
        "uint16",
        tissue.image,
        axes="zyx",
        scale=(1.0, 0.5, 0.5),
        units=(MICROMETER,) * 3,
    )


WRITERS: dict[str, Callable[[Path], None]] = {"cells_2d": _write_cells, "nuclei_3d": _write_nuclei}
