"""Images written with zarr alone (not with the code under test), plans, and judges of what was written."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path
from typing import Any

import napari_ome_zarr
import numpy as np
import ome_zarr_models
import pytest
import yaozarrs
import zarr

from seamlabel.geometry import Box
from seamlabel.io.ngff.labels import LabelWriter, open_sink
from seamlabel.io.sources import image_info
from seamlabel.plan import Plan, resolve
from seamlabel.spec import RunSpec

UNITS = {"t": "second", "c": None, "z": "nanometer", "y": "nanometer", "x": "nanometer"}
KINDS = {"t": "time", "c": "channel"}
SIZES = {"t": 2, "c": 3, "z": 5, "y": 45, "x": 61}
STEPS = {"t": 2.0, "c": 1.0, "z": 3.0, "y": 0.65, "x": 0.65}


class Bench:
    """Makes images and labels in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def image(
        self,
        axes: str = "yx",
        version: str = "0.5",
        *,
        name: str = "image.zarr",
        transforms: str = "scale",
        units: bool = True,
        consolidated: bool = False,
        group: str = "",
    ) -> Path:
        """Write an image of two levels (odd sizes, rounded up) and return its path."""
        root = self.folder / name
        path = root / group if group else root
        v3 = version == "0.5"
        image = zarr.create_group(str(path), zarr_format=3 if v3 else 2)
        shape = tuple(SIZES[a] for a in axes)
        datasets = []
        for level, factor in enumerate((1, 2)):
            sizes = tuple(-(-n // factor) if a in "yx" else n for a, n in zip(axes, shape, strict=True))
            image.create_array(
                str(level),
                data=pixels(sizes),
                chunks=tuple(16 if a in "yx" else 1 for a in axes),
                **({"dimension_names": list(axes)} if v3 else {}),
            )
            datasets.append(
                {"path": str(level), "coordinateTransformations": _steps(axes, factor, transforms)}
            )
        multiscale: dict[str, Any] = {"name": "image", "axes": _axes(axes, units), "datasets": datasets}
        if transforms == "top":
            multiscale["coordinateTransformations"] = [{"type": "scale", "scale": [2.0] * len(axes)}]
        if v3:
            image.attrs["ome"] = {"version": "0.5", "multiscales": [multiscale]}
        else:
            image.attrs["multiscales"] = [{"version": "0.4", **multiscale}]
        if consolidated:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                zarr.consolidate_metadata(str(root))
        return path

    def plan(self, image: Any, name: str = "cells", *, axes: str | None = None, **spec: Any) -> Plan:
        """Return a plan that segments the first channel."""
        info = image_info(image, axes=axes, output=spec.get("output"))
        channels = (0,) if info.channel_axis is not None else None
        path = str(image) if isinstance(image, Path) else None
        wanted = RunSpec(image=path, name=name, channels=channels, **spec)
        return resolve(wanted, info, memory_bytes=10**9, cores=2)

    def write(self, plan: Plan, value: int = 7) -> LabelWriter:
        """Write a label of one value everywhere, up to before its commit."""
        sink = open_sink(plan)
        sink.begin("uint32", tuple(tuple(min(16, n) for n in shape) for shape in sink.shapes))
        for level, shape in enumerate(sink.shapes):
            sink.write(level, Box.whole(shape), np.full(shape, value, "uint32"))
        return sink

    def commit(self, plan: Plan, value: int = 7) -> Path:
        """Write a label whole and return its group."""
        sink = self.write(plan, value)
        sink.commit()
        return Path(sink.path)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture(name="judge")
def _judge() -> Any:
    return judge


@pytest.fixture(name="checksum")
def _checksum() -> Any:
    return checksum


def pixels(shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Return values that differ from voxel to voxel."""
    return np.arange(np.prod(shape), dtype="uint16").reshape(shape)


def _axes(axes: str, units: bool) -> list[dict[str, str]]:
    described = []
    for a in axes:
        axis = {"name": a, "type": KINDS.get(a, "space")}
        unit = UNITS[a] if units else None
        described.append({**axis, "unit": unit} if unit else axis)
    return described


def _steps(axes: str, factor: int, transforms: str) -> list[dict[str, Any]]:
    scale = [STEPS[a] * (factor if a in "yx" else 1) for a in axes]
    steps: list[dict[str, Any]] = [{"type": "scale", "scale": scale}]
    if transforms == "translation":
        offsets = [100.0 + (factor - 1) * 0.325 if a in "yx" else 0.0 for a in axes]
        steps.append({"type": "translation", "translation": offsets})
    return steps


def checksum(folder: Path, *, without: tuple[str, ...] = ()) -> dict[str, str]:
    """Return a digest of every file below a folder, but of those below `labels` and of some names."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and "labels" not in file.relative_to(folder).parts and file.name not in without
    }


def judge(image: Path, label: Path, version: str) -> tuple[Any, Any]:
    """Have the validators pass a label and return napari's (image layer, label layer) data."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in (label, label.parent):
            model = ome_zarr_models.open_ome_zarr(zarr.open_group(str(path), mode="r"))
            assert model.ome_zarr_version == version
            if version == "0.5":
                yaozarrs.validate_zarr_store(str(path))
        assert (
            type(ome_zarr_models.open_ome_zarr(zarr.open_group(str(label), mode="r"))).__name__
            == "ImageLabel"
        )
        layers = napari_ome_zarr.napari_get_reader(str(image))(str(image))
    found = [
        layer for layer in layers if layer[2] == "labels" and layer[1].get("name", "").endswith(label.name)
    ]
    assert len(found) == 1, [layer[1:] for layer in layers]
    return layers[0], found[0]
