"""What is known of StarDist models without StarDist: where they lie, how tiles align, what is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import seamlabel
from seamlabel.backends.stardist import StarDistParams, _limits
from seamlabel.backends.stardist_loading import load_model
from seamlabel.backends.stardist_models import cache_folder, read_config
from seamlabel.errors import BackendError, SpecError
from seamlabel.io.sources import image_info
from seamlabel.kernels.statistics import ImageStatistics
from seamlabel.protocols import SegmentContext

FLAT = {
    "axes": "YXC", "n_channel_in": 1, "n_rays": 32, "grid": [2, 2], "backbone": "unet",
    "unet_n_depth": 3, "unet_pool": [2, 2], "unet_kernel_size": [3, 3], "unet_n_conv_per_depth": 2,
    "net_conv_after_unet": 128,
}  # fmt: skip
DEEP = {
    **FLAT, "axes": "ZYXC", "grid": [1, 2, 2], "unet_n_depth": 2, "unet_pool": [2, 2, 2],
    "unet_kernel_size": [3, 3, 3],
}  # fmt: skip
RESIDUAL = {
    "axes": "ZYXC", "n_channel_in": 1, "n_rays": 96, "grid": [1, 4, 4], "backbone": "resnet",
    "resnet_n_blocks": 4, "resnet_kernel_size": [3, 3, 3], "resnet_n_conv_per_block": 3,
    "net_conv_after_resnet": 128,
}  # fmt: skip


@pytest.fixture
def saved(tmp_path, monkeypatch):
    """Write a model without a network; nobody's cache of published models is looked into."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))

    def save(config, name="model", weights=True):
        folder = tmp_path / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))
        if weights:
            (folder / "weights_best.h5").write_bytes(b"weights")
        return str(folder)

    return save


def context(axes="yx", channels=()):
    return SegmentContext(axes, "uint16", channels=channels)


def refusal(model, axes="yx", channels=(), download=False):
    with pytest.raises(BackendError) as caught:
        load_model(model, context(axes, channels), "auto", download)
    return f"{caught.value} | {caught.value.hint}"


def test_parameters_are_known_without_stardist_or_tensorflow():
    code = """
import sys, seamlabel.registry as registry
params, problems = registry.backend("stardist").parse({"model": "somewhere"})
params.align, params.radius, params.files
assert not problems and not {"stardist", "tensorflow", "keras", "csbdeep"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_where_stardist_is_missing_the_line_that_installs_it_is_said():
    record = seamlabel.registry.backend("stardist")
    assert record.install == 'pip install "seamlabel[stardist]"'
    if not record.missing:
        pytest.skip("StarDist is installed here")
    with pytest.raises(BackendError) as caught:
        record.make(StarDistParams(), context())
    assert record.install in caught.value.hint


@pytest.mark.parametrize(
    ("config", "align"),
    [(FLAT, 16), ({**FLAT, "grid": [1, 4]}, 32), (DEEP, (4, 8, 8)), (RESIDUAL, (1, 4, 4))],
)
def test_tiles_are_read_from_multiples_of_grid_times_pooling(saved, config, align):
    assert StarDistParams(model=saved(config)).align == align


def test_tiles_of_a_volume_begin_where_the_network_of_its_model_does(saved, monkeypatch):
    monkeypatch.setattr(seamlabel.registry.Backend, "missing", ())
    spec = seamlabel.RunSpec(
        backend="stardist", params={"model": saved(DEEP)}, tile_shape=(30, 70, 70), overlap=9
    )
    grid = seamlabel.resolve(spec, image_info(np.zeros((60, 200, 200), np.uint16))).grid
    assert not (np.array([tile.read.start for tile in grid]) % (4, 8, 8)).any()


def test_the_overlap_of_auto_is_what_the_network_sees(saved, monkeypatch):
    monkeypatch.setattr(seamlabel.registry.Backend, "missing", ())
    params = {"model": saved(FLAT)}
    spec = seamlabel.RunSpec(backend="stardist", params=params, tile_shape=300)
    plan = seamlabel.resolve(spec, image_info(np.zeros((900, 900), np.uint16)))
    assert plan.grid.overlap == (StarDistParams(**params).radius + 1,) * 2
    assert not plan.warnings


def test_a_configuration_is_read_again_when_it_has_changed(saved):
    params = StarDistParams(model=saved(FLAT))
    assert params.align == 16
    saved({**FLAT, "unet_n_depth": 2})
    os.utime(f"{params.model}/config.json", ns=(1, 1))
    assert params.align == 8


@pytest.mark.parametrize("config", ["{", "[]", "{}", {**FLAT, "axes": "TC"}, {**FLAT, "grid": 2}])
def test_what_is_not_a_configuration_of_a_model_is_told_with_its_path(saved, config):
    model = saved(config)
    assert StarDistParams(model=model).align == 16
    assert f"{model}/config.json is not the configuration of a StarDist model" in refusal(model)


@pytest.mark.parametrize("within", ["", "2D_versatile_fluo", "2D_versatile_fluo_extracted"])
def test_a_published_model_is_found_where_each_version_of_keras_unpacks_it(saved, within):
    place = cache_folder("2D_versatile_fluo")
    saved({**FLAT, "unet_n_depth": 1}, place / within)
    params = StarDistParams()
    assert params.align == 4
    assert not params.files, "published models do not change: nothing to compare when a run goes on"


def test_a_published_model_that_is_not_here_is_not_fetched_unasked(saved, tmp_path):
    said = refusal("2D_versatile_fluo")
    assert str(tmp_path / "keras/models/StarDist2D/2D_versatile_fluo") in said
    assert "download" in said
    assert not (tmp_path / "keras").exists()


def test_the_files_of_a_model_are_its_configuration_thresholds_and_weights(saved):
    model = saved(FLAT)
    for name in ("thresholds.json", "weights_last.h5", "notes.txt"):
        Path(model, name).touch()
    names = [os.path.basename(file) for file in StarDistParams(model=model).files]
    assert names == ["config.json", "thresholds.json", "weights_best.h5", "weights_last.h5"]


def test_a_folder_that_holds_no_model_is_told(tmp_path):
    said = refusal(str(tmp_path))
    assert str(tmp_path) in said
    assert "2D_versatile_fluo" in said, "names that would do"


def test_a_model_without_weights_is_told_instead_of_run_untrained(saved):
    assert "no .h5 file" in refusal(saved(FLAT, weights=False))


@pytest.mark.parametrize(
    ("config", "axes", "hint"),
    [(FLAT, "zyx", "--planes"), (DEEP, "yx", "Choose a 2D model"), (FLAT, "zx", "Choose a model for zx")],
)
def test_a_model_for_other_axes_is_told_with_what_to_do(saved, config, axes, hint):
    assert hint in refusal(saved(config), axes)


@pytest.mark.parametrize("channels", [(), ("red",), ("red", "green")])
def test_a_model_of_other_channels_is_told(saved, channels):
    said = refusal(saved({**FLAT, "n_channel_in": 3}), channels=channels)
    assert f"takes 3 channel(s), {len(channels) or 1} are chosen" in said


@pytest.mark.parametrize("values", [{"low_percentile": 60, "high_percentile": 50}, {"model": " "}])
def test_parameters_that_make_no_sense_together_are_told(values):
    with pytest.raises(SpecError):
        seamlabel.segment(np.zeros((9, 9)), "stardist", params=values)
    with pytest.raises(ValueError, match=next(iter(values))):
        StarDistParams(**values)


def test_channels_are_normalised_each_or_as_one():
    rng = np.random.default_rng(0)
    image = np.stack([rng.normal(1000, 200, (300, 300)), rng.normal(4000, 100, (300, 300))]).astype("uint16")
    taken = [ImageStatistics.of(channel) for channel in image]
    each = _limits(StarDistParams(), taken)
    assert np.allclose(each, [np.percentile(channel, (1, 99.8)) for channel in image], rtol=0.01)
    joint = _limits(StarDistParams(joint_channels=True), taken)
    assert np.allclose(joint, [np.percentile(image, (1, 99.8))] * 2, rtol=0.01)


def test_large_objects_need_a_wider_overlap(saved):
    model = saved(FLAT)
    sees = read_config(Path(model)).reach
    assert StarDistParams(model=model, diameter=300).radius == sees + 150
    assert sees < StarDistParams(model=model).radius < 1.3 * sees
