from __future__ import annotations

import numpy as np
import pytest

from seamlabel import registry
from seamlabel.backends.normalising import Scaling, joint_percentiles
from seamlabel.backends.torch import TorchParams, _patches
from seamlabel.kernels.statistics import ImageStatistics


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "needs a value"),
        ({"model": " "}, "no model is named"),
        ({"model": "a.pt", "network": "net"}, "neither"),
        ({"model": "a.pt", "device": "gpu"}, "none of auto"),
        ({"model": "a.pt", "low": 60, "high": 40}, "not below"),
        ({"model": "a.pt", "patch": "wide"}, "no side in voxels"),
        ({"model": "a.pt", "patch": "100"}, "no multiple of the pooling 16"),
        ({"model": "a.pt", "patch": "0"}, "no multiple"),
        ({"model": "a.pt", "patch": "64"}, "four times the halo"),
    ],
)
def test_parameters_that_do_not_fit_together_are_told(values, says):
    made, problems = registry.backend("torch").parse(values)
    assert made is None
    assert says in " ".join(f"{p.message} {p.fix}" for p in problems)


def test_sides_of_a_patch_are_read_in_any_usual_way():
    parse = registry.backend("torch").parse
    for text in ("16,256,256", "16, 256, 256", "16x256x256"):
        assert parse({"model": "a", "patch": text})[0].sides == (16, 256, 256)
    assert parse({"model": "a"})[0].sides == ()


def test_a_run_belongs_to_the_model_and_to_the_file_of_its_network():
    parse = registry.backend("torch").parse
    assert parse({"model": "a.pt", "network": "net.py:make"})[0].files == ("a.pt", "net.py")
    assert parse({"model": "a.pt", "network": "monai.networks:make"})[0].files == ("a.pt",)


def test_a_zoo_model_needs_no_library_to_be_planned(tmp_path):
    made, problems = registry.backend("bioimageio").parse({"model": str(tmp_path / "m.zip")})
    assert not problems
    assert (made.align, made.n_channels) == (1, None)
    assert registry.backend("bioimageio").parse({"model": ""})[0] is None


def test_pixels_are_scaled_by_the_whole_image():
    image = np.random.default_rng(0).integers(0, 4000, (50, 60)).astype(np.uint16)
    whole = ImageStatistics.of(image)
    scaled = Scaling.standard([whole])(image[None])
    assert abs(scaled.mean()) < 1e-4
    assert abs(scaled.std() - 1) < 1e-4
    assert whole.mean == pytest.approx(image.mean())
    assert whole.deviation == pytest.approx(image.std())
    part = Scaling.between([(100.0, 900.0)])(image[None, :10])
    assert np.allclose(part, (image[None, :10].astype(float) - 100) / 800, atol=1e-5)
    even = np.full((1, 4, 4), 7.0, np.float32)
    even[0, 0, 0] = np.nan
    assert not Scaling.standard([ImageStatistics.of(even)])(even).any()


def test_percentiles_of_all_channels_together_are_those_of_their_pixels():
    rng = np.random.default_rng(0)
    planes = [rng.normal(m, s, 40_000).astype(np.float32) for m, s in ((100, 20), (400, 50))]
    found = joint_percentiles([ImageStatistics.of(plane) for plane in planes], (1, 50, 99.8))
    exact = np.percentile(np.concatenate(planes), (1, 50, 99.8))
    assert np.allclose(found, exact, rtol=0.02, atol=3)


def test_a_patch_as_thin_as_the_pooling_leaves_a_middle():
    params = TorchParams(model="a.pt", patch="16,256,256")
    assert _patches(params, 3).halo == (0, 32, 32)
