"""StarDist models on the disk: where they lie, and what their ``config.json`` says of them.

Reads small JSON files; never imports StarDist, so that a plan can be made without it.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from seamlabel.errors import BackendError

PUBLISHED = {
    "2D_versatile_fluo": 2,
    "2D_versatile_he": 2,
    "2D_paper_dsb2018": 2,
    "2D_demo": 2,
    "3D_demo": 3,
}
"""Names under which StarDist itself finds models, with the number of their space axes."""
WEIGHTS = (".h5", ".hdf5")


@dataclass(frozen=True)
class ModelConfig:
    """What planning has to know of a network.

    Parameters
    ----------
    ndim : int
        Space axes: 2 (yx) or 3 (zyx).
    channels : int
        How many channels it takes.
    divisor : tuple of int
        Voxels per space axis after which the network repeats itself: its grid times its pooling. Tiles
        that begin at multiples of it get what the whole image gets.
    reach : int
        Voxels, along the worst axis, beyond which a pixel cannot change what the network says.
    """

    ndim: int
    channels: int
    divisor: tuple[int, ...]
    reach: int


UNKNOWN = ModelConfig(2, 1, (16, 16), 107)
"""Of a model that is not here (yet): StarDist's U-Net in 2D on a grid of 2, as published ones are."""


def is_published(model: str) -> bool:
    """Return whether StarDist itself knows a model of this name."""
    return model in PUBLISHED


def find_folder(model: str) -> Path | None:
    """Return the folder of a model, None if there is none with a ``config.json``.

    Published models are looked for where StarDist puts them: in the cache of Keras.
    """
    places = _cached(model) if is_published(model) else [Path(model).expanduser()]
    return next((place for place in places if (place / "config.json").is_file()), None)


def cache_folder(model: str) -> Path:
    """Return where StarDist looks for a published model."""
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    return home / "models" / f"StarDist{PUBLISHED[model]}D" / model


def _cached(model: str) -> list[Path]:
    """Return where versions of Keras unpack a published model; 3.6 and later need their own folder."""
    base = cache_folder(model)
    return [base / f"{model}_extracted", base / model, base]


def expected(model: str) -> ModelConfig:
    """Return the configuration of a model, `UNKNOWN` if it cannot be read (told when it is loaded)."""
    folder = find_folder(model)
    try:
        return read_config(folder) if folder else UNKNOWN
    except BackendError:
        return UNKNOWN


def model_files(folder: Path) -> tuple[str, ...]:
    """Return the files of a model that decide on its labels, sorted: configuration, thresholds, weights."""
    found = [folder / "config.json", folder / "thresholds.json"]
    found += [file for file in folder.iterdir() if file.suffix in WEIGHTS]
    return tuple(sorted(str(file) for file in found if file.is_file()))


def read_config(folder: Path) -> ModelConfig:
    """Return what a model's ``config.json`` says; read again only when it has changed.

    Raises
    ------
    BackendError
        If it cannot be read, or is not of a StarDist model.
    """
    file = folder / "config.json"
    try:
        return _parsed(str(file), file.stat().st_mtime_ns)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        msg = f"{file} is not the configuration of a StarDist model ({type(error).__name__}: {error})"
        raise BackendError(msg, "Give the folder that StarDist wrote when the model was trained") from None


@lru_cache(maxsize=64)
def _parsed(file: str, _changed: int) -> ModelConfig:
    values = json.loads(Path(file).read_text(encoding="utf-8"))
    ndim = len(set(values["axes"].upper()) & set("ZYX"))
    grid = tuple(int(n) for n in values["grid"])
    if ndim not in (2, 3) or len(grid) != ndim or int(values["n_rays"]) < 3:
        msg = f"axes {values['axes']}, grid {grid}"
        raise ValueError(msg)
    resnet = values.get("backbone", "unet") == "resnet"
    depth = 0 if resnet else int(values["unet_n_depth"])
    pool = (1,) * ndim if resnet else tuple(int(n) for n in values["unet_pool"])
    divisor = tuple(g * p**depth for g, p in zip(grid, pool, strict=True))
    reach = _resnet_reach if resnet else _unet_reach
    farthest = max(reach(values, axis) for axis in range(ndim))
    return ModelConfig(ndim, int(values["n_channel_in"]), divisor, farthest)


def _unet_reach(values: dict[str, Any], axis: int) -> int:
    """Return how far StarDist's U-Net sees along an axis: backwards from a cell, the deepest way."""
    half, convs = int(values["unet_kernel_size"][axis]) // 2, int(values["unet_n_conv_per_depth"])
    pool, depth = int(values["unet_pool"][axis]), int(values["unet_n_depth"])
    grid, step, farthest = int(values["grid"][axis]), half * convs, 0
    down = [pool] * depth + _grid_pools(values, axis)
    for cell in range(pool**depth):  # they differ in where they lie in their pools
        low = high = cell
        low, high = (low - half, high + half) if int(values["net_conv_after_unet"]) else (low, high)
        for _ in range(depth):
            low, high = (low - step) // pool, (high + step) // pool
        low, high = low - step, high + step
        for wide in down:
            low, high = low * wide - step, high * wide + wide - 1 + step
        farthest = max(farthest, cell * grid - low, high - cell * grid)
    return farthest


def _resnet_reach(values: dict[str, Any], axis: int) -> int:
    """Return how far StarDist's ResNet sees along an axis: backwards through blocks, and the first layers."""
    half, convs = int(values["resnet_kernel_size"][axis]) // 2, int(values["resnet_n_conv_per_block"])
    steps = _grid_pools(values, axis)
    steps = [1] * (int(values["resnet_n_blocks"]) - len(steps)) + steps  # the first blocks pool
    reach = half if int(values["net_conv_after_resnet"]) else 0
    for wide in steps:
        reach = (reach + half * (convs - 1)) * wide + half + wide - 1
    return reach + 3 + 1  # kernels of 7 and 3


def _grid_pools(values: dict[str, Any], axis: int) -> list[int]:
    """Return by what an axis is pooled on the way to the grid, from the grid to the pixels.

    StarDist pools by 2, as often as the coarsest axis needs, and each axis until it has its grid.
    """
    times = max(int(n) for n in values["grid"]).bit_length() - 1
    own = int(values["grid"][axis]).bit_length() - 1
    return [1] * (times - own) + [2] * own
