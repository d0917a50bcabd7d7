"""The merge of a kept run done again: other settings, edits by hand, tiles run again, and crashes."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from tests.engine.segmenters import CROSS, bright, jagged

import seamlabel
from seamlabel.engine.edits import Edit, from_json, make_edits, read_edits, to_json, typed_edit
from seamlabel.engine.records import TILE
from seamlabel.engine.remerge import remerge
from seamlabel.engine.run import run
from seamlabel.errors import OutputError, SpecError, TileError
from seamlabel.events import RunFinished, StageStarted, TileDone
from seamlabel.io.journal import RunDirectory
from seamlabel.io.ngff.documents import LOCK
from seamlabel.io.ngff.images import write_image
from seamlabel.io.sources import image_info, open_labels


def plan_of(image, **fields):
    spec = seamlabel.RunSpec(image=image, **{"tile_shape": 64, "overlap": 12, "overwrite": True, **fields})
    return seamlabel.resolve(spec, image_info(image, output=spec.output))


def carried(events):
    *_, last = events
    assert isinstance(last, RunFinished)
    return last


def kept(image, segmenter=jagged, **fields):
    return carried(run(plan_of(image, **fields), segmenter=segmenter, keep=True))


def fresh(image, segmenter=jagged, **fields):
    last = carried(run(plan_of(image, name="fresh", **fields), segmenter=segmenter))
    return levels(last.path)


def levels(path):
    return [np.asarray(level) for level in open_labels(path)]


def same(one, other):
    return len(one) == len(other) and all(map(np.array_equal, one, other))


def contents(folder):
    """Bytes of the staged tiles and of the records."""
    files = [*folder.glob("staging-*/*.tile"), *folder.glob("records*/*.bin")]
    return {path.name: path.read_bytes() for path in files}


def test_the_same_settings_give_the_same_bytes_without_the_image(image, tmp_path):
    last = kept(image, output=str(tmp_path / "out.zarr"))
    before = levels(last.path)
    stored = contents(Path(last.run_dir))
    shutil.rmtree(image)
    again = carried(remerge(last.run_dir))
    assert again.path == last.path
    assert again.n_objects == last.n_objects
    assert same(levels(again.path), before)
    assert contents(Path(last.run_dir)) == stored


@pytest.mark.parametrize(
    "fields",
    [{"merge": {"iou": 0.85}}, {"min_size": 150}, {"max_size": 220}, {"drop_border": True}],
    ids=lambda fields: next(iter(fields)),
)
def test_other_settings_give_what_a_new_run_would(image, fields):
    last = kept(image)
    before = levels(last.path)
    carried(remerge(last.run_dir, changes=fields))
    assert same(levels(last.path), fresh(image, **fields))
    assert not same(levels(last.path), before)
    carried(remerge(last.run_dir))
    assert same(levels(last.path), before)


def test_a_function_judges_pairs_without_segmenting(image):
    last = kept(image)
    carried(
        remerge(
            last.run_dir,
            changes={"merge": {"rule": "any:rule"}},
            rule=lambda c, a, b: c >= 0.85 * (a + b - c),
        )
    )
    assert same(levels(last.path), fresh(image, merge={"iou": 0.85}))


def test_a_method_whose_small_objects_were_removed_can_keep_them(image):
    params = {"value": 2000, "smoothing": 0}
    last = kept(image, None, backend="threshold", params={**params, "min_size": 300})
    before = levels(last.path)
    carried(remerge(last.run_dir))
    assert same(levels(last.path), before)
    carried(remerge(last.run_dir, changes={"min_size": 0}))
    assert same(levels(last.path), fresh(image, None, backend="threshold", params=params))
    assert not same(levels(last.path), before)


def test_rules_that_need_other_comparisons_are_refused(image):
    last = kept(image)
    with pytest.raises(SpecError, match="'touching' needs other comparisons"):
        carried(remerge(last.run_dir, changes={"merge": {"rule": "touching"}}))
    touching = kept(image, bright, merge={"rule": "touching"}, name="touching")
    before = levels(touching.path)
    carried(remerge(touching.run_dir))
    assert same(levels(touching.path), before)
    with pytest.raises(SpecError, match=r"merge\.rule"):
        carried(remerge(touching.run_dir, changes={"merge": {"connectivity": 1}}))


def test_labels_can_go_elsewhere(image, tmp_path):
    last = kept(image)
    before = levels(last.path)
    other = carried(remerge(last.run_dir, changes={"name": "strict", "merge": {"iou": 0.9}}))
    assert image_info(image).labels == ("labels", "strict")
    assert other.n_objects > last.n_objects
    with pytest.raises(SpecError, match="already has labels 'strict'"):
        carried(remerge(last.run_dir, changes={"name": "strict", "overwrite": False}))
    apart = carried(remerge(last.run_dir, changes={"output": str(tmp_path / "own.zarr")}))
    assert same(levels(apart.path), before)
    assert same(levels(last.path), before)


def test_time_points_and_volumes_are_merged_again(tmp_path, pixels):
    movie = np.stack([pixels[:90, :110], pixels[90:180, :110]])
    path = tmp_path / "movie.zarr"
    write_image(path, movie.shape, str(movie.dtype), lambda box: movie[box.slices], axes="tyx")
    last = kept(str(path), tile_shape=40)
    before = levels(last.path)
    carried(remerge(last.run_dir))
    assert same(levels(last.path), before)
    with pytest.raises(SpecError, match="different time points"):
        carried(remerge(last.run_dir, edits=make_edits(join=[((0, 5, 5), (1, 5, 5))])))


def test_planes_are_linked_again_and_cut(tmp_path, pixels):
    volume = np.stack([pixels[:90, :110]] * 4)
    volume[2:] = np.roll(volume[2:], 6, axis=2)
    path = tmp_path / "volume.zarr"
    write_image(path, volume.shape, str(volume.dtype), lambda box: volume[box.slices], axes="zyx")
    fields = {"planes": True, "tile_shape": 40, "merge": {"z_link": 0.3}}
    last = kept(str(path), bright, **fields)
    before = levels(last.path)
    carried(remerge(last.run_dir))
    assert same(levels(last.path), before)
    strict = carried(remerge(last.run_dir, changes={"merge": {"z_link": 0.95}}))
    assert strict.n_objects > last.n_objects
    assert same(levels(strict.path), fresh(str(path), bright, **{**fields, "merge": {"z_link": 0.95}}))
    labels = before[0]
    through = np.flatnonzero(
        [len({*np.flatnonzero((labels == n).any((1, 2)))}) == 4 for n in range(labels.max() + 1)]
    )
    one = next(n for n in through if n)
    low, high = (
        tuple(np.argwhere((labels == one) & (np.arange(4)[:, None, None] == z))[0].tolist()) for z in (0, 3)
    )
    ended = carried(remerge(last.run_dir, edits=make_edits(cut=[(low, high)])))
    labels = levels(ended.path)[0]
    assert 0 != labels[low] != labels[high] != 0
    assert ended.n_objects == last.n_objects + 1
    with pytest.raises(SpecError, match="planes were compared"):
        carried(remerge(last.run_dir, changes={"merge": {"z_link": None}}))


def test_what_is_no_kept_run_is_told_so(tmp_path, image):
    with pytest.raises(OutputError, match="holds no run"):
        carried(remerge(tmp_path))
    last = kept(image)
    held = RunDirectory(Path(last.run_dir), None)
    with pytest.raises(OutputError, match="in use by process"):
        carried(remerge(last.run_dir))
    held.close(keep=True)
    (Path(last.run_dir) / "plan.json").write_text("{")
    with pytest.raises(OutputError, match="cannot be understood"):
        carried(remerge(last.run_dir))


def test_a_run_in_which_tiles_failed_is_mended_tile_by_tile(image):
    bad = plan_of(image).grid[7].read
    corner = int(np.asarray(open_labels_of(image))[bad.start])

    def failing(tile):
        if int(tile[0, 0]) == corner:
            raise ValueError
        return jagged(tile)

    last = carried(run(plan_of(image), segmenter=failing))
    assert 7 in last.failed
    with pytest.raises(OutputError, match=r"\d+ of 25 tiles .* are missing.*7") as error:
        carried(remerge(last.run_dir))
    assert "--again missing" in error.value.hint
    mended = carried(remerge(last.run_dir, again="missing", segmenter=jagged))
    assert same(levels(mended.path), fresh(image))
    assert carried(remerge(last.run_dir, again="missing", segmenter=failing)).n_objects == mended.n_objects


def open_labels_of(image):
    from seamlabel.io.sources import open_source

    return open_source(image, image_info(image), 0, ()).arrays[0][:]


def test_a_staged_tile_that_was_lost_is_missed(image):
    last = kept(image)
    tile = next(Path(last.run_dir).glob("staging-*/7.tile"))
    tile.unlink()
    with pytest.raises(OutputError, match="1 of 25 tiles"):
        carried(remerge(last.run_dir))
    assert same(levels(carried(remerge(last.run_dir, again=[7], segmenter=jagged)).path), fresh(image))
    assert tile.exists()


# ---- tiles run again


def test_a_tile_run_again_with_the_same_method_changes_no_byte(image):
    last = kept(image)
    before, staged = levels(last.path), contents(Path(last.run_dir))
    events = list(remerge(last.run_dir, again=[6, 7, 24], segmenter=jagged))
    assert sorted(e.tile for e in events if isinstance(e, TileDone)) == [6, 7, 24]
    assert [e.stage for e in events if isinstance(e, StageStarted)] == ["segment", "merge", "paint"]
    assert same(levels(last.path), before)
    after = contents(Path(last.run_dir))
    notes = [np.sort(np.frombuffer(found.pop("tiles.bin"), TILE), order="tile") for found in (staged, after)]
    for field in ("tile", "n_core", "interior", "bytes", "digest"):
        assert np.array_equal(notes[0][field], notes[1][field])
    assert {name: sorted(data) for name, data in after.items()} == {n: sorted(d) for n, d in staged.items()}
    assert not [path for path in Path(last.run_dir).rglob("*") if path.name.startswith(".")]
    assert len(list(Path(last.run_dir).glob("records*"))) == 1


def swapped(numbers, image, one, other):
    """A function that is `one`, but `other` on some tiles."""
    pixels, grid = open_labels_of(image), plan_of(image).grid
    looks = [pixels[grid[n].read.slices] for n in numbers]

    def segment(tile):
        return (other if any(np.array_equal(tile, look) for look in looks) else one)(tile)

    return segment


@pytest.mark.parametrize("rule", ["iou", "touching"])
@pytest.mark.parametrize("other", [bright, np.zeros_like], ids=["another", "nothing"])
@pytest.mark.parametrize("numbers", [[0], [12], [6, 7, 11, 13]], ids=str)
def test_a_tile_run_again_with_another_function_equals_a_new_run(image, numbers, other, rule):
    merge = {"rule": rule}
    last = kept(image, merge=merge)
    before = levels(last.path)
    carried(remerge(last.run_dir, again=numbers, segmenter=lambda tile: other(tile).astype(int)))
    mixed = fresh(image, swapped(numbers, image, jagged, lambda tile: other(tile).astype(int)), merge=merge)
    assert same(levels(last.path), mixed)
    assert not same(mixed, before)
    carried(remerge(last.run_dir, again=numbers, segmenter=jagged))
    assert same(levels(last.path), before)


def hollow(tile):
    """Rings, so that there are holes to fill where tiles meet."""
    mask = ndimage.gaussian_filter(tile.astype(float), 1) > 2300
    return ndimage.label(mask & ~ndimage.binary_erosion(mask, iterations=2, border_value=1), CROSS)[0]


@pytest.mark.parametrize("numbers", [[0], [6, 7, 11, 13]], ids=str)
def test_holes_are_filled_again_where_tiles_were_run_again(image, numbers):
    last = kept(image, hollow, fill_holes=True)
    before = levels(last.path)
    assert (before[0] > 0).sum() > 1.2 * (fresh(image, hollow)[0] > 0).sum()
    carried(remerge(last.run_dir))
    assert same(levels(last.path), before)
    carried(remerge(last.run_dir, again=numbers, segmenter=jagged))
    assert same(levels(last.path), fresh(image, swapped(numbers, image, hollow, jagged), fill_holes=True))
    carried(remerge(last.run_dir, again=numbers, segmenter=hollow))
    assert same(levels(last.path), before)


def test_tiles_run_again_count_by_the_filter_of_the_run(image):
    last = kept(image, tile_shape=90)
    numbers = list(range(len(plan_of(image, tile_shape=90).grid)))
    carried(remerge(last.run_dir, again=numbers, segmenter=bright, changes={"min_size": 500}))
    assert same(levels(last.path), fresh(image, bright, tile_shape=90, min_size=500))
    carried(remerge(last.run_dir))
    assert same(levels(last.path), fresh(image, bright, tile_shape=90))


def test_where_a_tile_fails_again_nothing_is_replaced(image):
    last = kept(image)
    before, stored = levels(last.path), contents(Path(last.run_dir))
    corner = int(open_labels_of(image)[plan_of(image).grid[12].read.start])

    def failing(tile):
        if int(tile[0, 0]) == corner:
            raise ValueError
        return bright(tile)

    assert set(carried(remerge(last.run_dir, again=[7, 12], segmenter=failing)).failed) == {12}
    with pytest.raises(TileError, match="tile 12: ValueError"):
        carried(remerge(last.run_dir, again=[12], segmenter=failing))
    assert contents(Path(last.run_dir)) == stored
    carried(remerge(last.run_dir))
    assert same(levels(last.path), before)
    with pytest.raises(SpecError, match="there is no tile 99"):
        carried(remerge(last.run_dir, again=[99], segmenter=failing))


class Crash(BaseException):
    """Stops a process as if it were killed: nothing on disk changes from then on."""


def crash_at(step, patch):
    """Let the step-th change of the disk raise, and all later ones too."""
    done = []

    def wrapped(real):
        def change(*args, **kwargs):
            done.append(real)
            if len(done) > step:
                raise Crash
            return real(*args, **kwargs)

        return change

    for owner, name in (
        (Path, "replace"), (Path, "unlink"), (Path, "write_text"), (Path, "write_bytes"), (Path, "mkdir"),
        (shutil, "rmtree"),
    ):  # fmt: skip
        patch.setattr(owner, name, wrapped(getattr(owner, name)))


def test_a_crash_at_any_step_leaves_the_old_tiles_or_the_new(image, tmp_path, monkeypatch):
    last = kept(image, executor="serial")
    run_dir = Path(last.run_dir)
    old = levels(last.path)
    saved = tmp_path / "saved"
    shutil.copytree(run_dir, saved)

    def other(tile):
        return np.zeros_like(tile, int) if tile[0, 0] % 2 else bright(tile)

    carried(remerge(run_dir, again=[6, 7, 11, 12], segmenter=other))
    new = levels(last.path)
    assert not same(old, new)
    outcomes = []
    for step in range(100):
        shutil.rmtree(run_dir)
        shutil.copytree(saved, run_dir)
        with monkeypatch.context() as patch:
            crash_at(step, patch)
            with suppress(Crash):
                carried(remerge(run_dir, again=[6, 7, 11, 12], segmenter=other))
        for lock in (run_dir.with_name(f"{run_dir.name}.lock"), *Path(image).rglob(LOCK)):
            lock.unlink(missing_ok=True)  # of a process that is dead
        carried(remerge(run_dir))
        found = levels(last.path)
        assert same(found, old) or same(found, new), f"a mixture after step {step}"
        outcomes.append(same(found, new))
        if outcomes.count(True) > 12:  # only the labels are left to be written
            break
    assert outcomes == sorted(outcomes)  # first the old state, from one step on the new
    assert outcomes[0] is False
    assert outcomes[-1] is True


# ---- edits


def two_discs():
    """Two discs across the border of two tiles, which each tile sees apart, and one inside a tile."""
    pixels = np.zeros((64, 128), np.uint16)
    y, x = np.indices(pixels.shape)
    for centre in ((16, 64), (44, 64), (32, 20)):
        pixels[(y - centre[0]) ** 2 + (x - centre[1]) ** 2 < 64] = 5000
    return pixels


@pytest.fixture
def discs(tmp_path):
    pixels = two_discs()
    path = tmp_path / "discs.zarr"
    write_image(path, pixels.shape, str(pixels.dtype), lambda box: pixels[box.slices], axes="yx")
    return kept(str(path), bright, tile_shape=64, overlap=16)


UPPER, LOWER, INNER = (16, 60), (44, 68), (32, 20)


def at(last, *points):
    labels = levels(last.path)[0]
    return [int(labels[point]) for point in points]


def test_objects_are_joined_and_removed_by_places(discs):
    assert discs.n_objects == 3
    last = carried(remerge(discs.run_dir, edits=make_edits(join=[(UPPER, LOWER)])))
    upper, lower, inner = at(last, UPPER, LOWER, INNER)
    assert upper == lower != inner > 0
    assert last.n_objects == 2
    assert sorted(np.unique(levels(last.path)[0])) == [0, 1, 2]
    last = carried(remerge(discs.run_dir, edits=make_edits(join=[(LOWER, INNER)])))  # the first is kept
    assert len(set(at(last, UPPER, LOWER, INNER))) == 1
    last = carried(remerge(discs.run_dir, changes={"merge": {"iou": 0.5}}))
    assert last.n_objects == 1
    last = carried(remerge(discs.run_dir, forget=True, edits=make_edits(remove=[UPPER])))
    assert at(last, UPPER)[0] == 0
    assert last.n_objects == 2
    assert carried(remerge(discs.run_dir, forget=True)).n_objects == 3


def test_an_object_that_no_neighbour_sees_can_be_edited(discs):
    shape = levels(discs.path)[0] > 0
    last = carried(remerge(discs.run_dir, edits=make_edits(join=[(INNER, UPPER)])))
    assert last.n_objects == 2
    assert np.array_equal(levels(last.path)[0] > 0, shape)
    assert sorted(np.unique(levels(last.path)[0])) == [0, 1, 2]
    last = carried(remerge(discs.run_dir, forget=True, edits=make_edits(remove=[INNER])))
    assert last.n_objects == 2
    assert sorted(np.unique(levels(last.path)[0])) == [0, 1, 2]
    last = carried(remerge(discs.run_dir, changes={"min_size": 1000}))
    assert last.n_objects == 0


def test_joined_objects_count_as_one_for_the_filter(discs):
    size = int((levels(discs.path)[0] == at(discs, UPPER)[0]).sum())
    last = carried(
        remerge(discs.run_dir, edits=make_edits(join=[(INNER, UPPER)]), changes={"min_size": size + 50})
    )
    assert last.n_objects == 1
    assert at(last, INNER, UPPER, LOWER) == [1, 1, 0]


def test_a_cut_wins_over_all_pairs_that_join(tmp_path):
    """Three tiles in a row see a bar each; the cut parts the outer two, the middle goes with one."""
    pixels = np.zeros((32, 192), np.uint16)
    pixels[12:20, 10:182] = 5000
    path = tmp_path / "bar.zarr"
    write_image(path, pixels.shape, str(pixels.dtype), lambda box: pixels[box.slices], axes="yx")
    first = kept(str(path), bright, tile_shape=(32, 64), overlap=16)
    assert first.n_objects == 1
    ends = (15, 20), (15, 170)
    last = carried(remerge(first.run_dir, edits=make_edits(cut=[ends])))
    left, right = at(last, *ends)
    assert 0 != left != right != 0
    assert last.n_objects == 2
    assert last.report.n_refused == 1
    middle = (15, 96)
    last = carried(remerge(first.run_dir, edits=make_edits(join=[(middle, ends[1])])))
    assert at(last, middle)[0] == at(last, ends[1])[0] != at(last, ends[0])[0]


def test_edits_that_cannot_be_carried_out_are_told_all_at_once(discs):
    edits = make_edits(
        join=[((16, 60), (99, 5)), ((16, 60, 1), (44, 60)), ((2, 2), (44, 60)), (UPPER, LOWER)],
        cut=[((16, 60), (18, 62)), ((16, 60), (16, 68)), (LOWER, UPPER)],
    )
    with pytest.raises(SpecError) as error:
        carried(remerge(discs.run_dir, edits=edits))
    told = {problem.field: problem for problem in error.value.problems}
    assert "outside the image of 64 x 128" in told["join 16,60:99,5"].message
    assert "3 numbers for 2 axes" in told["join 16,60,1:44,60"].message
    assert "(2, 2) is background" in told["join 2,2:44,60"].message
    assert "sees one object at both points" in told["cut 16,60:18,62"].message
    assert "sees one object at both points" in told["cut 16,60:16,68"].message
    assert "joined by other edits" in told["cut 44,68:16,60"].message
    assert all(problem.fix for problem in told.values())
    assert carried(remerge(discs.run_dir)).n_objects == 3  # none of them was kept


def test_a_cut_of_what_was_joined_before_is_told(discs):
    carried(remerge(discs.run_dir, edits=make_edits(join=[(UPPER, INNER), (INNER, LOWER)])))
    with pytest.raises(SpecError, match="joined by other edits"):
        carried(remerge(discs.run_dir, edits=make_edits(cut=[(UPPER, LOWER)])))


def test_a_point_where_only_a_neighbour_sees_something_means_that(tmp_path, image):
    """In voxels that a tile calls background, but that a neighbour's object is painted on."""
    last = kept(image)
    labels = levels(last.path)[0]
    plan = plan_of(image)
    pixels = open_labels_of(image)
    for tile in plan.grid:
        own = jagged(pixels[tile.read.slices])[tile.core.relative_to(tile.read).slices]
        odd = np.argwhere((own == 0) & (labels[tile.core.slices] > 0))
        if len(odd):
            point = tuple((odd[0] + tile.core.start).tolist())
            break
    ended = carried(remerge(last.run_dir, edits=make_edits(remove=[point])))
    assert levels(ended.path)[0][point] == 0
    assert ended.n_objects == last.n_objects - 1


def test_edits_stay_when_a_tile_is_run_again(discs):
    carried(remerge(discs.run_dir, edits=make_edits(join=[(UPPER, INNER)])))
    joined = levels(discs.path)
    carried(remerge(discs.run_dir, again=[0], segmenter=bright))
    assert same(levels(discs.path), joined)


def test_edits_come_from_tables_json_and_typing(tmp_path):
    wanted = [Edit("cut", ((10, 20), (10, 35))), Edit("remove", ((3, 4),))]
    (tmp_path / "edits.csv").write_text("kind,y1,x1,y2,x2\ncut,10,20,10,35\nremove,3,4,,\n")
    assert read_edits(tmp_path / "edits.csv", "yx") == wanted
    (tmp_path / "edits.json").write_text(to_json(wanted))
    assert read_edits(tmp_path / "edits.json", "yx") == wanted == from_json(to_json(wanted))
    assert [typed_edit("cut", "10,20:10,35"), typed_edit("remove", "3, 4")] == wanted
    assert make_edits(cut=[(np.array([10, 20]), (10.0, 35))], remove=[(3, 4)]) == wanted
    (tmp_path / "bad.csv").write_text("kind,y1,x1,y2,x2\nglue,1,2,3,4\ncut,1,2,,\n")
    with pytest.raises(SpecError, match=r"(?s)line 2.*glue.*line 3.*two points"):
        read_edits(tmp_path / "bad.csv", "yx")
    (tmp_path / "bad.csv").write_text("what,y1\n")
    with pytest.raises(SpecError, match=r"no column kind, x1"):
        read_edits(tmp_path / "bad.csv", "yx")
    (tmp_path / "bad.json").write_text('[{"kind": "cut"}]')
    with pytest.raises(SpecError, match="not a list of edits"):
        read_edits(tmp_path / "bad.json", "yx")
    for text in ("10,20", "a,b:1,2", "1.5,2:3,4", ""):
        with pytest.raises(SpecError, match="two points"):
            typed_edit("join", text)


def test_the_report_is_kept_with_the_run(image):
    last = kept(image)
    counts = json.loads((Path(last.run_dir) / "report.json").read_text())
    assert counts == last.report.counts
    with np.load(Path(last.run_dir) / "report.npz") as lists:
        assert len(lists["doubtful"]) == len(last.report.doubtful) > 0


def test_a_closed_merge_leaves_the_former_labels(image):
    last = kept(image)
    before = levels(last.path)
    events = remerge(last.run_dir, changes={"merge": {"iou": 0.9}})
    for event in events:
        if isinstance(event, StageStarted) and event.stage == "paint":
            break
    events.close()
    assert same(levels(last.path), before)
    carried(remerge(last.run_dir))
    assert replace(last, seconds=0, report=None).n_objects == last.n_objects
