"""Stores that cannot be segmented are refused in a line that says what to do; nothing is left behind."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tracemalloc
import zipfile

import numcodecs
import numpy as np
import pytest
from hostile import checksum
from imagecodecs.numcodecs import Jpegxl
from odd_stores import Odd, axes_of, load, plate, save, series
from odd_table import CODECS

from seamlabel.cli import main
from seamlabel.errors import ImageError
from seamlabel.io.cache import ChunkCache
from seamlabel.io.chunks import ChunkReader
from seamlabel.io.ngff.model import open_image

BROKEN = {}
"""Name to what makes it, what the message says, and what its hint says."""


def broken(message, hint):
    """Enter a function that makes a store and returns what is given as IMAGE."""

    def enter(make):
        BROKEN[make.__doc__ or make.__name__.replace("_", " ")] = (make, message, hint)
        return make

    return enter


def differing(name, message, hint, **differs):
    """Enter an image that differs in its metadata."""
    BROKEN[name] = (lambda folder: Odd(**differs).write(folder / "image.zarr"), message, hint)


def twins(folder):
    """Write two images into one group."""
    odd = Odd(version="0.5")
    path = odd.write(folder / "twins.zarr")
    for name, of in (("raw", Odd(version="0.5", dtype="|u1")), ("clean", odd)):
        of.write_array(path / name, (21, 30))
    images = [
        {"name": name, "axes": axes_of("yx"), "datasets": [{"path": name}]} for name in ("raw", "clean")
    ]
    odd.write_group(path, {"multiscales": images})
    return path


def step(kind, **more):
    transforms = [{"type": kind, **more}]
    return {"datasets": [{"path": "0", "coordinateTransformations": transforms}]}


@broken("plate of 2 wells: A/1, B/03", "A/1/0 (fields of A/1: 0, 1)")
def a_plate(folder):
    return plate(Odd(), folder)


@broken("plate of 12 wells: A/1, A/2, A/3, A/4, A/5, A/6, … (6 more)", "plate.zarr/A/1/0")
def a_large_plate(folder):
    return plate(Odd(version="0.5"), folder, tuple(f"{r}/{c}" for r in "AB" for c in range(1, 7)), 1)


@broken("well of 3 images", "B/03/0 ('image'), ")
def a_well(folder):
    return plate(Odd(), folder, fields=3) / "B" / "03"


@broken("plate that lists no wells", "Correct its metadata")
def a_plate_without_wells(folder):
    return Odd().write_group(folder / "plate.zarr", {"plate": {"wells": []}})


@broken("nowhere does not exist", "Check the path")
def a_well_that_is_not_there(folder):
    return Odd().write_group(folder / "well.zarr", {"well": {"images": [{"path": "nowhere"}]}})


@broken("leads out of the image", "Put the level itself there")
def a_well_that_leads_elsewhere(folder):
    Odd().write(folder / "there.zarr")
    well = Odd().write_group(folder / "well.zarr", {"well": {"images": [{"path": "0"}]}})
    (well / "0").symlink_to(folder / "there.zarr")
    return well


@broken("leads to no image", "path of the image itself")
def a_well_in_a_circle(folder):
    well = Odd().write_group(folder / "well.zarr", {"well": {"images": [{"path": "0"}]}})
    (well / "0").symlink_to(well)
    return well


@broken("collection of 3 images", "series.zarr/0 ('image'), ")
def several_series(folder):
    return series(Odd(), folder, 3)[0]


@broken("collection of 2 images", "series.zarr/1 ('image')")
def several_series_listed_nowhere(folder):
    return series(Odd(version="0.5"), folder, 2, listed=False, xml=False)[0]


@broken("collection of 0 images", "written completely")
def a_conversion_that_was_cut_short(folder):
    return series(Odd(), folder, 0, listed=False, xml=False)[0]


@broken("holds 2 images (multiscales)", "twins.zarr/raw ('raw'), ")
def several_images_in_one_group(folder):
    return twins(folder)


@broken("single zarr array", "Give the group above it")
def a_level_of_none_of_several_images(folder):
    return twins(folder) / "0"


@broken("single zarr array", "Give the group above it")
def a_level(folder):
    return Odd().write(folder / "image.zarr") / "0"


@broken("is a list of labels", "labels/old")
def a_list_of_labels(folder):
    return Odd().write_group(folder / "image.zarr" / "labels", {"labels": ["old"]})


@broken("without NGFF metadata", "Give an OME-Zarr image")
def a_group_of_something_else(folder):
    return Odd().write_group(folder / "table.zarr", {"encoding-type": "anndata"})


@broken("is not a zarr group", "Give the folder of an OME-Zarr image")
def a_folder_without_metadata(folder):
    path = Odd(version="0.5").write(folder / "image.zarr")
    (path / "zarr.json").unlink()
    return path


@broken("is not JSON", "zarr.json")
def metadata_that_were_cut(folder):
    path = Odd(version="0.5").write(folder / "image.zarr")
    (path / "zarr.json").write_bytes((path / "zarr.json").read_bytes()[:100])
    return path


@broken("level '1' cannot be opened: there is no array", "written completely")
def a_level_that_was_not_copied(folder):
    path = Odd().write(folder / "image.zarr")
    shutil.rmtree(path / "1")
    return path


@broken("its metadata do not say 'fill_value'", 'Add it, such as "fill_value": 0')
def no_fill_value(folder):
    path = Odd().write(folder / "image.zarr")
    save(path / "0" / ".zarray", {k: v for k, v in load(path / "0" / ".zarray").items() if k != "fill_value"})
    return path


@broken("is no chunk of this image", "copy or write the image again")
def a_chunk_that_was_cut(folder):
    path = Odd(array={"compressors": numcodecs.Zlib()}).write(folder / "image.zarr")
    chunk = path / "0" / "0" / "0"
    chunk.write_bytes(chunk.read_bytes()[:10])
    return path


@broken("is no chunk of this image", "copy or write the image again")
def a_shard_that_was_cut(folder):
    path = Odd(**CODECS["v3 sharded"]).write(folder / "image.zarr")
    shard = path / "0" / "c" / "0" / "0"
    shard.write_bytes(shard.read_bytes()[:-40])
    return path


@broken("no zip file that can be read", "written completely")
def a_zip_file_that_was_cut(folder):
    path = Odd().write(folder / "image.zarr")
    made = shutil.make_archive(str(path), "zip", path)
    os.truncate(made, 500)
    return made


@broken("is not a zarr group", "Give one of the groups in it: a, b")
def a_zip_file_of_two_folders(folder):
    with zipfile.ZipFile(folder / "two.zip", "w") as file:
        for name in "ab":
            file.writestr(f"{name}/.zgroup", json.dumps({"zarr_format": 2}))
    return folder / "two.zip"


@broken("is not a zarr group", "Give one of the groups in it: image.zarr")
def the_folder_above(folder):
    return Odd().write(folder / "image.zarr").parent


@broken("cannot be read", "Check the file")
def a_tiff_file(folder):
    (folder / "image.tif").write_bytes(b"II*\0")
    return folder / "image.tif"


@broken("does not exist", "Check the path")
def a_path_that_is_wrong(folder):
    return folder / "image.zarr"


@broken("labels cannot be written into", "Give an output of its own")
def a_zip_file_that_labels_cannot_go_into(folder):
    path = Odd().write(folder / "image.zarr")
    return shutil.make_archive(str(path), "zip", path)


@broken("image.zarr already has labels 'labels'", "Give another name")
def labels_that_are_there(folder):
    path = Odd().write(folder / "image.zarr")
    Odd().write_group(path / "labels", {"labels": ["labels"]})
    Odd().write(path / "labels" / "labels")
    return path


differing("a rotation", "'rotation' is not supported", "Use scale and translation", image=step("rotation"))
differing("an affine", "'affine' is not supported", "Use scale and translation", image=step("affine"))
differing("a scale of 0", "voxels would have no size", "Correct", image=step("scale", scale=[0, 1]))
differing("a scale below 0", "voxels would have no size", "Correct", image=step("scale", scale=[-1, 1]))
differing("a scale for other axes", "one per axis", "Correct", image=step("scale", scale=[1, 1, 1]))
differing("a scale in a file", "one per axis", "Correct", image=step("scale", path="scales/0"))
differing("axes of another rank", "2 dimensions", "Correct", image={"axes": axes_of("zyx")})
differing("an axis twice", "not distinct", "Correct", image={"axes": axes_of("yy")})
differing(
    "two channel axes",
    "not distinct",
    "Correct",
    axes="cyx",
    image={
        "axes": [
            {"name": "c", "type": "channel"},
            {"name": "y", "type": "channel"},
            {"name": "x", "type": "space"},
        ]
    },
)
differing("no levels", "no datasets", "Write the image again", image={"datasets": []})
differing("a level elsewhere", "not a path inside", "such as '0'", image={"datasets": [{"path": "../0"}]})
differing("pixels of text", "not an array of numbers", "integers or floats", document={"dtype": "<U4"})
differing("complex pixels", "not an array of numbers", "integers or floats", dtype="<c8")
differing("a codec nobody knows", "'new' is not one of", "known are", document={"compressor": {"id": "new"}})
differing(
    "a fill value that is text",
    "level '0' cannot be opened",
    "written completely",
    document={"fill_value": "none"},
)
differing(
    "level 0 without scale",
    "no coordinate transformation, though others",
    "Correct",
    image={
        "datasets": [
            {"path": "1"},
            {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1, 1]}]},
        ]
    },
)


def test_a_picture_codec_that_is_not_installed_is_named_with_the_command_that_installs_it(
    tmp_path, monkeypatch
):
    path = Odd(document={"compressor": {"id": "imagecodecs_jpegxl"}}).write(tmp_path / "image.zarr")
    monkeypatch.setitem(sys.modules, "imagecodecs.numcodecs", None)
    with pytest.raises(ImageError, match="of the package imagecodecs, which is not installed") as caught:
        open_image(path)
    assert 'pip install "seamlabel[codecs]"' in caught.value.hint


def test_a_picture_larger_than_its_chunk_is_not_decoded(tmp_path):
    path = Odd(array={"compressors": Jpegxl()}, dtype="|u1").write(tmp_path / "image.zarr")
    array = open_image(path).arrays[0]
    assert array[:8, :16].any()
    (path / "0" / "0" / "0").write_bytes(Jpegxl().encode(np.zeros((4000, 4000), "uint8")))
    tracemalloc.start()
    with pytest.raises(ImageError, match="is no chunk of this image"):
        ChunkReader(array, ChunkCache(1 << 20)).read((slice(0, 8), slice(0, 16)))
    assert tracemalloc.get_traced_memory()[1] < 1 << 22
    tracemalloc.stop()


@pytest.mark.parametrize("name", BROKEN)
def test_a_store_that_cannot_be_segmented_is_refused_in_a_line_that_says_what_to_do(tmp_path, capsys, name):
    make, message, hint = BROKEN[name]
    image = str(make(tmp_path))
    before = checksum(tmp_path)
    settings = ["--tile", "16", "--executor", "serial", "--quiet"]
    assert main(["segment", image, "--backend", "threshold", *settings]) != 0
    told = capsys.readouterr().err
    assert message in told
    assert hint in told
    assert "Traceback" not in told
    assert told.count("\n") <= 2, told
    assert checksum(tmp_path) == before
    assert not list(tmp_path.glob("*.seamlabel"))
