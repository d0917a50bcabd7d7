"""What an unfinished run has come to, told without going on with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from seamlabel.engine.retell import retell
from seamlabel.engine.run import run
from seamlabel.events import RunStarted, SeamsMerged, TileDone, TileFailed, TileSkipped
from seamlabel.io.journal import unfinished_run
from seamlabel.io.ngff.images import write_image
from seamlabel.io.sources import image_info
from seamlabel.kernels.relabel import ProvisionalIds
from seamlabel.plan import resolve
from seamlabel.spec import RunSpec
from seamlabel.testing.cells import Tissue


def method(tile):
    return ndimage.label(tile > 2000, np.ones((3, 3)))[0]


def fails_once(seen=[]):  # noqa: B006 - one list for all calls of one test
    def segment(tile):
        seen.append(1)
        if len(seen) == 5:
            raise ValueError("as planned")
        return method(tile)

    return segment


@pytest.fixture
def left(tmp_path):
    """Return a run of 25 tiles that was cancelled after 12, one of which failed, and one is skipped."""
    pixels = Tissue((480, 430), "dense").image()
    pixels[:130, :130] = 0
    path = tmp_path / "image.zarr"
    write_image(path, pixels.shape, "uint16", lambda box: pixels[box.slices], axes="yx", levels=2)
    spec = RunSpec(
        image=str(path), backend="function", params={"target": "math:sqrt"}, tile_shape=100, overlap=8,
        skip_empty=0, executor="serial", retries=0,
    )  # fmt: skip
    plan = resolve(spec, image_info(str(path)))
    events, kinds = run(plan, segmenter=fails_once([])), []
    for event in events:
        kinds += [event] * isinstance(event, TileDone | TileSkipped | TileFailed)
        if len(kinds) == 12:
            break
    events.close()
    return unfinished_run(Path(plan.run_dir)), kinds


def test_all_that_was_told_is_told_again(left):
    unfinished, told = left
    events = list(retell(unfinished))
    assert events[0] == RunStarted(0, 25, str(unfinished.path))
    for kind in (TileDone, TileSkipped, TileFailed):
        expected = sorted(event.tile for event in told if isinstance(event, kind))
        assert sorted(event.tile for event in events if isinstance(event, kind)) == expected
        assert expected
    (failed,) = [event for event in events if isinstance(event, TileFailed)]
    assert failed.reason.startswith("ValueError: as planned")


def test_objects_across_seams_are_told_to_be_one(left):
    unfinished, _ = left
    ids, top = ProvisionalIds(), 0
    joined = 0
    for event in retell(unfinished):
        if isinstance(event, TileDone):
            ids.add(event.first_id, event.n_labels)
            top = event.first_id + event.n_labels
        elif isinstance(event, SeamsMerged):
            ids.join(event.joined)
            joined += len(event.joined)
    assert joined > 10
    assert len(np.unique(ids.table()[1 : top + 1])) == top - joined


def test_a_tile_that_is_damaged_is_not_told_and_stays_as_it_is(left):
    unfinished, told = left
    number = next(event.tile for event in told if isinstance(event, TileDone))
    (file,) = unfinished.path.glob(f"staging-*/{number}.tile")
    file.write_bytes(b"damaged")
    tiles = {event.tile for event in retell(unfinished) if isinstance(event, TileDone)}
    assert tiles == {event.tile for event in told if isinstance(event, TileDone)} - {number}
    assert file.read_bytes() == b"damaged"
