from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.with_torch.networks import Blur, Unet, script, tissue

import seamlabel
from seamlabel.blended import blend
from seamlabel.testing import check_backend
from seamlabel.testing.partition import compare

torch.set_num_threads(1)


def segment(image, params, tile, overlap, **options):
    found = seamlabel.segment(
        image, "torch", params=params, tile_shape=tile, overlap=overlap, progress=False, **options
    )
    return np.asarray(found.labels)


@pytest.fixture(scope="module")
def unet(tmp_path_factory):
    return script(Unet(), tmp_path_factory.mktemp("net") / "unet.pt")


@pytest.fixture(scope="module")
def image():
    return tissue((400, 500))


KINDS = [
    {"output": "foreground", "activation": "sigmoid", "channel": 1},
    {"output": "foreground", "activation": "softmax", "channel": 1, "normalise": "mean and deviation"},
    {"output": "foreground and boundary", "boundary": 2, "activation": "sigmoid", "channel": 1},
    {"output": "classes"},
    {"output": "distance", "channel": 1, "threshold": 0.0, "diameter": 24},
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind['output']}-{kind.get('activation')}")
@pytest.mark.parametrize("patch", ["", "128"])
def test_tiles_give_the_labels_of_the_whole_image(unet, image, kind, patch):
    params = {"model": unet, "align": 4, "halo": Unet.reach, **kind}
    expected = segment(image, params, 512, 0, executor="serial")
    found = segment(image, {**params, "patch": patch}, 150, 64, executor="threads")
    report = compare(expected, found)
    print(f"{kind}, patch {patch or 'none'}: {report}")
    assert report.n_a > 20
    assert report.same


def test_tiles_that_do_not_start_where_the_network_pools_would_differ(unet, image):
    params = {"model": unet, "align": 4, "activation": "sigmoid", "channel": 1, "patch": "128"}
    whole = segment(image, params, 512, 0)
    shifted = segment(image[2:, 2:], {**params, "normalise": "none"}, 512, 0)
    assert not compare(whole[2:, 2:], shifted).same


def test_a_volume_is_segmented_in_blocks(tmp_path):
    image = tissue((24, 120, 130))
    path = script(Unet(3), tmp_path / "net.pt", 3)
    params = {"model": path, "align": 4, "activation": "sigmoid", "channel": 1}
    expected = segment(image, params, (24, 128, 132), 0)
    for patch in ("", "24,96,96"):
        found = segment(image, {**params, "patch": patch, "halo": 24}, (24, 96, 96), 32)
        assert compare(expected, found).same
    assert expected.max() > 3


def test_processes_and_threads_agree(unet, image):
    params = {"model": unet, "align": 4, "activation": "sigmoid", "channel": 1}
    one, other = (segment(image, params, 160, 48, executor=e, workers=2) for e in ("threads", "processes"))
    assert np.array_equal(one, other)


def test_the_contract_is_kept(unet, tmp_path):
    for kind in KINDS:
        check_backend("torch", {"model": unet, "align": 4, **kind}, rounding=3)
    check_backend(
        "torch", {"model": script(Blur(3), tmp_path / "b.pt", 3), "align": 1}, axes="zyx", rounding=3
    )
    pair = script(Unet(channels=2), tmp_path / "pair.pt", channels=2)
    check_backend("torch", {"model": pair, "align": 4, "activation": "sigmoid", "channel": 1}, channels=2)


def test_half_precision_gives_nearly_the_same(unet, image):
    params = {"model": unet, "align": 4, "activation": "sigmoid", "channel": 1}
    report = compare(segment(image, params, 512, 0), segment(image, {**params, "half": True}, 512, 0))
    assert report.n_b >= 0.9 * report.n_a
    assert report.foreground_differs < 0.02 * image.size


def test_pieces_are_given_in_batches_and_fewer_where_memory_runs_out(unet, image):
    from seamlabel.backends.torch_loading import TorchNetwork

    sizes = []

    class Small(Unet):
        def forward(self, x):
            sizes.append(len(x))
            if len(x) > 2:
                raise torch.OutOfMemoryError("as a GPU says it")
            return super().forward(x)

    network = TorchNetwork(Small().eval(), "net", torch.device("cpu"), False, 7)
    from seamlabel.backends.patches import Patches

    patches = Patches((4, 4), (4, 4), (128, 128), (24, 24))
    pixels = image[None].astype(np.float32)
    found = patches.apply(network, pixels, lambda: network.batch)
    assert sizes[0] == 7
    assert max(sizes[3:]) <= 2
    one = TorchNetwork(Unet().eval(), "net", torch.device("cpu"), False, 1)
    assert np.allclose(found, patches.apply(one, pixels, lambda: 1), atol=1e-4, rtol=1e-5)


def test_predictions_of_tiles_are_those_of_the_whole_image(unet, image):
    params = {"model": unet, "align": 4, "activation": "softmax"}
    whole = blend(image, "torch", params=params, tile_shape=512, overlap=0).values
    found = blend(image, "torch", params=params, tile_shape=120, overlap=Unet.reach, workers=2).values
    assert whole.shape == (3, *image.shape)
    assert np.array_equal(found.argmax(0), whole.argmax(0))
    assert np.abs(found - whole).max() < 1e-5
    soft = blend(image, "torch", params=params, tile_shape=120, overlap=40, weights="gaussian").values
    assert (soft.argmax(0) != whole.argmax(0)).mean() <= 0.0005
