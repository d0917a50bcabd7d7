"""Reading NGFF images: tolerant where it is safe, clear where it is not."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pytest
import zarr

from seamlabel.errors import ImageError
from seamlabel.io.ngff.model import open_image


def raw_image(path, multiscale, shapes=((20, 30),), *, ngff=None, zarr_format=2, dtype="uint16"):
    """Write a group with these metadata, right or wrong."""
    group = zarr.create_group(str(path), zarr_format=zarr_format)
    for level, shape in enumerate(shapes):
        group.create_array(str(level), shape=shape, dtype=dtype, chunks=tuple(min(n, 8) for n in shape))
    attributes = {**(ngff or {}), **({"multiscales": [multiscale]} if multiscale is not None else {})}
    group.attrs.update({"ome": attributes} if zarr_format == 3 else attributes)
    return path


def datasets(count=1, **more):
    return [{"path": str(level), **more} for level in range(count)]


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_an_image_is_described_whole(bench, version):
    path = bench.image("tczyx", version, transforms="translation")
    info = open_image(path).info
    assert (info.names, info.dtype, info.ngff_version, info.writable) == ("tczyx", "uint16", version, True)
    assert info.units == ("second", None, "nanometer", "nanometer", "nanometer")
    assert [level.shape for level in info.levels] == [(2, 3, 5, 45, 61), (2, 3, 5, 23, 31)]
    assert info.chunks == (1, 1, 1, 16, 16)
    assert info.levels[1].scale == pytest.approx((2, 1, 3, 1.3, 1.3))
    assert info.levels[1].translation == pytest.approx((0, 0, 0, 100.325, 100.325))
    assert info.channels == ("0", "1", "2")
    assert info.path == str(path)


def test_pixels_are_read_only(bench):
    array = open_image(bench.image()).arrays[0]
    with pytest.raises(ValueError, match="read-only"):
        array[0, 0] = 1


def test_transformations_of_the_whole_pyramid_come_after_those_of_a_level(tmp_path):
    steps = [{"type": "scale", "scale": [2.0, 3.0]}, {"type": "translation", "translation": [1.0, 1.0]}]
    top = [
        {"type": "identity"},
        {"type": "scale", "scale": [10.0, 10.0]},
        {"type": "translation", "translation": [5, 0]},
    ]
    axes = [{"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
    multiscale = {
        "axes": axes,
        "datasets": datasets(coordinateTransformations=steps),
        "coordinateTransformations": top,
    }
    level = open_image(raw_image(tmp_path / "a.zarr", multiscale)).info.levels[0]
    assert level.scale == (20.0, 30.0)
    assert level.translation == (15.0, 10.0)


def test_old_versions_have_five_axes_and_names_only(tmp_path):
    shapes = ((1, 2, 3, 21, 30), (1, 2, 3, 10, 15))
    multiscale = {"version": "0.1", "datasets": datasets(2)}
    info = open_image(raw_image(tmp_path / "1.zarr", multiscale, shapes)).info
    assert (info.names, info.ngff_version) == ("tczyx", "0.1")
    assert info.levels[1].scale == (1, 1, 1, 2, 2)
    multiscale = {"version": "0.3", "axes": ["c", "y", "x"], "datasets": datasets()}
    info = open_image(raw_image(tmp_path / "3.zarr", multiscale, ((2, 21, 30),))).info
    assert [axis.kind for axis in info.axes] == ["channel", "space", "space"]


def test_missing_types_version_and_axes_have_safe_defaults(tmp_path):
    axes = [{"name": "T"}, {"name": "y", "unit": None}, {"name": "x", "unit": "angstrom"}]
    multiscale = {"axes": axes, "datasets": datasets()}
    info = open_image(raw_image(tmp_path / "a.zarr", multiscale, ((2, 21, 30),), zarr_format=3)).info
    assert [(a.name, a.kind, a.unit) for a in info.axes] == [
        ("T", "time", None),
        ("y", "space", None),
        ("x", "space", "angstrom"),
    ]
    assert info.ngff_version == "0.5"
    info = open_image(raw_image(tmp_path / "b.zarr", {"datasets": datasets()}, ((4, 21, 30),))).info
    assert (info.names, info.ngff_version) == ("zyx", "0.4")


def test_a_draft_version_is_read_but_not_written_into(tmp_path):
    system = {"name": "physical", "axes": [{"name": "y", "type": "space"}, {"name": "x", "type": "space"}]}
    steps = [{"type": "sequence", "transformations": [{"type": "scale", "scale": [2, 3]}]}]
    multiscale = {"coordinateSystems": [system], "datasets": datasets(coordinateTransformations=steps)}
    path = raw_image(tmp_path / "a.zarr", multiscale, ngff={"version": "0.6.dev3"}, zarr_format=3)
    info = open_image(path).info
    assert (info.names, info.scale, info.ngff_version, info.writable) == ("yx", (2, 3), "0.6.dev3", False)


def test_channels_have_their_names_or_numbers(tmp_path):
    omero = {"channels": [{"label": "DAPI"}, {"color": "00FF00"}]}
    multiscale = {"axes": ["c", "y", "x"], "datasets": datasets()}
    path = raw_image(tmp_path / "a.zarr", multiscale, ((3, 20, 30),), ngff={"omero": omero})
    assert open_image(path).info.channels == ("DAPI", "1", "2")


def test_big_endian_pixels_are_named_by_their_native_type(tmp_path):
    path = raw_image(tmp_path / "a.zarr", {"datasets": datasets()}, dtype=">u2")
    assert open_image(path).info.dtype == "uint16"


def test_a_zip_is_read_but_not_written_into(bench):
    path = bench.image()
    shutil.make_archive(str(path), "zip", path)
    image = open_image(f"{path}.zip")
    assert image.info.shape == (45, 61)
    assert not image.info.writable
    assert np.array_equal(image.arrays[0][:], zarr.open_array(str(path / "0"), mode="r")[:])


def test_labels_are_listed_nested_ones_and_forgotten_ones_too(bench):
    path = bench.image()
    bench.commit(bench.plan(path, "forgotten"))
    bench.write(bench.plan(path, "unfinished"))
    zarr.open_group(str(path / "labels")).attrs["ome"] = {"version": "0.5", "labels": ["a/b", "listed"]}
    assert open_image(path).info.labels == ("a/b", "listed", "forgotten")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_not_writable(bench):
    path = bench.image()
    path.chmod(0o555)
    assert not open_image(path).info.writable
    path.chmod(0o755)


REFUSED = {
    "absolute path": ({"datasets": [{"path": "/etc"}]}, "not a path inside"),
    "path that climbs": ({"datasets": [{"path": "a/../../b"}]}, "not a path inside"),
    "backslash path that climbs": ({"datasets": [{"path": "..\\b"}]}, "not a path inside"),
    "no path": ({"datasets": [{}]}, "not a path inside"),
    "no datasets": ({"datasets": []}, "no datasets"),
    "missing array": ({"datasets": [{"path": "7"}]}, "cannot be opened"),
    "infinite scale": (
        {"datasets": datasets(coordinateTransformations=[{"type": "scale", "scale": [1, float("inf")]}])},
        "finite",
    ),
    "scale that is text": (
        {"datasets": datasets(coordinateTransformations=[{"type": "scale", "scale": ["a", 1]}])},
        "finite",
    ),
    "scale too short": (
        {"datasets": datasets(coordinateTransformations=[{"type": "scale", "scale": [1]}])},
        "one per axis",
    ),
    "rotation": (
        {"datasets": datasets(coordinateTransformations=[{"type": "rotation", "rotation": []}])},
        "not supported",
    ),
    "axes of another rank": ({"axes": ["z", "y", "x"], "datasets": datasets()}, "3 axes"),
    "one axis twice": ({"axes": ["y", "y"], "datasets": datasets()}, "not distinct"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_metadata_that_cannot_be_right_are_refused(tmp_path, case):
    multiscale, message = REFUSED[case]
    with pytest.raises(ImageError, match=message) as caught:
        open_image(raw_image(tmp_path / "a.zarr", multiscale))
    assert caught.value.hint


def test_levels_of_another_rank_are_refused(tmp_path):
    path = raw_image(tmp_path / "a.zarr", {"datasets": datasets(2)}, ((20, 30), (2, 20, 30)))
    with pytest.raises(ImageError, match="3 dimensions"):
        open_image(path)


@pytest.mark.parametrize("dtype", ["complex64", "<U4"])
def test_pixels_that_are_not_numbers_are_refused(tmp_path, dtype):
    with pytest.raises(ImageError, match="not an array of numbers"):
        open_image(raw_image(tmp_path / "a.zarr", {"datasets": datasets()}, dtype=dtype))


def test_object_pixels_are_refused(tmp_path):
    path = raw_image(tmp_path / "a.zarr", {"datasets": datasets()})
    document = json.loads((path / "0" / ".zarray").read_text())
    pickled = {**document, "dtype": "|O", "filters": [{"id": "pickle", "protocol": 5}], "fill_value": None}
    (path / "0" / ".zarray").write_text(json.dumps(pickled))
    with pytest.raises(ImageError):
        open_image(path)


def test_chunks_larger_than_memory_are_refused(tmp_path):
    path = raw_image(tmp_path / "a.zarr", {"datasets": datasets()})
    document = json.loads((path / "0" / ".zarray").read_text())
    (path / "0" / ".zarray").write_text(json.dumps({**document, "chunks": [1 << 24, 1 << 24]}))
    with pytest.raises(ImageError, match="memory"):
        open_image(path)


def test_paths_that_are_no_image_say_what_they_are(tmp_path):
    text = tmp_path / "picture.tif"
    text.write_text("II*")
    (tmp_path / "empty").mkdir()
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "zarr.json").write_text("{")
    plate = {"plate": {"wells": [{"path": "B/03"}, {"path": "B/04"}]}}
    well = {"well": {"images": [{"path": "2"}, {"path": "3"}]}}
    cases = {
        "ftp://example.org/a.zarr": ("of this kind", "https"),
        tmp_path / "nowhere": ("does not exist", "path"),
        text: ("is a file", "Convert"),
        tmp_path / "empty": ("not a zarr group", "OME-Zarr"),
        broken: ("not a zarr group", "zarr.json"),
        raw_image(tmp_path / "plate", None, ngff=plate): ("plate", "B/03/0"),
        raw_image(tmp_path / "well", None, ngff=well): ("well", "well/2"),
        raw_image(tmp_path / "series", None, ngff={"bioformats2raw.layout": 3}): ("collection", "completely"),
        raw_image(tmp_path / "labels", None, ngff={"labels": ["cells"]}): ("labels", "labels/cells"),
        raw_image(tmp_path / "group", None): ("without NGFF", "OME-Zarr"),
        tmp_path / "group" / "0": ("single zarr array", str(tmp_path / "group")),
        raw_image(tmp_path / "group3", None, zarr_format=3) / "0": ("single zarr array", "group3"),
    }
    for path, (message, hint) in cases.items():
        with pytest.raises(ImageError, match=message) as caught:
            open_image(path)
        assert hint in caught.value.hint, path
