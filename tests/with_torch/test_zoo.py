from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from bioimageio.core import create_prediction_pipeline, predict
from bioimageio.spec import load_model_description
from bioimageio.spec.model import v0_5
from tests.with_torch.networks import tissue
from tests.with_torch.packages import package, percentiles, standard

import seamlabel
from seamlabel import registry
from seamlabel.blended import blend
from seamlabel.errors import BackendError, SpecError
from seamlabel.kernels.statistics import ImageStatistics
from seamlabel.protocols import SegmentContext
from seamlabel.testing import check_backend
from seamlabel.testing.partition import compare

torch.set_num_threads(1)


def made(model, image, axes="yx", channels=1, **params):
    record = registry.backend("bioimageio")
    parsed, problems = record.parse({"model": model, "channel": 1, **params})
    assert not problems, problems
    names = tuple(map(str, range(channels)))
    planes = image if image.ndim > len(axes) else image[None]
    context = SegmentContext(
        axes, image.dtype.name, (1.0,) * len(axes), names, lambda i: ImageStatistics.of(planes[i])
    )
    return record.make(parsed, context)


def refused(model, image=None, **params):
    with pytest.raises(BackendError) as error:
        made(model, tissue((64, 64)) if image is None else image, **params)
    assert error.value.hint
    return f"{error.value} {error.value.hint}"


def segment(image, params, tile, overlap, **options):
    found = seamlabel.segment(
        image, "bioimageio", params=params, tile_shape=tile, overlap=overlap, progress=False, **options
    )
    return np.asarray(found.labels)


def theirs(model, image, axes):
    """Return what bioimageio.core itself says of the whole image."""
    pipeline = create_prediction_pipeline(load_model_description(model, perform_io_checks=False))
    names = ["batch", *(["channel"] if image.ndim > len(axes) else []), *axes]
    from bioimageio.core import Tensor

    pixels = Tensor(image[None].astype(np.float32), dims=names)
    if "channel" not in names:
        pixels = pixels.transpose(("batch", "channel", *axes))
    sample = predict(model=pipeline, inputs={"raw": pixels})
    return sample.members["maps"].transpose(("batch", "channel", *axes)).to_numpy()[0]


@pytest.mark.parametrize("pre", [percentiles(), standard(), percentiles(("channel", "y", "x"))])
@pytest.mark.parametrize("channels", [1, 2])
def test_answers_are_those_of_their_own_library_to_the_whole_image(tmp_path, pre, channels):
    model = package(tmp_path, channels=channels, pre=[pre])
    image = np.stack([tissue((128, 160), seed) * (1 + seed) for seed in range(channels)])
    image = image if channels > 1 else image[0]
    found = made(model, image, channels=channels).maps(image)
    assert np.allclose(found, theirs(model, image, "yx"), atol=0.02)
    assert found[1].max() > 0.9


def test_tiles_give_the_labels_of_the_whole_image(tmp_path):
    image = tissue((400, 500))
    params = {"model": package(tmp_path), "channel": 1}
    expected = segment(image, params, 512, 0)
    report = compare(expected, segment(image, params, 150, 64, executor="threads"))
    print(f"BioImage.IO, tiles of 150: {report}")
    assert report.n_a > 20
    assert report.same
    assert np.array_equal(segment(image, params, 160, 64, executor="processes", workers=2) > 0, expected > 0)


def test_a_network_of_one_size_gets_pieces(tmp_path):
    image = tissue((300, 330))
    params = {"model": package(tmp_path / "one", size=128, halo=32), "channel": 1, "batch_size": 3}
    found = segment(image, params, 160, 64)
    assert compare(segment(image, params, 512, 0), found).same
    free = segment(image, {"model": package(tmp_path / "any"), "channel": 1}, 512, 0)
    inner = slice(40, -40)  # pieces of one size see mirrored pixels beyond the end of the image
    assert np.array_equal((free > 0)[inner, inner], (found > 0)[inner, inner])


def test_a_volume_is_segmented(tmp_path):
    image = tissue((24, 96, 100))
    model = package(tmp_path, ndim=3, pre=[percentiles(("z", "y", "x"))], zipped=False)
    params = {"model": model, "channel": 1, "output": "foreground and boundary", "boundary": 2}
    expected = segment(image, params, (24, 96, 100), 0)
    assert compare(expected, segment(image, params, (24, 64, 64), 32)).same
    assert expected.max() > 3
    assert "takes zyx" in refused(model)


def test_the_record_decides_on_alignment_and_channels(tmp_path):
    record = registry.backend("bioimageio")
    model = package(tmp_path, channels=2)
    params, _ = record.parse({"model": model})
    assert (params.align, params.n_channels, params.files) == ((4, 4), 2, (model,))
    with pytest.raises(SpecError, match="takes 2 with these parameters, not 1"):
        segment(tissue((64, 64)), {"model": model}, 64, 0)


def test_the_contract_is_kept(tmp_path):
    check_backend("bioimageio", {"model": package(tmp_path), "channel": 1}, rounding=3)


def test_code_that_comes_with_a_model_runs_only_if_it_is_trusted(tmp_path):
    image = tissue((128, 128))
    model = package(tmp_path / "code", weights=("pytorch_state_dict",))
    assert "trust=true" in refused(model)
    other = package(tmp_path / "both", weights=("pytorch_state_dict", "torchscript"))
    safe = made(other, image)
    assert type(safe.network.adapter).__name__ == "TorchscriptModelAdapter"
    assert np.allclose(made(model, image, trust=True).maps(image), safe.maps(image), atol=1e-5)
    assert "brings no weights as onnx" in refused(other, weights="onnx")


def test_what_cannot_be_the_same_in_all_tiles_is_refused(tmp_path):
    scaled = v0_5.ScaleRangeDescr(kwargs=v0_5.ScaleRangeKwargs(axes=["y", "x"], reference_tensor=None))
    model = package(tmp_path / "post", post=[scaled])
    assert "statistics of its answers" in refused(model)
    assert "normalised along y" in refused(package(tmp_path / "rows", pre=[percentiles(("y",))]))
    assert "not of the size" in refused(package(tmp_path / "scaled", scale=2.0))


def test_what_is_no_model_is_told(tmp_path):
    (tmp_path / "text.zip").write_text("hello")
    assert "is no model that can be read" in refused(str(tmp_path / "text.zip"))
    (tmp_path / "empty").mkdir()
    assert "there is no model" in refused(str(tmp_path / "empty"))
    assert "download=true" in refused("affable-shark")
    assert "there is no model" in refused(str(tmp_path / "none.zip"))
    model = Path(package(tmp_path / "p", zipped=False))
    (model / "net.pt").write_bytes(b"damaged")
    assert "cannot be loaded" in refused(str(model))
    assert "2 channel(s)" in refused(package(tmp_path / "two", channels=2))
    if not torch.cuda.is_available():
        assert "no GPU" in refused(package(tmp_path / "g"), device="cuda")


def test_a_model_of_the_zoo_predicts_tile_by_tile(tmp_path):
    image = tissue((200, 220))
    params = {"model": package(tmp_path)}
    whole = blend(image, "bioimageio", params=params, tile_shape=256, overlap=0).values
    found = blend(image, "bioimageio", params=params, tile_shape=80, overlap=24).values
    assert np.abs(found - whole).max() < 1e-5
    assert np.abs(whole - theirs(params["model"], image, "yx")).max() < 0.02
