"""Labels written into an OME-Zarr are right for every reader, and harm nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import zarr

from seamlabel.errors import OutputError
from seamlabel.geometry import Box
from seamlabel.io.ngff.labels import open_sink
from seamlabel.io.ngff.model import open_image
from seamlabel.io.sources import image_info, open_labels

VERSIONS = ["0.4", "0.5"]


def ngff(group):
    """Return the NGFF attributes of a group, read by zarr alone."""
    attributes = dict(zarr.open_group(str(group), mode="r", use_consolidated=False).attrs)
    return attributes.get("ome", attributes)


@pytest.mark.parametrize("consolidated", [False, True], ids=["plain", "consolidated"])
@pytest.mark.parametrize("transforms", ["scale", "translation", "top"])
@pytest.mark.parametrize("axes", ["yx", "zyx", "cyx", "czyx", "tcyx", "tczyx"])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_label_mirrors_its_image_for_every_judge(bench, judge, version, axes, transforms, consolidated):
    image = bench.image(axes, version, transforms=transforms, consolidated=consolidated)
    plan = bench.plan(image)
    label = bench.commit(plan)

    shown, drawn = judge(image, label, version)
    assert [a.shape for a in drawn[0]] == list(plan.level_shapes)
    assert all(a.dtype == np.uint32 and (np.asarray(a) == 7).all() for a in drawn[0])
    assert drawn[1]["scale"] == pytest.approx(shown[1]["scale"])
    assert drawn[1]["units"] == shown[1]["units"]
    assert drawn[1]["axis_labels"] == shown[1]["axis_labels"]

    kept = plan.info.label_axes
    got = open_image(label).info
    assert got.axes == plan.axes
    for ours, theirs in zip(got.levels, plan.info.levels, strict=True):
        assert ours.scale == tuple(theirs.scale[i] for i in kept)
        assert ours.translation == tuple(theirs.translation[i] for i in kept)
    assert ngff(label)["image-label"] == {"version": version, "source": {"image": "../../"}}
    assert got.ngff_version == version
    assert open_image(image).info.labels == ("cells",)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_unit_that_the_image_does_not_name_stays_unnamed(bench, version):
    label = bench.commit(bench.plan(bench.image("zyx", version, units=False)))
    assert all("unit" not in axis for axis in ngff(label)["multiscales"][0]["axes"])


@pytest.mark.parametrize("version", VERSIONS)
def test_the_arrays_are_stored_as_readers_like_them(bench, version):
    label = bench.commit(bench.plan(bench.image("tczyx", version)))
    path = ngff(label)["multiscales"][0]["datasets"][0]["path"]
    if version == "0.5":
        document = json.loads((label / path / "zarr.json").read_text())
        assert document["dimension_names"] == ["t", "z", "y", "x"]
        assert document["codecs"][0] == {"name": "bytes", "configuration": {"endian": "little"}}
        assert [c["name"] for c in document["codecs"]] == ["bytes", "zstd"]
        assert document["codecs"][1]["configuration"]["level"] == 1
    else:
        document = json.loads((label / path / ".zarray").read_text())
        assert document["dimension_separator"] == "/"
        assert document["dtype"] == "<u4"
        assert document["compressor"]["id"] == "zstd"
        assert document["compressor"]["level"] == 1
    assert document["fill_value"] == 0


@pytest.mark.parametrize("version", VERSIONS)
def test_the_provenance_is_the_spec_that_was_run(bench, version):
    plan = bench.plan(bench.image("yx", version), min_size=5, merge="touching")
    label = bench.commit(plan)
    own = zarr.open_group(str(label), mode="r").attrs["seamlabel"]
    assert own["state"] == "complete"
    assert type(plan.spec)(**own["spec"]) == plan.spec


@pytest.mark.parametrize("consolidated", [False, True], ids=["plain", "consolidated"])
@pytest.mark.parametrize("version", VERSIONS)
def test_the_image_keeps_every_byte(bench, checksum, version, consolidated):
    image = bench.image("czyx", version, consolidated=consolidated)
    metadata = (".zmetadata", "zarr.json") if consolidated else ()
    whole = json.loads((image / "zarr.json").read_text()) if version == "0.5" else {}
    before = checksum(image, without=metadata)
    bench.commit(bench.plan(image))
    assert checksum(image, without=metadata) == before
    if version == "0.5":  # nothing but the consolidated part of the image's own document has changed
        now = json.loads((image / "zarr.json").read_text())
        assert {**now, "consolidated_metadata": 0} == {**whole, "consolidated_metadata": 0} or now == whole


@pytest.mark.parametrize("version", VERSIONS)
def test_consolidated_metadata_say_the_same_as_zarr_would(bench, version):
    image = bench.image("yx", version, consolidated=True)
    bench.commit(bench.plan(image, "first"))
    bench.commit(bench.plan(image, "second"))
    bench.commit(bench.plan(image, "first", overwrite=True), value=9)

    def seen():
        group = zarr.open_group(str(image), mode="r", use_consolidated=True)
        return {k: v.metadata.to_dict() for k, v in group.members(max_depth=None)}

    ours = seen()
    assert {"labels/first/2.0", "labels/second/1.1"} <= set(ours)
    assert "labels/first/1.0" not in ours
    zarr.consolidate_metadata(str(image))
    theirs = seen()
    assert set(ours) == set(theirs)
    assert all(ours[k].get("attributes") == theirs[k].get("attributes") for k in theirs)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_consolidated_group_above_the_image_shows_the_label(bench, version):
    image = bench.image("yx", version, name="plate.zarr", group="A/1/0")
    plate = bench.folder / "plate.zarr"
    form = 3 if version == "0.5" else 2
    for folder in (plate, plate / "A", plate / "A" / "1"):
        zarr.open_group(str(folder), mode="a", zarr_format=form)
    zarr.consolidate_metadata(str(plate))
    bench.commit(bench.plan(image))
    group = zarr.open_group(str(plate), mode="r", use_consolidated=True)
    assert "A/1/0/labels/cells/1.0" in dict(group.members(max_depth=None))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_store_of_its_own_holds_labels_of_the_images_version(bench, judge, version):
    image = bench.image("czyx", version)
    output = bench.folder / "out" / "mine.zarr"
    plan = bench.plan(image, output=str(output))
    label = bench.commit(plan)
    assert label == output / "labels" / "cells"
    assert ngff(label)["image-label"]["source"]["image"] == image.resolve().as_posix()
    assert open_image(label).info.ngff_version == version
    assert "multiscales" not in ngff(output)
    assert not (image / "labels").exists()
    (output / "labels").rename(image / "labels")  # copied into the image, it just works
    judge(image, image / "labels" / "cells", version)


def test_a_store_of_its_own_keeps_its_format(bench):
    image = bench.image("yx", "0.5")
    output = bench.folder / "old.zarr"
    zarr.create_group(str(output), zarr_format=2)
    label = bench.commit(bench.plan(image, output=str(output)))
    assert open_image(label).info.ngff_version == "0.4"


def test_an_array_gets_a_new_store_in_the_current_version(bench):
    output = bench.folder / "array.zarr"
    pixels = np.zeros((2, 20, 30), "uint8")
    label = bench.commit(bench.plan(pixels, axes="cyx", output=str(output)))
    info = open_image(label).info
    assert (info.ngff_version, info.names, info.shape) == ("0.5", "yx", (20, 30))
    assert "source" not in ngff(label)["image-label"]
    assert image_info(pixels, axes="cyx", output=output).labels == ("cells",)


def test_an_aborted_store_of_its_own_is_gone(bench):
    output = bench.folder / "array.zarr"
    sink = bench.write(bench.plan(np.zeros((20, 30)), output=str(output)))
    sink.abort()
    assert not output.exists()


def test_a_folder_that_is_no_zarr_group_is_refused(bench):
    output = bench.folder / "documents"
    output.mkdir()
    plan = bench.plan(np.zeros((20, 30)), output=str(output))
    (output / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="not a zarr group"):
        open_sink(plan).begin("uint32", ((16, 16),))
    with pytest.raises(OutputError, match="no store"):
        open_sink(bench.plan(np.zeros((20, 30))))


def test_what_was_written_is_read_back_and_zeros_take_no_space(bench):
    sink = open_sink(bench.plan(bench.image()))
    assert isinstance(sink.shapes, tuple)
    sink.begin("uint64", ((16, 16), (16, 16)))
    box = Box((16, 48), (45, 61))
    labels = np.arange(box.size, dtype="uint32").reshape(box.shape)
    sink.write(0, box, labels)
    sink.write(0, Box((0, 0), (16, 16)), np.zeros((16, 16), "uint32"))
    assert np.array_equal(sink.read(0, box), labels)
    assert sink.read(0, box).dtype == np.uint64
    assert not sink.read(0, Box((0, 0), (16, 48))).any()
    chunks = [p for p in (Path(sink.path) / "1.0" / "c").rglob("*") if p.is_file()]
    assert len(chunks) == 2
    sink.abort()


def test_a_box_that_cuts_chunks_is_refused(bench):
    sink = open_sink(bench.plan(bench.image()))
    sink.begin("uint32", ((16, 16), (16, 16)))
    for box in (Box((8, 0), (16, 16)), Box((0, 0), (16, 20))):
        with pytest.raises(ValueError, match="whole chunks"):
            sink.write(0, box, np.ones(box.shape, "uint32"))


def test_a_disk_that_fails_is_told_by_name_and_remedy(bench):
    sink = open_sink(bench.plan(bench.image()))
    sink.begin("uint32", ((16, 16), (16, 16)))
    array = Path(sink.path) / "1.0"
    (array / "c").write_text("a file where a folder is needed")
    with pytest.raises(OutputError, match="cells") as caught:
        sink.write(0, Box((0, 0), (16, 16)), np.ones((16, 16), "uint32"))
    assert "disk space" in caught.value.hint
    with pytest.raises(OutputError, match=r"read back from .*cells"):
        sink.read(0, Box((0, 0), (16, 16)))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("dtype", ["uint32", "uint64"])
def test_zarr_reads_every_level_of_sparse_labels_as_they_were_written(bench, version, dtype):
    sink = open_sink(bench.plan(bench.image("zyx", version)))
    chunks = tuple(tuple(min(8, n) for n in shape) for shape in sink.shapes)
    sink.begin(dtype, chunks)
    wanted = []
    for level, shape in enumerate(sink.shapes):
        labels = np.zeros(shape, dtype)
        labels[1, 10:, 3:20] = 2**32 - 1 - level
        sink.write(level, Box.whole(shape), labels)
        wanted.append(labels)
    sink.commit()
    found = [np.asarray(level) for level in open_labels(sink.path)]
    assert all(a.dtype == dtype and np.array_equal(a, b) for a, b in zip(found, wanted, strict=True))
