"""Labels written as TIFF: the same labels, their size in the world, one file that is whole or not there."""

from __future__ import annotations

import os
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile
import zarr

from seamlabel.cli import main
from seamlabel.errors import ImageError, OutputError, SpecError
from seamlabel.io import export
from seamlabel.io.convert import convert
from seamlabel.io.export import export_labels
from seamlabel.io.ngff.images import write_image
from seamlabel.io.ngff.model import open_image

RANDOM = np.random.default_rng(0)


def labels_at(path, pixels, axes, **options):
    """Write labels as an image without channels: that is what a label group is."""
    write_image(path, pixels.shape, pixels.dtype.name, lambda box: pixels[box.slices], axes=axes, **options)
    return path


def sparse(shape, dtype="uint32"):
    pixels = RANDOM.integers(1, 2**20, shape).astype(dtype)
    pixels[..., : shape[-1] // 2] = 0
    return pixels


@pytest.mark.parametrize(
    ("axes", "shape", "chunks"),
    [
        ("yx", (700, 1100), (300, 128)),
        ("zyx", (9, 530, 70), (4, 128, 32)),
        ("tyx", (3, 70, 90), (1, 64, 64)),
        ("tzyx", (2, 5, 70, 90), (1, 3, 64, 64)),
    ],
)
def test_every_voxel_is_where_it_was(tmp_path, axes, shape, chunks):
    pixels = sparse(shape)
    source = labels_at(tmp_path / "cells", pixels, axes, chunks=chunks)
    seen = []
    out = export_labels(source, tmp_path / "cells.tif", on_progress=lambda *told: seen.append(told))
    with tifffile.TiffFile(out) as file:
        (series,) = file.series
        assert (series.axes, series.dtype) == (axes.upper(), np.dtype("uint32"))
        assert np.array_equal(series.asarray(), pixels)
        page = file.pages.first
        assert (page.is_tiled, page.compression.name) == (True, "ADOBE_DEFLATE")
        assert not file.is_bigtiff
    assert seen[-1] == (pixels.size, pixels.size)
    assert sorted(os.listdir(tmp_path)) == ["cells", "cells.tif"]


def test_sizes_and_units_are_told_in_the_words_of_ome(tmp_path):
    scale, units = (0.5, 2.0, 65.0, 0.1), ("second", "micrometer", "nanometer", None)
    source = labels_at(tmp_path / "a", sparse((2, 3, 40, 50)), "tzyx", scale=scale, units=units, levels=2)
    out = export_labels(source, tmp_path / "a.tif", level=1)
    xml = ElementTree.fromstring(tifffile.TiffFile(out).ome_metadata)
    told = next(e for e in xml.iter() if e.tag.endswith("Pixels")).attrib
    wanted = {
        "TimeIncrement": "0.5",
        "TimeIncrementUnit": "s",
        "PhysicalSizeZ": "2.0",
        "PhysicalSizeZUnit": "µm",
        "PhysicalSizeY": str(65.0 * open_image(source).info.levels[1].scale[2] / 65.0),
        "PhysicalSizeYUnit": "nm",
        "PhysicalSizeXUnit": "reference frame",
        "SizeX": str(open_image(source).info.levels[1].shape[3]),
    }
    assert {key: told[key] for key in wanted} == wanted
    convert(out, tmp_path / "back.zarr")
    back = open_image(tmp_path / "back.zarr").info
    assert back.scale[:3] == open_image(source).info.levels[1].scale[:3]
    assert back.units[:3] == units[:3]


def test_large_labels_become_a_bigtiff(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "BIG_BYTES", 1 << 10)
    pixels = sparse((70, 90))
    out = export_labels(labels_at(tmp_path / "a", pixels, "yx"), tmp_path / "a.tif")
    with tifffile.TiffFile(out) as file:
        assert file.is_bigtiff
        assert np.array_equal(file.asarray(), pixels)


@pytest.mark.parametrize("dtype", ["uint64", "int64"])
def test_long_ids_become_32_bits_if_they_fit(tmp_path, dtype):
    pixels = sparse((70, 90), dtype)
    out = export_labels(labels_at(tmp_path / "a", pixels, "yx"), tmp_path / "a.tif")
    assert tifffile.imread(out).dtype == "uint32"
    assert np.array_equal(tifffile.imread(out), pixels)
    pixels[0, -1] = 1 << 32
    with pytest.raises(OutputError, match="do not fit the 32 bits"):
        export_labels(labels_at(tmp_path / "b", pixels, "yx"), tmp_path / "b.tif")
    assert not (tmp_path / "b.tif").exists()


def test_what_cannot_be_exported_is_told(tmp_path, capsys):
    image = labels_at(tmp_path / "image.zarr", sparse((40, 50)), "yx")
    group = zarr.open_group(str(image))
    group.create_group("labels").attrs["ome"] = {"labels": ["cells"]}
    with pytest.raises(ImageError, match="holds labels") as found:
        export_labels(image, tmp_path / "a.tif")
    assert found.value.hint == f"Give one of them: {image}/labels/cells"
    for pixels, axes in ((np.zeros((3, 40, 50), "uint8"), "cyx"), (np.zeros((40, 50), "float32"), "yx")):
        with pytest.raises(ImageError, match="holds no labels"):
            export_labels(labels_at(tmp_path / axes, pixels, axes), tmp_path / "a.tif")
    good = str(labels_at(tmp_path / "good", sparse((40, 50)), "yx"))
    with pytest.raises(SpecError, match="no level 3"):
        export_labels(good, tmp_path / "a.tif", level=3)
    for out in ("a.png", "nowhere/a.tif"):
        assert main(["export", good, str(tmp_path / out)]) == 1
    out = str(tmp_path / "a.tif")
    assert main(["export", good, out, "--level", "0"]) == 0
    assert capsys.readouterr().out == f"{out}\n"
    assert main(["export", good, out]) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert main(["export", good, out, "--overwrite", "--quiet"]) == 0


def test_a_broken_export_leaves_the_old_file(tmp_path, monkeypatch):
    source = labels_at(tmp_path / "a", sparse((700, 600)), "yx")
    out = tmp_path / "a.tif"
    out.write_bytes(b"old")

    def full(*_):
        raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match="No space left") as found:
        export_labels(source, out, overwrite=True, on_progress=full)
    assert "Free some space" in found.value.hint
    assert out.read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["a", "a.tif"]


def test_every_chunk_is_decoded_once(tmp_path, monkeypatch):
    source = labels_at(tmp_path / "a", sparse((8, 600, 600)), "zyx", chunks=(4, 128, 128))
    readers = []
    real = export.ChunkReader
    monkeypatch.setattr(export, "ChunkReader", lambda *args: readers.append(real(*args)) or readers[-1])
    export_labels(source, tmp_path / "a.tif")
    assert readers[0].decoded <= 2 * 5 * 5
