"""The benchmarks run and check what they measure, on images of a few tiles; no time is asserted."""

from __future__ import annotations

import json

import numpy as np
import pytest
import zarr
from benchmarks import __main__ as front
from benchmarks import blending, conversion, data, measure, peers, review, scale, speed
from benchmarks.jobs import FUNCTIONS, Job
from scipy import ndimage

SMALL = data.Image("nuclei", (256, 256), (128, 128))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return data.Data(tmp_path_factory.mktemp("benchmarks"))


def column(table, name):
    return [row[table.columns.index(name)] for row in table.rows]


def test_speed_compares_the_whole_job_with_the_floor_and_checks_its_labels(folder):
    case = speed.Case(SMALL, peers=())
    table, limits = speed.main([case], folder, measure.Options(rounds=1))
    assert column(table, "job") == ["floor", "seamlabel"]
    assert column(table, "identical") == ["not merged", "yes"]
    found, true = column(table, "objects found / true")[1].split(" / ")
    assert found == true
    assert int(true) > 10
    assert [row[1] for row in limits.rows] == ["CPU ÷ floor", "wall ÷ floor"]
    run = table.data[case.name]["seamlabel"]["runs"][0]
    assert run["kept"] > 0
    assert {"cpu", "wall", "peak"} <= set(run)


def test_worst_cases_are_compared_with_nuclei_and_merged_exactly(folder, monkeypatch):
    monkeypatch.setattr(scale, "KINDS", ("nuclei", "spiral"))
    table = scale.worst_cases((256, 64), folder, measure.Options(rounds=1))
    assert column(table, "image") == ["nuclei", "spiral"]
    assert column(table, "identical") == ["yes", "yes"]
    assert column(table, "objects found / true")[1] == "1 / 1"


def test_tiny_tiles_are_counted_and_those_too_many_left_out(folder):
    table = scale.tiny_tiles((2, 4), folder, measure.Options(rounds=1, most_tiles=4))
    assert column(table, "tiles") == ["4"]
    assert column(table, "identical") == ["yes"]
    assert "16 tiles were left out (--most-tiles)." in table.notes


def test_blending_is_compared_with_copies_and_loops_and_gives_the_image_back(folder, monkeypatch):
    for jobs, base in ((blending.STORED, "chunk copy"), (blending.IN_MEMORY, "numpy loop")):
        for name in set(jobs) - {base, blending.OURS}:
            monkeypatch.delitem(jobs, name)
    stored, memory, held = blending.main(blending.cases(quick=True), folder, measure.Options(rounds=1))
    assert column(stored, "job") == ["chunk copy", blending.OURS]
    assert column(memory, "job") == ["numpy loop", blending.OURS]
    assert column(held, "most held, MiB") == ["0.1", "1.1"]


def test_previews_of_a_kept_run_are_timed_and_checked(folder):
    (table,) = review.main(review.cases(quick=True), folder, measure.Options(rounds=1))
    assert column(table, "what")[-3:] == list(review.WISHES)
    assert "4,096 objects" in table.notes[0]
    assert len(table.data["slider"]["slider moved"]) == 3


def test_a_run_begins_without_looking_at_its_tiles(folder):
    table = scale.first_event((30,), folder, measure.Options(rounds=1))
    assert table.notes[0].startswith("900 tiles")
    assert column(table, "what")[:2] == ["planned", "first event of the run"]


def test_the_merge_alone_finds_the_objects_that_pairs_were_made_of(folder):
    table = scale.solve((300,), folder, measure.Options(rounds=1))
    assert column(table, "objects found") == column(table, "true")
    assert column(table, "right") == ["yes"]


def test_workers_and_order_of_tiles_change_no_byte_of_the_labels(folder):
    table = scale.same_bytes((256, 64), folder, measure.Options(rounds=1))
    assert column(table, "workers") == ["1", "2", "2", "4"]
    assert set(column(table, "same bytes as the first")) == {"yes"}


@pytest.mark.parametrize("kind", ["net", "comb", "spiral"])
def test_patterns_are_one_object_in_every_tile(kind):
    bright = data.PATTERNS[kind]((512, 512)) == data.BRIGHT
    assert ndimage.label(bright, np.ones((3, 3)))[1] == 1
    tiles = bright.reshape(8, 64, 8, 64).any((1, 3))
    assert tiles.all()


def test_percolation_has_large_objects_and_small_ones():
    labels = FUNCTIONS["threshold"](data.percolation((512, 512)))
    sizes = np.bincount(labels.ravel())[1:]
    assert sizes.max() > 20_000
    assert (sizes < 100).sum() > 10


def test_one_object_cut_in_two_is_noticed_block_by_block(tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "_BLOCK_VOXELS", 64)
    true = np.zeros((40, 8), np.uint32)
    true[2:30, 2:4], true[5:9, 6:8] = 1, 2
    cut = np.where((true == 1) & (np.arange(40)[:, None] >= 16), 7, true)
    for name, labels in (("true", true), ("renamed", true * 5), ("cut", cut)):
        array = zarr.create_array(tmp_path / name, shape=true.shape, dtype=labels.dtype, chunks=(8, 8))
        array[...] = labels
    assert measure.compare_arrays(tmp_path / "true", tmp_path / "renamed").same
    report = measure.compare_arrays(tmp_path / "true", tmp_path / "cut")
    assert (report.same, report.n_a, report.n_b, report.splits, report.merges) == (False, 2, 3, 1, 0)


def test_a_job_that_fails_says_why(tmp_path):
    (tmp_path / "0").mkdir()
    with pytest.raises(RuntimeError, match="Error"):
        measure.carry_out(Job("floor", str(tmp_path), str(tmp_path / "out"), tile=(8, 8)))


def test_images_are_made_once_and_the_same_again(folder, tmp_path):
    path, other = folder.image(SMALL), data.Data(tmp_path).image(SMALL)
    made = path.stat().st_mtime_ns
    assert folder.image(SMALL).stat().st_mtime_ns == made
    files = [file.relative_to(path) for file in path.rglob("*") if file.is_file()]
    assert all((path / file).read_bytes() == (other / file).read_bytes() for file in files)


def test_a_linked_image_shows_the_same_pixels_and_takes_labels_of_its_own(folder, tmp_path):
    image = folder.image(SMALL)
    store = peers.linked(image, tmp_path / "linked.zarr")
    (store / "labels").mkdir()
    one, other = (zarr.open_array(path / "0", mode="r")[...] for path in (image, store))
    np.testing.assert_array_equal(one, other)
    assert not (image / "labels").exists()


@pytest.mark.parametrize("what", ["speed", "scale"])
def test_the_command_line_lists_its_parts(what, capsys, tmp_path):
    assert front.main([what, "--quick", "--list", "--data", str(tmp_path)]) == 0
    assert len(capsys.readouterr().out.split("\n")) >= 4


def test_the_command_line_writes_tables_and_numbers(tmp_path, capsys):
    document, numbers = tmp_path / "tables.md", tmp_path / "numbers.json"
    document.write_text("before\n<!-- scale -->\nold\n<!-- end of scale -->\nafter\n")
    arguments = ["scale", "--quick", "--rounds", "1", "--only", "first-event", "--data", str(tmp_path)]
    front.main([*arguments, "--json", str(numbers), "--into", str(document)])
    text = document.read_text()
    assert text.startswith("before")
    assert text.endswith("after\n")
    assert "| planned |" in text
    assert "old" not in text
    assert "first event of the run" in capsys.readouterr().out
    assert "first_event" in json.loads(numbers.read_text())["first-event"][0]["told"]


def test_conversion_is_compared_with_a_plain_copy_and_its_pixels_checked(folder):
    (table,) = conversion.main(conversion.cases(quick=True), folder, measure.Options(rounds=1))
    assert column(table, "job") == ["plain copy", "convert"]
    assert table.notes[-1].startswith("The pixels of every run were compared")
    assert {"wall", "cpu", "peak", "kept"} <= set(table.data["planes"]["convert"][0])
