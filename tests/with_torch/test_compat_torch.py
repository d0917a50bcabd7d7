from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from seamlabel.blending.training import without_empty
from seamlabel.compat.patchly import Aggregator, GridSampler
from seamlabel.compat.qlty import (
    LargeNCYXQuilt,
    NCYXQuilt,
    NCZYX25DQuilt,
    from_memmap,
    weed_sparse_classification_training_pairs_2D,
)

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
torch.set_num_threads(1)


@pytest.mark.parametrize("name", ["docs/from-patchly.md", "docs/from-qlty.md"])
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


def test_quilts_take_and_give_tensors_as_they_do_arrays(tmp_path):
    size = {"Y": 50, "X": 37, "window": (16, 16), "step": (10, 10), "border": (3, 3), "border_weight": 0.1}
    quilt, large = NCYXQuilt(**size), LargeNCYXQuilt(tmp_path / "maps", N=2, **size)
    images = torch.rand(2, 3, 50, 37)
    labels = torch.full((2, 50, 37), -1)
    labels[:, 20:30, 20:30] = 1
    patches, targets = quilt.unstitch_data_pair(images, labels, missing_label=-1)
    plain = NCYXQuilt(**size).unstitch_data_pair(images.numpy(), labels.numpy(), missing_label=-1)
    assert np.array_equal(patches.numpy(), plain[0])
    assert targets.dtype == labels.dtype
    assert np.array_equal(targets.numpy(), plain[1])
    assert isinstance(quilt.border_tensor(), torch.Tensor)
    found = weed_sparse_classification_training_pairs_2D(patches, targets, -1, quilt.border_tensor())
    wanted = without_empty(*plain, -1, quilt.inside)
    assert all(np.array_equal(one.numpy(), other) for one, other in zip(found, wanted, strict=True))
    result, weights = quilt.stitch(patches)
    assert torch.allclose(result, images, atol=1e-5)
    assert weights.shape == (50, 37)
    assert quilt.stitch(patches.bfloat16())[0].dtype == torch.bfloat16
    assert quilt.stitch(patches.double())[0].dtype == torch.float64
    assert quilt.unstitch(images, add_positional_channels=True).shape == (40, 5, 16, 16)
    network = torch.nn.Conv2d(3, 2, 1)
    lazy = quilt.unstitch(images, lazy=True)
    with torch.no_grad():
        result, _ = quilt.stitch(network(lazy[i : i + 8]) for i in range(0, len(lazy), 8))
        assert torch.allclose(result, network(images), atol=1e-5)
    for index, patch in enumerate(lazy):
        large.stitch(patch[None], index)
    assert np.allclose(large.return_mean(), images.numpy(), atol=1e-5)


def test_volumes_with_context_are_tensors_where_tensors_are_given_or_in_use(tmp_path):
    volumes = torch.rand(2, 1, 6, 20, 17)
    volumes.numpy().tofile(tmp_path / "raw.dat")
    stored = from_memmap(tmp_path / "raw.dat", np.float32, tuple(volumes.shape))
    assert torch.equal(stored[1, :, [0, 2]], volumes[1, :, [0, 2]])
    for data in (volumes, stored):
        quilt = NCZYX25DQuilt(data, {"identity": [-1, 1]}, z_slices=[2])
        found = quilt.convert()
        assert torch.equal(found, volumes[:, 0, [1, 3]])
        assert torch.equal(quilt.planes[1], found[1])
        patches = quilt.to_ncyx_quilt(window=(8, 8), step=(6, 6)).unstitch(quilt.planes)
        assert torch.equal(patches[0], found[0, :, :8, :8])
    assert isinstance(NCZYX25DQuilt(volumes.numpy(), {"mean": [[0]]}).convert(), np.ndarray)
