"""A merge that is done again loses nothing that is not its own, and tells what is lost already."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

import seamlabel
from seamlabel.engine.edits import make_edits, read_edits
from seamlabel.errors import ImageError, OutputError, SpecError
from seamlabel.io.ngff.images import write_image
from seamlabel.io.sources import open_labels
from seamlabel.io.tables import read_table


def blobs():
    y, x = np.mgrid[:90, :110]
    return np.where((y // 15 + x // 22) % 2 == 0, 200, 3).astype(np.uint8)


def label(tile):
    return ndimage.label(tile > 100)[0]


@pytest.fixture
def image(tmp_path):
    pixels = blobs()
    path = tmp_path / "image.zarr"
    write_image(path, pixels.shape, str(pixels.dtype), lambda box: pixels[box.slices], axes="yx", levels=2)
    return path


def kept(image, **fields):
    return seamlabel.segment(
        image, label, tile_shape=40, overlap=6, name="cells", keep=True, progress=False, **fields
    )


def again(run_dir, **fields):
    return seamlabel.remerge(run_dir, progress=False, **fields)


def labels_of(path):
    return np.asarray(open_labels(path)[0])


def by_hand(image):
    """Labels that somebody else made."""
    made = seamlabel.segment(image, label, tile_shape=110, name="by-hand", drop_border=True, progress=False)
    return made.path, labels_of(made.path)


def test_labels_of_others_are_replaced_only_if_asked_for(image):
    run_dir = kept(image).run_dir
    path, before = by_hand(image)
    with pytest.raises(SpecError, match="already has labels 'by-hand'"):
        again(run_dir, name="by-hand")
    np.testing.assert_array_equal(labels_of(path), before)
    replaced = again(run_dir, name="by-hand", overwrite=True)
    assert replaced.n_objects > before.max()


def test_labels_in_another_store_are_replaced_only_if_asked_for(image, tmp_path):
    run_dir = kept(image).run_dir
    other = tmp_path / "other.zarr"
    again(run_dir, output=other)
    with pytest.raises(SpecError, match="already has labels 'cells'"):
        again(run_dir, output=other)
    again(run_dir, output=other, overwrite=True)


def test_labels_of_the_run_itself_are_replaced_without_asking(image):
    first = kept(image)
    assert again(first.run_dir, min_size=300).path == again(first.run_dir, output=image).path


def test_the_table_of_the_run_follows_its_labels(image, tmp_path):
    file = tmp_path / "cells.csv"
    first = kept(image, table=file)
    merged = again(first.run_dir, remove=[(2, 2)])
    assert merged.n_objects == first.n_objects - 1
    areas = np.bincount(labels_of(merged.path).ravel())[1:]
    np.testing.assert_array_equal(merged.table["area_voxels"], areas)
    np.testing.assert_array_equal(read_table(file)["area_voxels"], areas)


def test_the_table_of_the_run_is_not_that_of_other_labels(image, tmp_path):
    file, other = tmp_path / "cells.csv", tmp_path / "other.csv"
    first = kept(image, table=file)
    before = file.read_bytes()
    beside = again(first.run_dir, name="fewer", remove=[(2, 2)])
    assert beside.table is None
    assert file.read_bytes() == before
    beside = again(first.run_dir, name="fewer", overwrite=True, table=other)
    assert len(beside.table["id"]) == len(read_table(other)["id"]) == first.n_objects - 1
    assert file.read_bytes() == before


def test_a_table_can_be_asked_for_later_and_left_out(image, tmp_path):
    first = kept(image)
    assert again(first.run_dir).table is None
    assert len(again(first.run_dir, table=True).table["id"]) == first.n_objects
    file = tmp_path / "cells.csv"
    first = kept(image, table=file, overwrite=True)
    file.unlink()
    assert again(first.run_dir, table=False).table is None
    assert not file.exists()


def test_a_table_is_made_of_an_array_that_is_given_again(tmp_path):
    first = kept(blobs(), output=tmp_path / "out.zarr", table=tmp_path / "cells.csv")
    with pytest.raises(SpecError, match="Give the array, as image; or table=False"):
        again(first.run_dir)
    assert again(first.run_dir, table=False).table is None
    np.testing.assert_equal(again(first.run_dir, image=blobs()).table, first.table)


def test_what_is_no_table_is_told_by_name(image):
    with pytest.raises(SpecError, match="table: 1 is no path"):
        kept(image, table=1)


def test_a_run_is_found_by_a_relative_path(image, monkeypatch):
    run_dir = kept(image).run_dir
    monkeypatch.chdir(run_dir)
    assert again(".").run_dir == run_dir


@pytest.mark.parametrize("name", ["rows.bin", "nodes.bin", "tiles.bin"])
@pytest.mark.parametrize("tiles", [(), (3,)])
def test_records_that_were_lost_are_missed(image, name, tiles):
    first = kept(image)
    if tiles:
        again(first.run_dir, again=tiles, backend=label)
    before = labels_of(first.path)
    file = next(Path(first.run_dir).glob(f"records*/{name}"))
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(OutputError, match=f"{name} is damaged"):
        again(first.run_dir)
    np.testing.assert_array_equal(labels_of(first.path), before)


def test_a_run_without_its_staged_tiles_is_told_so(image):
    run_dir = Path(kept(image).run_dir)
    shutil.rmtree(next(run_dir.glob("staging-*")))
    for tiles in ((), "missing"):
        with pytest.raises(OutputError, match=r"the staged tiles of .* are gone"):
            again(run_dir, again=tiles)


def test_a_run_without_its_journal_can_be_merged(image):
    first = kept(image)
    shutil.rmtree(Path(first.run_dir) / "journal")
    assert again(first.run_dir).n_objects == first.n_objects


def test_the_kept_runs_are_named_where_something_near_them_is_given(image):
    run_dir = Path(kept(image).run_dir)
    for near in (image, run_dir.parent, run_dir / "plan.json", run_dir.parent / "cels"):
        with pytest.raises(OutputError, match="holds no run") as error:
            again(near)
        assert error.value.hint == f"Runs near it: {run_dir}"


def test_a_threshold_is_refused_where_the_rule_has_none(image):
    run_dir = kept(image, merge="touching").run_dir
    with pytest.raises(SpecError, match="the rule 'touching' has no such threshold"):
        again(run_dir, iou=0.5)


@pytest.mark.parametrize("mark", [";", "\t", ","])
def test_edits_are_read_as_spreadsheets_save_them(tmp_path, mark):
    file = tmp_path / "edits.csv"
    rows = ["kind,y1,x1,y2,x2", "join,1,2,3,4", "remove,7,9,,"]
    file.write_text("\n".join(rows).replace(",", mark), encoding="utf-8-sig", newline="\r\n")
    assert read_edits(file, "yx") == make_edits(join=[((1, 2), (3, 4))], remove=[(7, 9)])


def test_a_wrong_point_is_told_as_it_was_typed(tmp_path):
    file = tmp_path / "edits.csv"
    file.write_text("kind,y1,x1,y2,x2\nremove,64.05,170.2,,\njoin,1,2\n")
    with pytest.raises(SpecError) as error:
        read_edits(file, "yx")
    first, second = map(str, error.value.problems)
    assert first.startswith("edits, line 2: 64.05,170.2 is not one point. Give whole numbers")
    assert second.startswith("edits, line 3: 1,2:, is not two points")


def test_labels_that_were_replaced_do_not_read_as_empty(image):
    first = kept(image)
    before = np.asarray(first.labels)
    assert before.any()
    second = again(first.run_dir)
    for read in (np.asarray, lambda labels: labels[:5], lambda labels: labels[3, 3]):
        with pytest.raises(OutputError, match="were replaced or removed"):
            read(first.labels)
    np.testing.assert_array_equal(second.labels, before)


def test_labels_of_a_result_are_an_array(image):
    labels = kept(image).labels
    all_of_them = np.asarray(labels)
    assert (labels.shape, labels.dtype, labels.ndim) == (all_of_them.shape, np.uint32, 2)
    assert len(labels) == len(all_of_them)
    assert len(labels.chunks) == 2
    np.testing.assert_array_equal(labels[10:40, ::3], all_of_them[10:40, ::3])
    np.testing.assert_array_equal(labels[labels[:] > 2], all_of_them[all_of_them > 2])
    assert np.asarray(labels, np.int64).dtype == np.int64
    assert repr(labels).startswith("<labels uint32 90 x 110 in ")


@pytest.mark.parametrize("tiles", ["3", ["3"], [2.5], 2.5])
def test_what_is_no_number_of_a_tile_is_told(image, tiles):
    run_dir = kept(image).run_dir
    with pytest.raises(SpecError, match=r"again: .* is not understood"):
        again(run_dir, again=tiles, backend=label)
    assert again(run_dir, again=3, backend=label).n_objects > 0


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"backend": "threshold", "again": [3]}, "backend: 'threshold' is no function"),
        ({"remove": 5}, "remove: 5 is no list"),
        ({"join": None}, "join: None is no list"),
    ],
)
def test_arguments_of_another_kind_are_told_by_name(image, wrong, says):
    run_dir = kept(image).run_dir
    with pytest.raises(SpecError, match=says):
        again(run_dir, **wrong)


def test_a_result_that_kept_no_run_cannot_be_merged_again(image):
    result = seamlabel.segment(image, label, name="cells", progress=False)
    with pytest.raises(SpecError, match=r"run_dir: None is no path.*keep=True"):
        again(result.run_dir)


def moved(image):
    """An image with a kept run, now elsewhere, the labels in a store of their own."""
    first = kept(image, output=image.parent / "out.zarr")
    return first, image.rename(image.parent / "elsewhere.zarr")


def test_tiles_of_an_image_that_was_moved_are_segmented_again(image):
    first, place = moved(image)
    before = labels_of(first.path)
    with pytest.raises(ImageError, match=r"image\.zarr") as error:
        again(first.run_dir, again=[3], backend=label)
    assert error.value.hint == "Say where the image of the run is now: image=, --image"
    merged = again(first.run_dir, again=[3], backend=label, image=place, table=True)
    np.testing.assert_array_equal(labels_of(merged.path), before)
    assert len(merged.table["id"]) == first.n_objects


@pytest.mark.parametrize("tiles", [(), (3,)])
@pytest.mark.parametrize("other", ["shape", "type", "levels", "axes", "none"])
def test_another_image_is_refused(image, tiles, other):
    first, place = moved(image)
    pixels = blobs().astype("uint16" if other == "type" else "uint8")
    pixels = pixels[:, :-1] if other == "shape" else pixels
    path = place.parent / "other.zarr"
    levels = 1 if other == "levels" else 2
    if other != "none":
        axes = "zx" if other == "axes" else "yx"
        write_image(
            path, pixels.shape, str(pixels.dtype), lambda box: pixels[box.slices], axes=axes, levels=levels
        )
    before = labels_of(first.path)
    says = (
        "image: .*other.zarr" if other == "none" else "image: it is .* the image of the run was yx 90 x 110"
    )
    with pytest.raises(SpecError, match=says):
        again(first.run_dir, again=tiles, backend=label, image=path)
    np.testing.assert_array_equal(labels_of(first.path), before)


def test_an_edit_means_what_is_painted_where_tiles_differ(tmp_path):
    """The left tile glues disc and rod; the disc is painted as the right one shows it."""
    disc, rod = np.zeros((64, 128), bool), np.zeros((64, 128), bool)
    y, x = np.indices(disc.shape)
    disc[(y - 32) ** 2 + (x - 70) ** 2 <= 64] = rod[28:36, 84:126] = True
    pixels = 100 * disc.astype(np.uint8) + 200 * rod.astype(np.uint8)
    pixels[0, 0] = 1

    def differing(tile):
        seen = tile > 50
        if tile[0, 0] == 1:
            seen[30:34, 78:84] = True
        return ndimage.label(seen)[0]

    settings = {"tile_shape": 64, "overlap": (0, 24), "output": tmp_path / "labels.zarr", "keep": True}
    result = seamlabel.segment(pixels, differing, progress=False, **settings)
    shown = np.asarray(result.labels)
    assert shown[32, 63] == shown[32, 70] != shown[32, 100]
    edited = np.asarray(seamlabel.remerge(result.run_dir, remove=[(32, 63)], progress=False).labels)
    assert edited[32, 70] == 0 != edited[32, 100]
