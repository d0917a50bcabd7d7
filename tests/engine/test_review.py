"""A kept run opened to be looked at: previews are what a merge would write, and nothing is changed."""

from __future__ import annotations

import shutil
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from tests.engine.segmenters import bright, jagged

import seamlabel
from seamlabel.engine.compared import Stopped
from seamlabel.engine.edits import make_edits
from seamlabel.engine.remerge import remerge
from seamlabel.engine.review import Review
from seamlabel.engine.review_tables import steady_ids
from seamlabel.engine.run import run
from seamlabel.errors import OutputError, SpecError
from seamlabel.events import RunFinished
from seamlabel.geometry import Box
from seamlabel.io.sources import image_info, open_labels

SETTINGS = [
    {},
    {"merge": {"iou": 0.85}},
    {"merge": {"iou": 0.05}, "min_size": 150},
    {"max_size": 220},
    {"drop_border": True, "merge": {"iou": 1.0}},
]


def carried(events):
    *_, last = events
    assert isinstance(last, RunFinished)
    return last


def kept(image, segmenter=jagged, **fields):
    spec = seamlabel.RunSpec(image=image, **{"tile_shape": 64, "overlap": 12, "overwrite": True, **fields})
    plan = seamlabel.resolve(spec, image_info(image, output=spec.output))
    return carried(run(plan, segmenter=segmenter, keep=True))


def written(last):
    return np.asarray(open_labels(last.path)[0])


def whole(preview):
    shape = preview.plan.grid.shape
    return preview.labels(Box((0,) * len(shape), shape))


def files(folder):
    return {p.relative_to(folder): p.stat().st_mtime_ns for p in Path(folder).parent.rglob("*")}


@pytest.mark.parametrize("fields", SETTINGS, ids=str)
@pytest.mark.parametrize("segmenter", [jagged, bright])
def test_a_preview_is_what_a_merge_writes(image, segmenter, fields):
    last = kept(image, segmenter)
    before = files(last.run_dir)
    review = Review(last.run_dir)
    preview = review.preview(fields)
    labels = whole(preview)
    assert files(last.run_dir) == before
    again = carried(remerge(last.run_dir, changes=fields))
    np.testing.assert_array_equal(labels, written(again))
    assert (preview.n_objects, preview.report.counts) == (again.n_objects, again.report.counts)


@pytest.mark.parametrize("seed", range(6))
def test_any_settings_and_edits_are_previewed_as_they_are_written(image, seed):
    rng = np.random.default_rng(seed)
    last = kept(image, jagged if seed % 2 else bright, fill_holes=bool(seed % 3))
    review, shape = Review(last.run_dir), Review(last.run_dir).plan.grid.shape
    for _ in range(3):
        fields = {
            "merge": {"iou": round(float(rng.uniform(0.01, 1)), 3)},
            "drop_border": bool(rng.integers(2)),
        }
        fields["min_size"] = int(rng.integers(0, 120))
        fields["max_size"] = int(rng.integers(150, 400)) if rng.integers(2) else None
        edits = []
        for kind in rng.choice(["join", "cut", "remove"], 6):
            points = rng.integers(0, shape, (1 if kind == "remove" else 2, 2)).tolist()
            edit = make_edits(**{kind: [points[0] if kind == "remove" else points]})[0]
            try:
                review.preview(fields, [*edits, edit])
            except SpecError:  # background, or against another one
                continue
            edits.append(edit)
        preview = review.preview(fields, edits)
        again = carried(remerge(last.run_dir, changes=fields, edits=edits, forget=True))
        np.testing.assert_array_equal(whole(preview), written(again))
        assert preview.n_objects == again.n_objects


def test_holes_are_filled_in_a_preview_too(image):
    last = kept(image, fill_holes=True)
    preview = Review(last.run_dir).preview({"merge": {"iou": 0.7}})
    np.testing.assert_array_equal(
        whole(preview), written(carried(remerge(last.run_dir, changes={"merge": {"iou": 0.7}})))
    )


def test_parts_are_as_they_would_be_painted(image):
    review = Review(kept(image).run_dir)
    preview = review.preview({"merge": {"iou": 0.6}, "min_size": 90})
    labels = whole(preview)
    for start, stop in (((3, 40), (70, 70)), ((60, 60), (61, 200)), ((0, 250), (260, 300))):
        box = Box(start, stop)
        np.testing.assert_array_equal(preview.labels(box), labels[box.slices])


@pytest.mark.parametrize("fields", SETTINGS, ids=str)
def test_labels_are_looked_up_in_tables_when_they_are_read(image, fields):
    review = Review(kept(image, bright).run_dir)
    preview = review.preview(fields)
    grid, labels = review.plan.grid, whole(preview)
    rng = np.random.default_rng(0)
    order, first = rng.permutation(len(grid)), np.full(len(grid), -1)
    n_core = review.tables.all().n_core
    first[order] = np.append(0, np.cumsum(n_core[order])[:-1])
    shown = preview.shown(first)
    for tile in grid:
        staged = review.store.read(tile.number)
        own = staged.labels()[tile.core.relative_to(tile.read).slices]
        np.testing.assert_array_equal(preview.table(tile.number)[own], labels[tile.core.slices])
        provisional = np.where(own > 0, own + first[tile.number], 0)
        np.testing.assert_array_equal(shown[provisional], labels[tile.core.slices])


def test_objects_keep_their_ids_as_far_as_can_be():
    before = np.array([0, 1, 1, 2, 2, 3, 3, 4, 0, 5], np.uint32)
    same = np.array([0, 5, 5, 4, 4, 3, 3, 2, 0, 1], np.uint32)
    assert steady_ids(same, before).tolist() == before.tolist()
    other = np.array([0, 1, 1, 2, 3, 4, 4, 4, 5, 0], np.uint32)  # 2 is parted, 3 and 4 are one, 5 is gone
    assert steady_ids(other, before).tolist() == [0, 1, 1, 2, 6, 3, 3, 3, 7, 0]
    assert steady_ids(other, np.zeros(10, np.uint32)).tolist() == other.tolist()
    assert steady_ids(np.zeros(0, np.uint32), np.zeros(0, np.uint32)).size == 0


def test_edits_are_previewed_as_they_are_carried_out(image):
    last = kept(image)
    labels = written(last)
    review = Review(last.run_dir)
    pairs = review.report.doubtful
    pointer = review.pointer()
    edits = []
    for place in review.places(pairs[:12]):
        kind = "cut" if place.joined else "join"
        edit = pointer.edit(kind, place)
        edits += [edit] if edit else []
    assert len(edits) > 3
    point = tuple(np.argwhere(labels == labels.max())[0].tolist())
    edits += make_edits(remove=[point])
    sound = []
    for edit in edits:  # some contradict each other: what is joined by one cannot be cut by another
        try:
            review.preview(edits=[*sound, edit])
        except SpecError:
            continue
        sound.append(edit)
    preview = review.preview(edits=sound)
    assert not np.array_equal(whole(preview), labels)
    again = carried(remerge(last.run_dir, edits=sound))
    np.testing.assert_array_equal(whole(preview), written(again))
    reopened = Review(last.run_dir)
    assert reopened.edits == sound
    np.testing.assert_array_equal(whole(reopened.preview()), written(again))
    np.testing.assert_array_equal(whole(reopened.preview(edits=())), labels)


def test_an_edit_at_a_place_parts_or_joins_its_two_objects(image):
    review = Review(kept(image).run_dir)
    pointer, done = review.pointer(), set()
    for place in review.places(review.report.doubtful):
        kind = "cut" if place.joined else "join"
        edit = pointer.edit(kind, place)
        if edit is None:
            continue
        one, other = (review.preview(edits=[edit]).table(k >> 32)[k & 0xFFFFFFFF] for k in place.keys)
        assert (one == other) == (kind == "join") or 0 in (one, other)
        for key, point in zip(place.keys, edit.points, strict=True):
            assert place.boxes[place.keys.index(key)].contains(Box(point, tuple(p + 1 for p in point)))
        done.add(kind)
    assert done == {"cut", "join"}


def test_places_tell_where_pairs_lie(image):
    review = Review(kept(image).run_dir)
    pairs = review.report.doubtful
    places = review.places(pairs)
    assert [place.iou for place in places] == pairs["iou"].tolist()
    threshold = review.plan.spec.merge.iou
    assert np.all(np.diff(np.abs(pairs["iou"] - threshold)) >= 0), "the most doubtful first"
    for place in places:
        for tile, key, box in zip(place.tiles, place.keys, place.boxes, strict=True):
            read = review.plan.grid[tile].read
            mine = np.argwhere(review.store.read(tile).labels() == key & 0xFFFFFFFF) + read.start
            assert box == Box(tuple(mine.min(0).tolist()), tuple((mine.max(0) + 1).tolist()))
        assert place.box.contains(place.boxes[0])
        assert place.box.contains(place.boxes[1])
    assert review.places(pairs[:0]) == []


def test_the_settings_of_the_last_merge_are_known(image):
    last = kept(image)
    assert Review(last.run_dir).settings["merge"]["iou"] == Review(last.run_dir).stored.spec.merge.iou
    carried(remerge(last.run_dir, changes={"merge": {"iou": 0.85}, "min_size": 40, "drop_border": True}))
    review = Review(last.run_dir)
    assert (review.settings["merge"]["iou"], review.settings["min_size"]) == (0.85, 40)
    assert review.plan.spec.drop_border
    labels = written(last)
    np.testing.assert_array_equal(whole(review.preview(review.settings)), labels)
    carried(remerge(last.run_dir, changes={"name": "other"}))
    assert Review(last.run_dir).settings == review.settings, "labels elsewhere are not the run's"
    carried(remerge(last.run_dir))
    assert Review(last.run_dir).settings["min_size"] == 0


def test_the_report_of_the_last_merge_is_kept_or_found_again(image):
    last = kept(image)
    assert Review(last.run_dir).report.counts == last.report.counts
    np.testing.assert_array_equal(Review(last.run_dir).report.doubtful, last.report.doubtful)
    (Path(last.run_dir) / "report.npz").write_bytes(b"nothing")
    np.testing.assert_array_equal(Review(last.run_dir).report.doubtful, last.report.doubtful)


def test_labels_that_touch_are_reviewed_without_a_threshold(image):
    last = kept(image, bright, merge={"rule": "touching"})
    review = Review(last.run_dir)
    assert "iou" not in review.settings["merge"]
    np.testing.assert_array_equal(whole(review.preview(review.settings)), written(last))
    with pytest.raises(SpecError, match="no such threshold"):
        review.preview({"merge": {"iou": 0.5}})


def test_what_is_gone_is_told(image, tmp_path):
    with pytest.raises(OutputError, match="holds no run"):
        Review(tmp_path)
    last = kept(image)
    next(Path(last.run_dir).glob("staging-*/7.tile")).unlink()
    with pytest.raises(OutputError, match=r"1 of 25 tiles .* missing.*: 7"):
        Review(last.run_dir)
    shutil.rmtree(next(Path(last.run_dir).glob("staging-*")))
    with pytest.raises(OutputError, match=r"staged tiles .* are gone"):
        Review(last.run_dir)
    records = Path(last.run_dir) / "records"
    (records / "rows.bin").unlink()
    with pytest.raises(OutputError):
        Review(last.run_dir)
    assert not (records / "rows.bin").exists(), "looking makes no file"


def test_a_preview_that_nobody_wants_ends(image):
    review = Review(kept(image).run_dir)
    with pytest.raises(Stopped):
        review.preview({"merge": {"iou": 0.4}}, stop=lambda: True)
    with pytest.raises(Stopped):
        review.preview({"min_size": 30}, stop=lambda: True)
    assert review.preview({"min_size": 30}, stop=lambda: False).n_objects


def test_many_threads_get_the_same(image):
    review = Review(kept(image).run_dir)
    wishes = [{"min_size": size, "merge": {"iou": 0.3 + size / 300}} for size in range(0, 160, 20)]
    counts = {}

    def ask(number):
        counts[number] = review.preview(wishes[number]).n_objects

    threads = [Thread(target=ask, args=(number,)) for number in range(len(wishes))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fresh = Review(review.path)
    assert counts == {n: fresh.preview(wish).n_objects for n, wish in enumerate(wishes)}


def test_closing_lets_go_and_looking_on_is_possible(image):
    review = Review(kept(image).run_dir)
    count = review.preview({"min_size": 30}).n_objects
    review.close()
    review.close()
    assert review.preview({"min_size": 30}).n_objects == count
