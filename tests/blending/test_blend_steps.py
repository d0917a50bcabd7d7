"""`blend_steps`: a map that can be watched while it is filled, stopped at any step, and goes on."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy import ndimage

from seamlabel.blended import Blended, blend, blend_steps
from seamlabel.engine.dense import MapStarted, MapTile
from seamlabel.errors import BackendError
from seamlabel.testing.cells import Tissue

PIXELS = Tissue((700, 600), "sparse").image()


def both(tile):
    soft = ndimage.uniform_filter(tile.astype(np.float32), 9, mode="reflect")
    return np.stack([soft, -soft])


def test_the_blocks_of_a_map_are_told_as_they_are_written_and_make_up_the_whole(tmp_path):
    wishes = {"tile_shape": 128, "overlap": 8, "output": tmp_path / "map.zarr", "workers": 2}
    seen = np.full((2, *PIXELS.shape), np.nan, np.float32)
    counts, told = np.zeros(PIXELS.shape, int), []

    def note(box, values):
        seen[(slice(None), *box.slices)] = values
        counts[box.slices] += 1

    for step in blend_steps(PIXELS, both, **wishes):
        told.append(step)
        if isinstance(step, MapStarted):
            writer = step.maps["mean"]
            assert writer.array.shape == (2, *PIXELS.shape)
            assert writer.channel_axis == 0
            writer.on_block = note
    assert isinstance(told[-1], Blended)
    assert np.array_equal(seen, told[-1].values[:])
    assert counts.min() == counts.max() == 1
    tiles = [step for step in told if isinstance(step, MapTile)]
    assert [tile.done for tile in tiles] == list(range(1, tiles[-1].total + 1))


def test_steps_that_are_closed_stop_the_run_and_asked_for_again_it_goes_on(tmp_path):
    wishes = {"tile_shape": 128, "overlap": 8, "output": tmp_path / "map.zarr"}
    steps = blend_steps(PIXELS, both, **wishes)
    first = next(steps).maps["mean"]
    while not first.done:
        next(steps)
    steps.close()
    done = set(first.done)
    again = blend_steps(PIXELS, both, **wishes)
    second = next(again).maps["mean"]
    assert second.done == done
    box = second.box(min(done))
    assert np.array_equal(second.array[(slice(None), *box.slices)], both(PIXELS)[(slice(None), *box.slices)])
    assert np.array_equal(list(again)[-1].values[:], both(PIXELS))


def test_a_function_in_a_file_is_a_model_by_its_name(tmp_path):
    file = tmp_path / "models.py"
    file.write_text("def shifted(tile, by=0):\n    return tile.astype('float32') + by\n", encoding="utf-8")
    params = {"target": f"{file}:shifted", "keywords": {"by": 2}}
    assert np.array_equal(blend(PIXELS, "function", params=params, overlap=0).values, PIXELS + np.float32(2))
    with pytest.raises(BackendError, match="no function 'other'"):
        blend(PIXELS, "function", params={"target": f"{file}:other"})


def test_a_map_by_a_function_in_a_file_goes_on_in_another_process_until_the_file_changes(tmp_path):
    file = tmp_path / "models.py"
    file.write_text("def shifted(tile):\n    return tile.astype('float32') + 1\n", encoding="utf-8")
    wishes = {"params": {"target": f"{file}:shifted"}, "tile_shape": 128, "overlap": 0}
    wishes["output"] = tmp_path / "map.zarr"
    steps = blend_steps(PIXELS, "function", **wishes)
    first = next(steps).maps["mean"]
    while not first.done:
        next(steps)
    steps.close()
    script = (
        "import sys, numpy as np, seamlabel\n"
        "from seamlabel.testing.cells import Tissue\n"
        "image, out, target = Tissue((700, 600), 'sparse').image(), *sys.argv[1:]\n"
        "options = {'params': {'target': target}, 'tile_shape': 128, 'overlap': 0, 'output': out}\n"
        "found = seamlabel.blend(image, 'function', **options)\n"
        "assert np.array_equal(found.values[:], image + np.float32(1))\n"
    )
    again = [sys.executable, "-c", script, str(wishes["output"]), f"{file}:shifted"]
    file.write_text(file.read_text(encoding="utf-8").replace("+ 1", "+ 2"), encoding="utf-8")
    refused = subprocess.run(again, capture_output=True, text=True, check=False)
    assert "unfinished map of another request" in refused.stderr
    file.write_text(file.read_text(encoding="utf-8").replace("+ 2", "+ 1"), encoding="utf-8")
    subprocess.run(again, check=True)
