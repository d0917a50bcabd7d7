"""Runs that go on where something is unlike what it was: other wishes, odd journals, files that vanish."""

from __future__ import annotations

import shutil
import threading
import zlib
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

import seamlabel
from seamlabel.engine.run import run
from seamlabel.errors import BackendError, IncompleteError, OutputError
from seamlabel.events import TileDone
from seamlabel.io.journal import unfinished_run
from seamlabel.io.ngff.images import write_image
from seamlabel.io.sources import image_info
from seamlabel.io.staging import staging_folder
from seamlabel.testing.cells import Tissue

FIELDS = {"tile_shape": 100, "overlap": 8, "progress": False}


class Stopped(Exception):
    pass


def bright(tile, limit=2000, unused=None):
    return ndimage.label(tile > limit)[0]


@pytest.fixture
def image(tmp_path):
    pixels = Tissue((300, 290), "dense").image()
    path = tmp_path / "image.zarr"
    write_image(path, pixels.shape, str(pixels.dtype), lambda box: pixels[box.slices], axes="yx", levels=1)
    return str(path)


def stopped(image, tiles=4, backend=bright, **fields):
    """Stop a run after so many tiles; return its folder."""
    done = []

    def stop(event):
        done.append(isinstance(event, TileDone))
        if sum(done) == tiles:
            raise Stopped

    with pytest.raises(Stopped):
        seamlabel.segment(image, backend, name="b", on_event=stop, executor="serial", **FIELDS, **fields)
    return Path(f"{image}.seamlabel/b")


@pytest.mark.parametrize("wishes", [(False, True), (True, False, True), (False, True, True), (True, True)])
def test_a_table_that_was_not_always_asked_for_has_all_objects(image, wishes):
    whole = seamlabel.segment(image, bright, name="whole", table=True, **FIELDS)
    folder = stopped(image, 3, table=wishes[0])
    for number, table in enumerate(wishes[1:-1]):
        done = []

        def stop(event, done=done, tiles=5 + number):
            done.append(isinstance(event, TileDone))
            if sum(done) == tiles:
                raise Stopped

        with pytest.raises(Stopped):
            seamlabel.resume(folder, backend=bright, table=table, on_event=stop, progress=False)
    calls = []

    def counting(tile):
        calls.append(1)
        return bright(tile)

    before = unfinished_run(folder).done
    result = seamlabel.resume(folder, backend=counting, table=True, accept_changes=True, progress=False)
    assert len(calls) == 9 - before
    for name, column in whole.table.items():
        assert np.allclose(np.sort(column), np.sort(result.table[name]), equal_nan=True), name


def test_other_parameters_of_any_kind_are_refused(image):
    for one, other in [(np.float32(1000), np.float32(3000)), (np.int64(1000), np.int64(3000))]:
        folder = stopped(image, backend=partial(bright, limit=one))
        with pytest.raises(OutputError, match="values that it uses"):
            seamlabel.segment(image, bright, params={"limit": other}, name="b", **FIELDS)
        shutil.rmtree(folder)


def write_line(folder, text):
    file = next((folder / "journal").iterdir())
    with file.open("a") as log:
        log.write(f"{zlib.crc32(text.encode()):08x} {text}\n")


def test_a_journal_that_tells_of_strange_or_finished_tiles_as_failed_costs_nothing(image):
    folder = stopped(image)
    write_line(folder, '{"tile":999,"failed":"odd"}')
    note = next((folder / "journal").iterdir())
    lines = note.read_text().splitlines(keepends=True)
    number = next(i for i, line in enumerate(lines) if '"n_core"' in line)
    tile = lines.pop(number).split('"tile":')[1].split(",")[0]
    note.write_text("".join(lines))
    write_line(folder, f'{{"tile":{tile},"failed":"before it was done"}}')
    result = seamlabel.resume(folder, backend=bright, progress=False)
    assert result.n_objects
    assert not result.failed


def test_an_error_before_the_first_event_leaves_what_was_finished(image):
    folder = stopped(image)
    spec = seamlabel.RunSpec(
        image=image,
        backend="function",
        params={"target": f"{bright.__module__}:bright"},
        name="b",
        tile_shape=100,
        overlap=8,
        executor="serial",
    )
    events = run(
        seamlabel.resolve(spec, image_info(image)),
        segmenter=bright,
        unfinished="resume",
        accept_changes=True,
        order=np.arange(9),
    )
    with pytest.raises(ValueError, match="ambiguous"):
        list(events)
    assert unfinished_run(folder).done == 4


def test_a_method_that_cannot_be_handed_to_processes_is_told(image):
    with pytest.raises(BackendError, match=r"cannot be handed to other processes.*lock"):
        seamlabel.segment(image, partial(bright, unused=threading.Lock()), executor="processes", **FIELDS)


def test_a_staged_tile_that_vanishes_ends_in_failed_tiles_and_not_in_comparing_for_ever(image):
    folder = Path(f"{image}.seamlabel/labels")
    done = []

    def vanish(event):
        if isinstance(event, TileDone):
            done.append(event.tile)
            (staging_folder(folder) / f"{done[0]}.tile").unlink(missing_ok=True)

    with pytest.raises(IncompleteError, match="not what was written"):
        seamlabel.segment(image, bright, executor="processes", workers=1, on_event=vanish, **FIELDS)
    assert seamlabel.segment(image, bright, **FIELDS).n_objects
