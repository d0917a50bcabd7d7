from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from seamlabel.compat.patchly import Aggregator, GridSampler

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
torch.set_num_threads(1)


@pytest.mark.parametrize("name", ["docs/from-patchly.md"])
def test_the_examples_of_other_projects_run_with_their_imports_changed(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scope = {"__name__": "reader"}
    blocks = BLOCK.findall((ROOT / name).read_text())
    assert len(blocks) > 2
    for number, block in enumerate(blocks):
        exec(compile(block, f"{name} block {number}", "exec"), scope)


def test_tensors_are_sampled_and_aggregated_as_tensors():
    image = torch.rand(3, 50, 37)
    sampler = GridSampler(image, (50, 37), (16, 16), (10, 10), False)
    given = torch.zeros(3, 50, 37, dtype=torch.float64)
    half = torch.zeros(3, 50, 37, dtype=torch.bfloat16)
    for output in [{"output_size": (3, 50, 37)}, {"output": given}, {"output": half}]:
        aggregator = Aggregator(sampler, spatial_first=False, weights="gaussian", **output)
        for patch, bbox in sampler:
            assert isinstance(patch, torch.Tensor)
            aggregator.append(patch.requires_grad_(False), torch.from_numpy(bbox))
        found = aggregator.get_output()
        assert isinstance(found, torch.Tensor)
        assert torch.allclose(found.float(), image, atol=1e-2 if found is half else 1e-5)
    assert given.max() > 0


def test_batches_of_a_loader_give_what_one_by_one_gives():
    image = np.random.default_rng(0).random((60, 50)).astype(np.float32)
    sampler = GridSampler(image, (60, 50), (16, 16), (9, 9))
    noise = torch.rand(len(sampler), 16, 16)
    one, many = (Aggregator(sampler, (60, 50), has_batch_dim=batch) for batch in (False, True))
    for number, (_, bbox) in enumerate(sampler):
        one.append(noise[number], bbox)
    loader = torch.utils.data.DataLoader(sampler, batch_size=7, shuffle=True)
    for patch, bbox in loader:
        where = [next(i for i, (_, b) in enumerate(sampler) if np.array_equal(b, p)) for p in bbox.numpy()]
        assert patch.shape[1:] == (16, 16)
        many.append(noise[where], bbox)
    assert torch.equal(one.get_output(), many.get_output())
