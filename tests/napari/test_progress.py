from __future__ import annotations

import pytest

from seamlabel.events import (
    Heartbeat,
    RunFinished,
    RunStarted,
    SeamsMerged,
    StageStarted,
    TileDone,
    TileFailed,
    TileSkipped,
)
from seamlabel.napari.run.progress import Progress, duration, summary


def feed(progress, *timed):
    for event, now in timed:
        progress.accept(event, now)


def tiles(count, each, total=64, labels=10):
    return [(TileDone(i + 1, total, i, labels, i * labels, each), each * (i + 1)) for i in range(count)]


def test_no_time_is_guessed_before_three_tiles():
    progress = Progress()
    feed(progress, (RunStarted(0, 64, "x"), 0), (StageStarted(0, 64, "segment"), 0), *tiles(2, 0.5))
    assert progress.text() == "Segmenting 2/64 · – left · 20 objects"
    feed(progress, *tiles(3, 0.5)[2:])
    assert progress.text() == "Segmenting 3/64 · 2.0 tiles/s · 30 s left · 30 objects"


def test_the_time_left_follows_the_latest_tiles():
    progress = Progress()
    feed(progress, (StageStarted(0, 1000, "segment"), 0), *tiles(30, 5.0, 1000))
    feed(progress, *[(TileDone(31 + i, 1000, 31, 0, 0, 0), 150 + 0.1 * (i + 1)) for i in range(30)])
    assert progress.seconds_per_tile == pytest.approx(0.1)


def test_tiles_that_come_in_one_batch_do_not_end_the_run_in_no_time():
    progress = Progress(workers=2)
    feed(progress, (StageStarted(0, 10_000, "segment"), 0))
    for batch in range(20):
        feed(progress, *[(TileDone(1, 10_000, 0, 0, 0, 0), 0.05 * (batch + 1))] * 40)
    assert progress.seconds_per_tile == pytest.approx(0.05 / 40)
    assert "0.0 s left" not in progress.text()


def test_tiles_in_bunches_of_the_workers_give_the_true_pace():
    progress = Progress(workers=4)
    feed(progress, (StageStarted(0, 64, "segment"), 0))
    feed(progress, *[(TileDone(i + 1, 64, i, 0, 0, 0), 2.0 * (1 + i // 4)) for i in range(20)])
    assert progress.seconds_per_tile == pytest.approx(0.5)


def test_tiles_of_an_earlier_session_count_as_done_and_took_no_time_of_this_one():
    progress = Progress()
    feed(progress, (RunStarted(0, 64, "x"), 0), (Heartbeat(0, 64, "segment", ()), 1))
    assert progress.text() == "Looking at finished tiles"
    feed(progress, *[(event, 2.0) for event, _ in tiles(32, 0.5)])
    assert progress.text() == "32 tiles are done"
    feed(progress, (StageStarted(32, 64, "segment"), 10))
    assert progress.text() == "Segmenting 32/64 · – left · 320 objects"
    feed(progress, *[(TileDone(33 + i, 64, 32 + i, 10, 0, 0), 12.0 + 2 * i) for i in range(3)])
    assert progress.text() == "Segmenting 35/64 · 2 s per tile · 58 s left · 350 objects"


def test_joined_objects_are_counted_once():
    progress = Progress()
    feed(progress, (StageStarted(0, 4, "segment"), 0), *tiles(2, 1, 4))
    progress.accept(SeamsMerged(2, 4, 1, ((11, 1), (12, 2))), 3)
    assert progress.objects == 18


def test_every_stage_has_its_text_and_the_bar_never_goes_back():
    progress, seen = Progress(), []
    for event in (
        StageStarted(0, 2, "segment"),
        TileDone(1, 2, 0, 3, 0, 1),
        TileSkipped(2, 2, 1, "empty"),
        StageStarted(0, 1, "merge"),
        StageStarted(0, 10, "paint"),
        Heartbeat(4, 10, "paint", ()),
    ):
        progress.accept(event, 0)
        seen.append((progress.fraction, progress.text()))
    assert [f for f, _ in seen] == sorted(f for f, _ in seen)
    assert seen[3][1] == "Joining objects across seams"
    assert seen[5][1] == "Writing 40 %"


def test_the_summary_tells_objects_seams_tiles_and_time():
    progress = Progress()
    feed(progress, *tiles(3, 1, 4), (TileSkipped(4, 4, 3, "empty"), 4))
    progress.accept(RunFinished(4, 4, 4103, 309, "p/labels/cells", {}, 15.2, "d"), 5)
    assert summary(progress) == (
        "4,103 objects · 309 joined across seams · 3 tiles done, 1 empty, 0 failed · 15 s"
    )


def test_the_summary_of_a_run_with_failed_tiles_promises_no_objects():
    progress = Progress()
    feed(progress, *tiles(1, 1, 2), (TileFailed(2, 2, 1, "dark", "trace"), 2))
    progress.accept(RunFinished(1, 2, 0, 0, "", {1: "dark"}, 2, "d"), 3)
    assert summary(progress) == "1 tile done, 0 empty, 1 failed · 2 s"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.42, "0.4 s"), (11.4, "11 s"), (59.7, "1 min 0 s"), (72, "1 min 12 s"), (7500, "2 h 05 min")],
)
def test_durations_are_for_people(seconds, text):
    assert duration(seconds) == text
