"""Staged predictions gathered block by block, against a blend of the same patches."""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.blending.test_blend import Once, chosen, chunks_of, noisy, weights
from tests.blending.test_patch_grid import grids

from seamlabel.blending.blend import Blend
from seamlabel.blending.gather import Staged, gather
from seamlabel.blending.predicting import predict
from seamlabel.errors import OutputError, SeamlabelError
from seamlabel.patch_grid import PatchGrid

ALL = ("mean", "disagreement", "sigma")
GRID = PatchGrid((50, 61), (20, 16), (12, 10), "pad", margin=(3, 0))


def outputs(grid, stats=ALL):
    return {name: Once((2, *grid.shape), chunks=(2, *chunks_of(grid))) for name in stats}


def said(grid, number):
    return noisy(grid[number]), noisy(grid[number]) ** 2


@settings(max_examples=40)
@given(grids(("snap", "even", "shrink", "pad")), weights, st.booleans(), st.data())
def test_gathered_blocks_have_the_bits_of_a_blend(grid, kind, gaps, data):
    assume(len(grid) < 60)
    absent = data.draw(st.sets(st.integers(0, len(grid) - 1), max_size=3)) if gaps else set()
    options = {"stats": ALL, "missing": -3.0 if gaps else "error"}
    straight, found = outputs(grid), outputs(grid)
    blend = Blend(grid, straight, chosen(kind, grid), **options)
    for number in set(range(len(grid))) - absent:
        blend.add(number, *said(grid, number))
    blend.finish()
    with tempfile.TemporaryDirectory() as folder:
        staged = Staged(folder, grid, chosen(kind, grid))
        order = data.draw(st.permutations(sorted(set(range(len(grid))) - absent)))
        for number in order:
            staged.add(number, *said(grid, number))
        for part in (2, 0, 1):  # as three processes would
            list(gather(staged, found, share=(part, 3), **options))
    for name, out in found.items():
        assert (out.times == 1).all()
        assert out.data.tobytes() == straight[name].data.tobytes()


def blended(kind, **options):
    out = np.zeros((2, *GRID.shape), np.float32)
    blend = Blend(GRID, out, kind, **options)
    for number in blend.needed():
        blend.add(number, noisy(GRID[number]))
    blend.finish()
    return out


def _stage(folder, share):
    staged = Staged(folder, GRID, "gaussian", share=(share, 2))
    for number in staged.needed():
        staged.add(number, noisy(GRID[number]))


def _gather(folder, out, share):
    array = np.lib.format.open_memmap(out, "r+")
    list(gather(Staged(folder, GRID, "gaussian"), array, share=(share, 2)))
    array.flush()


def _killed(folder, number):
    """Be killed when half of a patch is on disk."""

    def die(handle):
        os.truncate(handle, os.fstat(handle).st_size // 2)
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))

    staged = Staged(folder, GRID, "gaussian")
    os.fsync = die
    staged.add(number, noisy(GRID[number]))


def together(work, *each):
    spawn = multiprocessing.get_context("spawn")
    running = [spawn.Process(target=work, args=args) for args in each]
    for process in running:
        process.start()
    for process in running:
        process.join(60)
    return [process.exitcode for process in running]


def test_processes_stage_and_gather_and_what_a_killed_one_left_is_never_taken(tmp_path):
    folder, out = tmp_path / "staged", tmp_path / "out.npy"
    array = np.lib.format.open_memmap(out, "w+", np.float32, (2, *GRID.shape))
    assert together(_killed, (folder, 7)) != [0]
    staged = Staged(folder, GRID, "gaussian")
    assert [path.suffix for path in folder.iterdir() if path.name != "staged.json"] == [".partial"]
    assert staged.present() == set()
    with pytest.raises(SeamlabelError, match=f"{len(GRID)} of {len(GRID)} patches are missing: 0, 1"):
        list(gather(staged, array))
    assert together(_stage, (folder, 0), (folder, 1)) == [0, 0]
    assert list(staged.needed()) == []
    assert together(_gather, (folder, out, 0), (folder, out, 1)) == [0, 0]
    assert np.load(out).tobytes() == blended("gaussian").tobytes()
    staged.discard()
    assert not folder.exists()


def test_predictions_go_on_where_they_were_cut_short(tmp_path):
    image = np.random.default_rng(0).random((80, 90)).astype(np.float32)
    grid, calls = PatchGrid(image.shape, (32, 32), (20, 20)), []

    def model(tile):
        calls.append(tile.shape)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return tile * 2

    skip = lambda box: box.start == (0, 0)  # noqa: E731
    ask = {"skip": skip, "skipped": -1}
    staged = Staged(tmp_path / "s", grid, "hann", channels=1, request="twice")
    with pytest.raises(KeyboardInterrupt):
        list(predict(staged, lambda box: image[box.slices], model, **ask))
    list(predict(Staged(tmp_path / "s", grid, "hann", channels=1, request="twice"),
                 lambda box: image[box.slices], model, workers=2, **ask))  # fmt: skip
    assert len(calls) == len(grid) - 1 + 1
    out, straight = np.zeros_like(image), np.zeros_like(image)
    list(gather(staged, out))
    list(predict(Blend(grid, straight, "hann"), lambda box: image[box.slices], lambda t: t * 2, **ask))
    assert np.array_equal(out, straight)


def test_only_the_part_that_counts_is_staged_and_a_damaged_file_is_named(tmp_path):
    grid = PatchGrid((64, 64), (32, 32), (16, 16))
    staged = Staged(tmp_path, grid)
    for patch in grid:
        staged.add(patch.number, np.ones((1, 32, 32), np.float32))
    assert sum(path.stat().st_size for path in tmp_path.glob("*.npy")) < 64 * 64 * 4 + 200 * len(grid)
    assert not staged.add(0, np.zeros((32, 32), np.float32))
    Path(tmp_path / "4.npy").write_bytes(Path(tmp_path / "4.npy").read_bytes()[:200])
    with pytest.raises(SeamlabelError, match=r"4\.npy is damaged"):
        list(gather(staged, np.zeros((64, 64), np.float32)))


def test_what_does_not_belong_together_is_refused(tmp_path):
    staged = Staged(tmp_path, GRID, "hann", request="one model")
    for grid, kind, request in [
        (GRID, "crop", "one model"),
        (GRID, "hann", "another"),
        (PatchGrid(GRID.shape, GRID.patch), "hann", "one model"),
    ]:
        with pytest.raises(OutputError, match="another grid, other weights or another request"):
            Staged(tmp_path, grid, kind, request=request)
    with pytest.raises(ValueError, match="has shape"):
        staged.add(0, np.zeros((20, 15)))
    with pytest.raises(ValueError, match="how many channels"):
        staged.skip(0)
    for number in staged.needed():
        staged.add(number, noisy(GRID[number], 3))
    with pytest.raises(ValueError, match="has 3 channels, not 2"):
        list(gather(staged, np.zeros((2, *GRID.shape), np.float32)))
    for share in [(2, 2), (-1, 2)]:
        with pytest.raises(ValueError, match="the i-th of n"):
            Staged(tmp_path, GRID, "hann", request="one model", share=share)
