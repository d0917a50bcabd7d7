"""Whole runs on real stores: what is written, what is told, what happens when things go wrong."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

import seamlabel
from seamlabel.engine.executors import SerialExecutor
from seamlabel.engine.paint import paint_layout
from seamlabel.engine.run import run
from seamlabel.errors import IncompleteError, OutputError, SpecError, TileError
from seamlabel.events import (
    Heartbeat,
    RunFinished,
    RunStarted,
    SeamsMerged,
    StageFinished,
    StageStarted,
    TileDone,
    TileFailed,
    TileSkipped,
    to_json,
)
from seamlabel.io.journal import finished_tiles
from seamlabel.io.ngff.images import write_image
from seamlabel.io.sources import image_info, open_labels
from seamlabel.io.staging import open_staging
from seamlabel.kernels.pyramid import sample_index
from seamlabel.kernels.relabel import ProvisionalIds
from seamlabel.testing import same_partition
from seamlabel.testing.cells import Tissue

FULL = np.ones((3, 3), int)


def bright(tile):
    return ndimage.label(tile > 2000, np.ones((3,) * tile.ndim))[0]


def save(path, pixels, axes, **options):
    write_image(path, pixels.shape, str(pixels.dtype), lambda box: pixels[box.slices], axes=axes, **options)
    return str(path)


@pytest.fixture(scope="module")
def pixels():
    return Tissue((500, 420), "dense").image()


@pytest.fixture
def image(tmp_path, pixels):
    return save(tmp_path / "image.zarr", pixels, "yx", levels=3, scale=(0.5, 0.5), units=("micrometer",) * 2)


def plan_of(image, **fields):
    fields = {"backend": "threshold", "params": {"value": 2000, "smoothing": 0}, "tile_shape": 128, **fields}
    spec = seamlabel.RunSpec(image=image, **fields)
    return seamlabel.resolve(spec, image_info(image, output=spec.output))


@pytest.mark.parametrize("executor", ["serial", "threads"])
@pytest.mark.parametrize("tile", [64, (97, 101), 1000])
def test_a_run_gives_the_labels_of_the_whole_image(image, pixels, executor, tile):
    result = seamlabel.segment(image, bright, tile_shape=tile, overlap=8, executor=executor, progress=False)
    labels = np.asarray(result.labels)
    assert same_partition(labels, bright(pixels))
    assert sorted(np.unique(labels)) == list(range(result.n_objects + 1))
    assert not Path(f"{image}.seamlabel").exists()


@pytest.mark.parametrize(("shape", "n_first"), [((1500, 1300), 7), ((4200, 201), 6)])
def test_levels_are_sampled_from_the_full_one_and_tiny_ones_from_the_one_before(tmp_path, shape, n_first):
    image = save(tmp_path / "deep.zarr", Tissue(shape, "dense").image(), "yx", levels=7)
    result = seamlabel.segment(image, bright, tile_shape=300, overlap=8, progress=False)
    levels = [np.asarray(level) for level in open_labels(result.path)]
    assert [level.shape for level in levels] == [level.shape for level in image_info(image).levels]
    assert paint_layout(tuple(level.shape for level in levels), (True, True)).n_first == n_first
    for k, level in enumerate(levels):
        source = levels[0] if k < n_first else levels[k - 1]
        index = np.ix_(*(sample_index(n, m) for n, m in zip(source.shape, level.shape, strict=True)))
        assert np.array_equal(level, source[index])


def test_labels_of_a_coarser_level_land_on_the_image(image, pixels):
    result = seamlabel.segment(image, "threshold", level=1, tile_shape=64, progress=False)
    full, half = (np.asarray(level) for level in open_labels(result.path)[:2])
    assert full.shape == pixels.shape
    assert half.max() == result.n_objects > 10
    rows, columns = (sample_index(n, m) for n, m in zip(half.shape, full.shape, strict=True))
    assert np.array_equal(full, half[np.ix_(rows, columns)])
    foreground = pixels > 2000
    assert (foreground & (full > 0)).sum() > 0.8 * foreground.sum()


def test_time_is_looped_and_never_merged_across(tmp_path):
    frame = Tissue((90, 110), "dense").image()
    movie = np.stack([frame, frame, frame[::-1]])
    image = save(tmp_path / "movie.zarr", movie[:, None], "tcyx")
    for rule in ("iou", "touching"):
        result = seamlabel.segment(
            image, bright, tile_shape=40, overlap=8, merge=rule, name=rule, progress=False
        )
        labels = np.asarray(result.labels)
        assert labels.shape == movie.shape
        ids = [set(np.unique(plane)) - {0} for plane in labels]
        assert not (ids[0] & ids[1])
        assert not (ids[1] & ids[2])
        for plane, truth in zip(labels, movie, strict=True):
            assert same_partition(plane, bright(truth))


def test_channels_are_chosen_by_name_or_number(tmp_path):
    dapi, gfp = Tissue((80, 80), "dense").image(), Tissue((80, 80), "sparse", seed=3).image()
    image = save(tmp_path / "two.zarr", np.stack([dapi, gfp]), "cyx", channels=("DAPI", "GFP"))
    for channels, expected in (("GFP", gfp), (0, dapi), (["DAPI"], dapi)):
        result = seamlabel.segment(
            image, bright, channels=channels, tile_shape=32, overlap=20, overwrite=True, progress=False
        )
        assert same_partition(np.asarray(result.labels), bright(expected))
    both = seamlabel.segment(
        image, lambda t: bright(t.max(axis=0)), channels=["GFP", "DAPI"], overwrite=True, progress=False
    )
    assert same_partition(np.asarray(both.labels), bright(np.maximum(dapi, gfp)))
    with pytest.raises(SpecError, match="0 'DAPI', 1 'GFP'"):
        seamlabel.segment(image, bright, name="other", progress=False)


def test_volumes_are_segmented_in_3d():
    volume = Tissue((40, 60, 70), "tissue3d").image()
    limit = float(np.median(volume))
    result = seamlabel.segment(
        volume, "threshold", params={"value": limit, "smoothing": 0}, tile_shape=(16, 25, 30), progress=False
    )
    whole = ndimage.label(volume > limit, np.ones((3, 3, 3)))[0]
    assert same_partition(np.asarray(result.labels), whole)


def test_arrays_without_output_go_to_a_temporary_store(pixels):
    result = seamlabel.segment(pixels, bright, tile_shape=128, overlap=8, progress=False)
    assert result.labels.shape == pixels.shape
    assert Path(result.path).is_dir()


def test_output_makes_a_store_of_its_own(image, tmp_path):
    target = tmp_path / "elsewhere.zarr"
    result = seamlabel.segment(image, bright, output=target, name="cells", overlap=8, progress=False)
    assert Path(result.path) == target / "labels" / "cells"
    assert not image_info(image).labels


def test_small_objects_go_by_their_whole_size(image, pixels):
    whole = bright(pixels)
    sizes = np.bincount(whole.ravel())
    least = int(np.median(sizes[1:]))
    result = seamlabel.segment(
        image,
        "threshold",
        params={"value": 2000, "smoothing": 0, "min_size": least},
        tile_shape=32,
        progress=False,
    )
    assert same_partition(np.asarray(result.labels), np.where(sizes[whole] >= least, whole, 0))


def test_empty_tiles_are_skipped_without_segmenting(image, pixels):
    called = []

    def count(tile):
        called.append(tile.max())
        return bright(tile)

    events = []
    result = seamlabel.segment(
        image, count, tile_shape=64, overlap=4, skip_empty=2000, on_event=events.append, progress=False
    )
    skipped = [e for e in events if isinstance(e, TileSkipped)]
    assert min(called) > 2000
    assert len(called) + len(skipped) == len(result.plan.grid)
    assert same_partition(np.asarray(result.labels), bright(pixels))


def test_events_come_in_order_with_done_and_total(image):
    plan = plan_of(image)
    events = list(run(plan))
    assert isinstance(events[0], RunStarted)
    assert isinstance(events[-1], RunFinished)
    stages = [(type(e).__name__, e.stage) for e in events if isinstance(e, StageStarted | StageFinished)]
    assert stages == [
        (f"Stage{what}", stage) for stage in ("segment", "merge", "paint") for what in ("Started", "Finished")
    ]
    tiles = [e for e in events if isinstance(e, TileDone)]
    assert sorted(e.tile for e in tiles) == list(range(len(plan.grid)))
    assert [e.done for e in tiles] == list(range(1, len(plan.grid) + 1))
    assert all(e.total == len(plan.grid) for e in tiles)
    assert all(json.loads(json.dumps(to_json(e)))["event"] == type(e).__name__ for e in events)


def test_provisional_ids_show_the_final_partition(image):
    plan = plan_of(image, tile_shape=60)
    ids, shown = ProvisionalIds(), np.zeros(plan.grid.shape, np.int64)
    for event in run(plan, keep=True):
        if isinstance(event, RunStarted):
            store = open_staging(event.run_dir)
        elif isinstance(event, TileDone):
            tile, staged = plan.grid[event.tile], store.read(event.tile)
            ids.add(event.first_id, event.n_labels)
            if staged is not None:
                core = staged.labels()[tile.core.relative_to(tile.read).slices]
                shown[tile.core.slices] = np.where(core > 0, core + event.first_id, 0)
        elif isinstance(event, SeamsMerged):
            ids.join(event.joined)
        elif isinstance(event, RunFinished):
            final = np.asarray(open_labels(event.path)[0])
    assert same_partition(ids.table()[shown], final)


def test_a_failing_tile_is_named_and_nothing_is_written(image):
    def fails(tile):
        if tile.mean() == plan_means[5]:
            raise ZeroDivisionError("as planned")
        return bright(tile)

    plan = plan_of(image)
    whole = Tissue((500, 420), "dense").image()
    plan_means = [whole[t.read.slices].mean() for t in plan.grid]
    events = list(run(plan, segmenter=fails))
    (failed,) = [e for e in events if isinstance(e, TileFailed)]
    assert failed.tile == 5
    assert "ZeroDivisionError: as planned" in failed.reason
    assert "in fails" in failed.detail
    assert events[-1].failed == {5: failed.reason}
    assert events[-1].path == ""
    assert image_info(image).labels == ()
    done = finished_tiles(Path(events[-1].run_dir))
    assert done == set(range(len(plan.grid))) - {5}
    given = {"tile_shape": 128, "overlap": plan.grid.overlap, "unfinished": "restart"}
    with pytest.raises(IncompleteError, match="tile 5"):
        seamlabel.segment(image, fails, **given, progress=False)


def test_a_tile_that_fails_once_is_tried_again(image, pixels):
    failed = threading.Event()

    def fails_once(tile):
        if not failed.is_set():
            failed.set()
            raise OSError("try again")
        return bright(tile)

    result = seamlabel.segment(image, fails_once, tile_shape=128, overlap=8, progress=False)
    assert same_partition(np.asarray(result.labels), bright(pixels))


BAD = {
    "nothing": (lambda t: None, "returned nothing"),
    "another shape": (lambda t: t[1:], "returned shape"),
    "floats": (lambda t: t * 1.5, "float64 labels"),
    "not a number": (lambda t: np.full(t.shape, np.nan), "with NaN"),
    "negative": (lambda t: np.full(t.shape, -3), "negative labels"),
    "a mask": (lambda t: t > 3, "a mask"),
    "objects": (lambda t: t.astype(object), "object labels"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_function_that_returns_no_labels_is_told_which_tile_and_how_to_mend_it(image, kind):
    function, message = BAD[kind]
    with pytest.raises(TileError, match=message) as caught:
        seamlabel.segment(image, function, tile_shape=128, overlap=8, progress=False)
    assert caught.value.reason.count(". ")  # says how to mend it
    assert image_info(image).labels == ()


def test_labels_that_exist_are_kept_unless_asked_to_overwrite(image, pixels):
    seamlabel.segment(image, bright, overlap=8, name="cells", progress=False)
    with pytest.raises(SpecError, match="already has labels 'cells'"):
        seamlabel.segment(image, bright, overlap=8, name="cells", progress=False)
    with pytest.raises(TileError):
        seamlabel.segment(image, lambda t: None, name="cells", overwrite=True, progress=False)
    kept = np.asarray(open_labels(f"{image}/labels/cells")[0])
    assert same_partition(kept, bright(pixels))
    seamlabel.segment(image, lambda t: bright(t) * 0, overlap=8, name="cells", overwrite=True, progress=False)
    assert not np.asarray(open_labels(f"{image}/labels/cells")[0]).any()


def test_closing_the_run_leaves_finished_tiles_and_no_labels(image):
    forever, entered = threading.Event(), threading.Event()

    def stalls(tile):
        if entered.is_set():
            forever.wait()
        return bright(tile)

    plan = plan_of(image, tile_shape=64)
    events = run(plan, segmenter=stalls)
    started = next(events)
    for event in events:
        if isinstance(event, TileDone):
            entered.set()
        if isinstance(event, Heartbeat):
            break
    events.close()
    done = sorted(finished_tiles(Path(started.run_dir)))
    store = open_staging(started.run_dir)
    assert done
    assert all(store.read(n) is not None for n in done)
    assert image_info(image).labels == ()
    assert not (Path(started.run_dir) / "lock").exists()
    forever.set()
    again = list(run(plan, unfinished="restart"))  # takes the place of the one left behind
    assert again[-1].path


def test_closing_while_labels_are_written_takes_them_back(image):
    events = run(plan_of(image), executor=SerialExecutor)
    for event in events:
        if isinstance(event, StageStarted) and event.stage == "paint":
            break
    next(events)
    events.close()
    assert image_info(image).labels == ()
    assert not Path(image, "labels").exists()


def test_two_runs_never_share_a_run_directory(image):
    plan = plan_of(image)
    first = run(plan)
    next(first)
    with pytest.raises(OutputError, match="in use by process"):
        next(run(plan))
    first.close()


def test_the_result_is_the_same_whatever_the_order(image):
    arrays = []
    for executor, workers in (("serial", 1), ("threads", 1), ("threads", 4)):
        result = seamlabel.segment(
            image, bright, tile_shape=50, overlap=8, executor=executor, workers=workers, overwrite=True,
            progress=False,
        )  # fmt: skip
        arrays.append(np.asarray(result.labels))
    assert np.array_equal(arrays[0], arrays[1])
    assert np.array_equal(arrays[0], arrays[2])


@pytest.mark.parametrize(("wait", "alone"), [(0.0, True), (0.02, False)])
def test_tiles_quicker_than_a_handover_are_segmented_in_the_coordinators_thread(wait, alone):
    threads = []

    def function(tile):
        threads.append(threading.get_ident())
        time.sleep(wait)
        return np.zeros(tile.shape, int)

    array = np.zeros((640, 640), np.uint8)
    seamlabel.segment(array, function, tile_shape=64, overlap=2, workers=2, progress=False)
    assert (set(threads[50:]) == {threading.get_ident()}) == alone
    assert threading.get_ident() not in threads[:8]


@pytest.mark.parametrize("slow", [0.01, 0.06])
def test_tiles_that_become_slow_go_back_to_the_workers(slow):
    threads = []

    def function(tile):
        threads.append(threading.get_ident())
        time.sleep(slow if len(threads) > 40 else 0)
        return np.zeros(tile.shape, int)

    array = np.zeros((640, 640), np.uint8)
    seamlabel.segment(array, function, tile_shape=64, overlap=2, workers=2, progress=False)
    assert threading.get_ident() in threads[20:40]
    assert threading.get_ident() not in threads[70:]
