"""StarDist itself, on the images in its wheel: tiles give what the whole image gives.

Run by ``make test-stardist``, in an environment of its own; skipped where StarDist is not installed.
"""

from __future__ import annotations

import json
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("stardist", reason="StarDist is not installed: make test-stardist")

import seamlabel
from seamlabel import cli
from seamlabel.api import sample
from seamlabel.backends.stardist import StarDistParams, make
from seamlabel.backends.stardist_loading import _load
from seamlabel.backends.stardist_models import read_config
from seamlabel.engine.whole import whole_image_labels
from seamlabel.errors import BackendError
from seamlabel.io.sources import image_info, open_source
from seamlabel.kernels.statistics import ImageStatistics
from seamlabel.protocols import SegmentContext
from seamlabel.testing.checks import check_backend
from seamlabel.testing.partition import compare

QUIET = {"progress": False, "executor": "threads", "workers": 2}


def turned(pixels, labels):
    """Turn and mirror a patch, so that a network learns more from one image."""
    turns = np.random.randint(4)
    pixels, labels = (np.rot90(each, turns, axes=(-2, -1)) for each in (pixels, labels))
    flip = slice(None, None, np.random.choice([-1, 1]))
    return pixels[..., flip], labels[..., flip]


def train(kind, config, image, labels, folder, epochs):
    """Train a model on an image, and have it in `folder`; begin anew if it has learnt nothing."""
    import keras
    from csbdeep.utils import normalize

    pixels = normalize(image, 1, 99.8)
    part = tuple(slice(max(n // 2, 64)) for n in image.shape)
    data = [pixels], [labels], ([pixels[part]], [labels[part]])
    for seed in range(1, 5):
        keras.utils.set_random_seed(seed)
        with redirect_stdout(StringIO()):
            model = kind(config, name=folder.name, basedir=str(folder.parent))
            model.train(*data, augmenter=turned, seed=seed, epochs=epochs, steps_per_epoch=20)
        if model.predict(pixels)[0].max() > 0.7:
            return str(folder)
    raise AssertionError("none of four networks has learnt to find nuclei")


@pytest.fixture(scope="session")
def flat(tmp_path_factory):
    """Return the 2D nuclei of StarDist's wheel, and a model trained on them."""
    from stardist.data import test_image_nuclei_2d
    from stardist.models import Config2D, StarDist2D

    image, labels = test_image_nuclei_2d(return_mask=True)
    config = Config2D(
        grid=(2, 2),
        unet_n_depth=2,
        unet_n_filter_base=16,
        net_conv_after_unet=32,
        train_patch_size=(128, 128),
        train_learning_rate=1e-3,
        train_tensorboard=False,
    )
    folder = tmp_path_factory.mktemp("models") / "flat"
    return image, train(StarDist2D, config, image, labels, folder, epochs=25)


@pytest.fixture(scope="session")
def deep(tmp_path_factory):
    """Return the 3D nuclei of StarDist's wheel, mirrored to three times the width, and a model."""
    from stardist.data import test_image_nuclei_3d
    from stardist.models import Config3D, StarDist3D

    image, labels = test_image_nuclei_3d(return_mask=True)
    config = Config3D(
        rays=32,
        grid=(1, 2, 2),
        anisotropy=(2, 1, 1),
        unet_n_depth=1,
        unet_n_filter_base=8,
        net_conv_after_unet=16,
        train_patch_size=(16, 48, 48),
        train_batch_size=2,
        train_learning_rate=1e-3,
        train_tensorboard=False,
    )
    folder = tmp_path_factory.mktemp("models") / "deep"
    model = train(StarDist3D, config, image, labels, folder, epochs=20)
    return np.pad(image, [(0, 0), (0, 0), (0, 2 * image.shape[-1])], mode="symmetric"), model


def whole(image, model, **params):
    """Return the labels of the image as one tile, by the code that makes those of tiles."""
    info = image_info(image)
    spec = seamlabel.RunSpec(backend="stardist", params={"model": model, **params}, tile_shape=info.shape)
    plan = seamlabel.resolve(spec, info)
    return whole_image_labels(plan, open_source(image, info, 0, ()))


def tiled(image, model, tile_shape, overlap="auto", **params):
    given = {"model": model, **params}
    result = seamlabel.segment(
        image, "stardist", params=given, tile_shape=tile_shape, overlap=overlap, **QUIET
    )
    return np.asarray(result.labels)


def alike(expected, found):
    """Return the part of the expected objects that are found with an IoU of 0.9 or more."""
    common = np.zeros((expected.max() + 1, found.max() + 1), np.int64)
    np.add.at(common, (expected.ravel(), found.ravel()), 1)
    sizes, others = common.sum(1), common.sum(0)
    iou = common[1:, 1:] / (sizes[1:, None] + others[None, 1:] - common[1:, 1:])
    return (iou.max(axis=1, initial=0)[sizes[1:] > 0] >= 0.9).mean()


def context(image, axes):
    return SegmentContext(axes, image.dtype.name, statistics=lambda i: ImageStatistics.of(image))


def test_a_tile_of_the_whole_image_gives_what_stardist_itself_gives(flat, deep):
    for image, model in (flat, deep):
        segment = make(StarDistParams(model=model), context(image, "zyx"[-image.ndim :]))
        normal = segment._normalised(image)
        expected, _ = segment.model.predict_instances(normal[..., 0], show_tile_progress=False)
        assert compare(expected, segment(image)).same
        assert expected.max() > 80
        from csbdeep.utils import normalize

        assert np.abs(normal[..., 0] - normalize(image, 1, 99.8)).max() < 0.01


def check_the_same(report):
    """Check that objects are the same, but for voxels on which the network's rounding decides.

    How it sums up depends on the shape of what it is given, so that its last digits differ.
    """
    assert report.n_a == report.n_b
    assert report.merges == report.splits == 0
    assert report.identical >= 0.99 * report.n_a, report
    assert report.foreground_differs <= 3, report


def test_tiles_whose_overlap_holds_what_the_network_sees_give_the_whole_image(flat):
    image, model = flat
    report = compare(whole(image, model), tiled(image, model, 150))
    print(f"2D, tiles of 150, overlap auto: {report}")
    check_the_same(report)
    assert report.n_a > 100


@pytest.mark.parametrize("overlap", [40, 56])
def test_tiles_with_less_overlap_give_99_percent_of_the_objects(flat, overlap):
    image, model = flat
    expected, found = whole(image, model), tiled(image, model, 150, overlap)
    print(f"2D, tiles of 150, overlap {overlap}: {alike(expected, found):.4f}, {compare(expected, found)}")
    assert alike(expected, found) >= 0.99


def test_tiles_of_a_volume_give_the_whole_volume(deep):
    image, model = deep
    report = compare(whole(image, model), tiled(image, model, (31, 61, 57)))
    print(f"3D, tiles of 31 x 61 x 57, overlap auto: {report}")
    check_the_same(report)
    assert report.n_a > 80


def test_tiles_of_a_volume_with_less_overlap_give_99_percent_of_the_objects(deep):
    image, model = deep
    expected = whole(image, model)
    found = tiled(image, model, (31, 32, 57), {"y": 20, "x": 20})
    print(f"3D, overlap 20: {alike(expected, found):.4f}, {compare(expected, found)}")
    assert alike(expected, found) >= 0.99


def test_thresholds_are_those_of_the_parameters_else_of_the_model(flat, tmp_path):
    image, model = flat
    strict = whole(image, model, prob_threshold=0.7)
    assert 0 < strict.max() < whole(image, model).max()
    tuned = shutil.copytree(model, tmp_path / "tuned")
    (tuned / "thresholds.json").write_text(json.dumps({"prob": 0.7, "nms": 0.4}))
    assert compare(whole(image, str(tuned)), strict).same


def test_a_stack_is_segmented_plane_by_plane_with_a_2d_model(flat):
    image, model = flat
    stack = np.stack([image[:200, :200], image[200:400, :200]])
    result = seamlabel.segment(stack, "stardist", params={"model": model}, planes=True, **QUIET)
    found = np.asarray(result.labels)
    assert all(len(np.unique(plane)) > 10 for plane in found)
    assert not set(np.unique(found[0])) & set(np.unique(found[1])) - {0}


def test_the_contract_is_kept_in_2d_and_3d(flat, deep):
    check_backend("stardist", {"model": flat[1]}, image=flat[0])
    check_backend("stardist", {"model": deep[1]}, image=deep[0], axes="zyx", rounding=3)
    check_backend("stardist", {"model": flat[1]})


def test_one_network_serves_all_threads_and_is_loaded_once(flat):
    image, model = flat
    _load.cache_clear()
    segment = make(StarDistParams(model=model), context(image, "yx"))
    expected = segment(image)
    assert make(StarDistParams(model=model, nms_threshold=0.1), context(image, "yx")).model is segment.model
    assert _load.cache_info().misses == 1
    with ThreadPoolExecutor(4) as pool:
        assert all(np.array_equal(found, expected) for found in pool.map(segment, [image] * 8))


def test_objects_of_one_tile_are_sorted_out_while_the_network_works_on_another(flat, monkeypatch):
    image, model = flat
    segment = make(StarDistParams(model=model), context(image, "yx"))
    free, inside, render = threading.Event(), threading.Event(), type(segment)._rendered

    def wait(self, *given):
        if threading.current_thread() is not threading.main_thread():
            inside.set()
            assert free.wait(60)
        return render(self, *given)

    monkeypatch.setattr(type(segment), "_rendered", wait)
    with ThreadPoolExecutor(1) as pool:
        former = pool.submit(segment, image)
        assert inside.wait(60)
        latter = segment(image)  # goes through the network, which nobody holds
        free.set()
        assert np.array_equal(former.result(60), latter)


def test_what_is_no_number_and_what_is_one_value_is_background(flat):
    image, model = flat
    pixels = image.astype(np.float32)
    pixels[:200] = np.nan
    assert not make(StarDistParams(model=model), context(image, "yx"))(pixels)[:150].any()
    for level in (0, 7):
        constant = np.full((100, 100), level, np.uint16)
        assert make(StarDistParams(model=model), context(constant, "yx"))(constant).shape == (100, 100)


def test_several_channels_reach_the_network_with_percentiles_of_their_own(tmp_path):
    from stardist.models import Config2D, StarDist2D

    config = Config2D(n_channel_in=3, unet_n_depth=1, unet_n_filter_base=4, net_conv_after_unet=4)
    network = StarDist2D(config, name="colour", basedir=str(tmp_path))
    network.keras_model.save_weights(str(tmp_path / "colour/weights_best.h5"))
    image = np.random.default_rng(0).integers(0, [[[200]], [[800]], [[9]]], (3, 64, 70), np.uint16)
    statistics = [ImageStatistics.of(channel) for channel in image]
    told = SegmentContext("yx", "uint16", channels=("r", "g", "b"), statistics=statistics.__getitem__)
    params = StarDistParams(model=str(tmp_path / "colour"), prob_threshold=0.5)
    segment = make(params, told)
    normal = segment._normalised(image)
    assert normal.shape == (64, 70, 3)
    for i, channel in enumerate(image):
        low, high = np.percentile(channel, (1, 99.8))
        assert np.allclose(normal[..., i], (channel - low) / (high - low), atol=0.02)
    assert segment(image).shape == (64, 70)


@pytest.mark.parametrize(
    "config",
    [
        {"grid": (2, 2), "unet_n_depth": 2},
        {"grid": (1, 4), "unet_n_depth": 1},
        {"grid": (1, 1, 1), "unet_n_depth": 1},
        {"grid": (1, 2, 2), "backbone": "resnet", "resnet_n_blocks": 2},
    ],
    ids=str,
)
def test_the_network_sees_no_further_than_its_configuration_says(tmp_path, config):
    from stardist.models import Config2D, Config3D, StarDist2D, StarDist3D

    kind, made = (StarDist2D, Config2D) if len(config["grid"]) == 2 else (StarDist3D, Config3D)
    backbone = config.get("backbone", "unet")
    small = {f"{backbone}_n_filter_base": 4, f"net_conv_after_{backbone}": 4}
    network = kind(made(**config, **small), name="seen", basedir=str(tmp_path))
    known = read_config(Path(tmp_path, "seen"))
    assert known.divisor == network._axes_div_by("ZYX"[-known.ndim :])
    far = max(max(sides) for sides in network._compute_receptive_field())
    assert far <= known.reach <= 1.2 * far + 1


def test_a_damaged_model_is_told_before_any_tile(flat, tmp_path):
    image, model = flat
    broken = shutil.copytree(model, tmp_path / "broken")
    for file in broken.glob("*.h5"):
        file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(BackendError, match=r"broken cannot be loaded"):
        tiled(image, str(broken), 150)


def test_weights_of_another_network_are_told_before_any_tile(flat, deep, tmp_path):
    image, model = flat
    other = shutil.copytree(model, tmp_path / "other")
    for file in other.glob("*.h5"):
        shutil.copy(Path(deep[1]) / "weights_best.h5", file)
    with pytest.raises(BackendError, match=r"other cannot be loaded"):
        tiled(image, str(other), 150)


def test_a_gpu_that_is_not_here_is_told_before_any_tile(flat):
    import tensorflow

    if tensorflow.config.list_physical_devices("GPU"):
        pytest.skip("there is a GPU here")
    with pytest.raises(BackendError, match="finds no GPU"):
        tiled(*flat, 150, device="gpu")
    assert tiled(*flat, 300, device="cpu").max() > 100


def test_the_command_line_tells_a_model_for_other_axes_in_two_lines(flat, tmp_path, capsys):
    stack = sample(tmp_path / "stack.zarr", (16, 64, 64), "tissue3d")
    assert cli.main(["segment", stack, "--backend", "stardist", "--set", f"model={flat[1]}"]) != 0
    said = capsys.readouterr().err
    assert "segments yx" in said
    assert "--planes" in said
    assert "Traceback" not in said


def test_a_run_does_not_go_on_with_weights_that_were_trained_on(flat, tmp_path):
    image, model = flat
    own = str(shutil.copytree(model, tmp_path / "own"))
    before = StarDistParams(model=own).files
    assert [Path(file).name for file in before] == ["config.json", "weights_best.h5", "weights_last.h5"]
    segment = make(StarDistParams(model=own), context(image, "yx"))
    (Path(own) / "weights_best.h5").write_bytes((Path(own) / "weights_last.h5").read_bytes())
    assert make(StarDistParams(model=own), context(image, "yx")).model is not segment.model
