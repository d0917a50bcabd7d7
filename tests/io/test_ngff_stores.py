"""Stores as they are found in the world open, are segmented, and get valid labels that are those of all."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from ngff_zarr.validate import validate
from odd_stores import Odd, middles, spots
from odd_table import TABLE

import seamlabel
from seamlabel.io.ngff.model import open_image

HOW = {
    "backend": "threshold",
    "params": {"value": 50, "smoothing": 0},
    "tile_shape": 16,
    "overlap": 4,
    "executor": "serial",
    "progress": False,
}


@cache
def wanted(axes):
    """Return the labels of a plain array of the same pixels."""
    channels = [1] if "c" in axes else None
    return np.asarray(seamlabel.segment(spots(axes), axes=axes, channels=channels, **HOW).labels)


def attributes(group):
    name = "zarr.json" if (group / "zarr.json").exists() else ".zattrs"
    document = json.loads((group / name).read_text())
    return document["attributes"] if name == "zarr.json" else document


def ngff(group):
    return attributes(group).get("ome", attributes(group))


def has_no_place(image, odd):
    """Return whether labels cannot be put into the image: it is a file, or of a version that is not final."""
    return not image.is_dir() or "dev" in odd.version


@pytest.mark.parametrize("name", TABLE)
def test_a_store_opens_and_gets_the_labels_that_all_get(tmp_path, name):
    wrap, differs = TABLE[name]
    odd = Odd(**differs)
    path, image = wrap(odd, tmp_path)
    before = open_image(path).info
    output = tmp_path / "own.zarr" if has_no_place(image, odd) else None
    channels = [1] if "c" in odd.axes else None
    result = seamlabel.segment(path, output=output, channels=channels, **HOW)
    assert np.array_equal(np.asarray(result.labels), wanted(odd.axes))
    label = (output or image) / "labels" / "labels"
    assert Path(result.path).resolve() == label.resolve()
    assert not list(tmp_path.rglob("*.seamlabel"))

    form, version = (2, "0.4") if odd.form == 2 else (3, "0.6" if odd.version == "0.6" else "0.5")
    assert len(ngff(label)["multiscales"]) == 1
    validate(attributes(label), version=version, model="image")
    validate(attributes(label), version=version, model="label")
    assert ngff(label.parent)["labels"][-1:] == ["labels"]
    if form == 3:
        assert ngff(label.parent)["version"] == version
    assert ngff(label)["image-label"]["version"] == version

    got, kept = open_image(label).info, before.label_axes
    assert got.axes == tuple(before.axes[i] for i in kept)
    for ours, theirs in zip(got.levels, before.levels, strict=True):
        assert ours.shape == tuple(theirs.shape[i] for i in kept)
        assert ours.scale == tuple(theirs.scale[i] for i in kept)
        assert ours.translation == tuple(theirs.translation[i] for i in kept)
    for array, shape in zip(open_image(label).arrays, (level.shape for level in before.levels), strict=True):
        sizes = [(before.shape[i], shape[i]) for i in kept]
        picked = [middles(n, m, odd.factor if n > m else 1) for n, m in sizes]
        assert np.array_equal(array[:], wanted(odd.axes)[np.ix_(*picked)])
