"""`blend`: an image predicted tile by tile, in memory and into an OME-Zarr."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

import seamlabel
from seamlabel.blended import blend
from seamlabel.cli import main
from seamlabel.errors import BackendError, OutputError, SpecError, TileError
from seamlabel.io.ngff.images import write_image
from seamlabel.io.ngff.model import open_image
from seamlabel.io.sources import image_info, open_labels
from seamlabel.testing.cells import Tissue

PIXELS = Tissue((260, 300), "sparse").image()


def blur(tile):
    return ndimage.uniform_filter(tile.astype(np.float32), 9, mode="reflect")


def classes(tile):
    soft = blur(tile)
    return np.stack([np.full_like(soft, 1500), soft, 3000 - soft])


def pooled(tile):
    """What a network with two poolings does: means of 4 x 4 blocks, blurred, enlarged again."""
    means = tile.astype(np.float32).reshape(tile.shape[0] // 4, 4, tile.shape[1] // 4, 4).mean((1, 3))
    soft = ndimage.uniform_filter(means, 3, mode="reflect")
    return soft.repeat(4, 0).repeat(4, 1) + tile


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "image.zarr"
    write_image(
        path, PIXELS.shape, "uint16", lambda b: PIXELS[b.slices], axes="yx", scale=(0.5, 0.5),
        units=("micrometer",) * 2,
    )  # fmt: skip
    return path


def test_cropped_tiles_give_the_prediction_of_the_whole_image():
    found = blend(PIXELS, blur, tile_shape=64, overlap=4)
    assert found.paths == {}
    assert np.array_equal(found.values, blur(PIXELS))
    soft = blend(PIXELS, blur, tile_shape=64, overlap=16, weights="gaussian", workers=3)
    assert np.allclose(soft.values, blur(PIXELS), rtol=1e-3)


def test_a_network_that_pools_is_exact_where_tiles_are_aligned():
    image = PIXELS[:256, :300]
    exact = pooled(image)
    assert np.array_equal(blend(image, pooled, tile_shape=60, overlap=12, align=4).values, exact)


def test_a_map_is_an_image_in_the_place_of_the_one_it_was_made_of(image, tmp_path):
    out = tmp_path / "map.zarr"
    found = blend(image, classes, tile_shape=100, overlap=8, output=out, outputs=("rest", "cell", "edge"))
    assert np.array_equal(np.asarray(found.values), classes(PIXELS))
    info = image_info(out)
    assert (info.names, info.channels, info.dtype) == ("cyx", ("rest", "cell", "edge"), "float32")
    assert info.levels[0].scale[1:] == (0.5, 0.5)
    assert info.units[1:] == ("micrometer", "micrometer")
    labels = seamlabel.segment(
        out, "threshold", params={"value": 2000.0, "smoothing": 0.0}, channels="cell", tile_shape=100,
        overlap=8, progress=False,
    )  # fmt: skip
    assert np.array_equal(np.asarray(labels.labels) > 0, blur(PIXELS) > 2000)


def test_classes_are_decided_block_by_block(image, tmp_path):
    out = tmp_path / "classes.zarr"
    found = blend(image, classes, tile_shape=100, overlap=8, output=out, finalize="argmax", version="0.4")
    assert found.values.dtype == np.uint8
    assert np.array_equal(np.asarray(found.values), classes(PIXELS).argmax(0))
    assert image_info(out).names == "yx"


@pytest.mark.parametrize("weights", ["crop", "gaussian"])
def test_what_was_cut_short_goes_on_and_ends_the_same(image, tmp_path, weights):
    whole, cut = tmp_path / "whole.zarr", tmp_path / "cut.zarr"
    ask = {"tile_shape": 64, "overlap": 8, "weights": weights, "workers": 1}
    told = []
    blend(image, blur, output=whole, on_tile=lambda done, total: told.append(total), **ask)

    def stop(done, total):
        if done == total - 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        blend(image, blur, output=cut, on_tile=stop, **ask)
    with pytest.raises(OutputError, match="unfinished map of another request"):
        blend(image, blur, output=cut, **{**ask, "tile_shape": 70})
    with pytest.raises(OutputError, match="method"):
        blend(image, pooled, output=cut, **ask)
    (cut / "0" / "c.1234.partial").write_bytes(b"cut short")
    blend(image, blur, output=cut, on_tile=lambda done, total: told.append(total), **ask)
    assert told[-1] <= told[0]

    def files(folder):
        found = [p for p in folder.rglob("*") if p.is_file() and p.name != "zarr.json"]
        return {p.relative_to(folder): p.read_bytes() for p in found}

    assert files(cut) == files(whole)
    assert not list(cut.glob(".seamlabel*"))
    assert not Path(f"{cut}.lock").exists()


def test_time_and_planes_are_predicted_one_by_one():
    stack = np.stack([PIXELS[:100, :120], PIXELS[100:200, :120], PIXELS[:100, 120:240]])
    expected = np.stack([blur(plane) for plane in stack])
    assert np.array_equal(blend(stack, blur, axes="tyx", tile_shape=50, overlap=8).values, expected)
    found = blend(stack, lambda t: np.stack([blur(t)] * 2), planes=True, tile_shape=50, overlap=8)
    assert np.array_equal(found.values, np.stack([expected] * 2))
    many = blend(
        stack, lambda tiles: np.stack([blur(t) for t in tiles]), axes="tyx", tile_shape=50, overlap=8, batch=3
    )
    assert np.array_equal(many.values, expected)


def test_a_backend_takes_no_batches_of_tiles():
    with pytest.raises(SpecError, match=r"'torch' takes tiles one by one.*batch_size"):
        blend(PIXELS, "torch", params={"model": "net.pt"}, batch=2)


def test_several_channels_go_into_a_model():
    pair = np.stack([PIXELS, PIXELS[::-1]])
    found = blend(
        pair, lambda t: blur(t[0]) - blur(t[1]), axes="cyx", channels=[0, 1], tile_shape=64, overlap=8
    )
    assert np.array_equal(found.values, blur(pair[0]) - blur(pair[1]))


def test_tiles_outside_a_mask_are_not_predicted():
    mask = np.zeros(PIXELS.shape, np.uint8)
    mask[:100] = 1
    calls = []

    def model(tile):
        calls.append(tile.shape)
        return np.ones(tile.shape, np.float32)

    found = blend(PIXELS, model, tile_shape=100, overlap=0, skip_empty=mask, skipped=-1)
    assert len(calls) == 3
    assert (found.values[:100] == 1).all()
    assert (found.values[100:] == -1).all()


def test_disagreement_is_a_map_of_its_own(image, tmp_path):
    def shaky(tile):
        return np.full(tile.shape, tile.ravel()[0], np.float32)

    found = blend(
        image, shaky, tile_shape=64, overlap=16, weights="hann", stats=("mean", "disagreement"),
        output=tmp_path / "m.zarr",
    )  # fmt: skip
    assert Path(found.paths["disagreement"]).name == "m-disagreement.zarr"
    apart = np.asarray(found.values["disagreement"])
    assert apart.max() > 0
    assert apart[10, 10] == 0


@pytest.mark.parametrize("finalize", ["argmax", lambda block: block[:2]])
def test_tiles_disagree_on_every_class_however_the_map_is_finished(finalize, tmp_path):
    ask = {"tile_shape": 64, "overlap": 16, "weights": "hann", "stats": ("mean", "disagreement")}
    expected = blend(PIXELS, classes, **ask).values["disagreement"]
    assert expected[1].max() > 0
    for output in (None, tmp_path / "m.zarr"):
        found = blend(PIXELS, classes, finalize=finalize, output=output, **ask).values["disagreement"]
        assert np.array_equal(np.asarray(found), expected)


def test_a_map_lies_where_the_level_lies_that_it_was_made_of(tmp_path):
    image = tmp_path / "image.zarr"
    pixels = np.ones((700, 600), np.uint16)
    write_image(image, (700, 600), "uint16", lambda b: pixels[b.slices], axes="yx", scale=(0.5, 0.5))
    blend(image, lambda t: np.stack([t, t]), level=1, tile_shape=200, overlap=0, output=tmp_path / "m.zarr")
    (coarse,) = image_info(image).levels[1:2]
    made = image_info(tmp_path / "m.zarr").levels[0]
    assert coarse.translation == (0.25, 0.25)
    assert (made.scale, made.translation) == ((1, *coarse.scale), (0, *coarse.translation))


def test_large_integers_stay_what_they_are():
    numbers = np.arange(6400, dtype=np.int32).reshape(80, 80) + 2**24
    assert np.array_equal(blend(numbers, np.copy, tile_shape=32, overlap=4, dtype="int32").values, numbers)


def test_the_first_tile_is_tried_again_and_told_as_others_are():
    calls = []

    def model(tile):
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("not yet")
        return tile

    with pytest.raises(TileError, match="tile 0: RuntimeError: not yet"):
        blend(PIXELS, model, tile_shape=100, overlap=0, retries=0)
    calls.clear()
    assert np.array_equal(blend(PIXELS, model, tile_shape=100, overlap=0).values, PIXELS)


def test_what_cannot_be_is_told(image, tmp_path):
    with pytest.raises(BackendError, match="gives labels"):
        blend(image, "threshold")
    with pytest.raises(BackendError, match="answers to a tile"):
        blend(image, lambda tile: tile[::2], tile_shape=64)
    with pytest.raises(OutputError, match="exists"):
        blend(PIXELS, blur, output=image)
    with pytest.raises(SpecError, match="2 names, 3 channels"):
        blend(image, classes, output=tmp_path / "a.zarr", outputs=("one", "two"))
    with pytest.raises(SpecError, match="none of snap"):
        blend(image, blur, edge="cut")
    with pytest.raises(SpecError, match="no maps of 'float23'"):
        blend(image, blur, dtype="float23")
    with pytest.raises(SpecError, match="none of constant"):
        blend(image, blur, padding="mirror")
    stats = {"stats": ("mean", "sigma"), "weights": "hann", "dtype": "uint8"}
    with pytest.raises(SpecError, match="different blocks"):
        blend(np.zeros((20_000, 600), np.uint8), np.copy, output=tmp_path / "b.zarr", tile_shape=500, **stats)


def test_tiles_are_skipped_where_a_model_answers_without_channels():
    pixels = np.zeros((100, 100), np.float32)
    pixels[60:] = 2
    found = blend(pixels, np.copy, tile_shape=50, overlap=0, skip_empty=1.0, finalize="sigmoid", skipped=-50)
    assert found.values[0, 0] < 1e-6
    assert found.values[99, 99] > 0.8


def test_the_command_line_makes_a_map_and_tells_what_is_wrong(image, tmp_path, capsys):
    code = tmp_path / "mine.py"
    code.write_text(
        "import numpy as np\nfrom scipy import ndimage\n\n\ndef soft(tile, size: int = 9):\n"
        "    return ndimage.uniform_filter(tile.astype(np.float32), size, mode='reflect')\n"
    )
    out = tmp_path / "map.zarr"
    ask = ["blend", str(image), str(out), "--function", f"{code}:soft", "--tile", "64", "--overlap", "8"]
    assert main([*ask[:-1], "0", "--set", "size=1"]) == 0
    assert "25 tiles" in capsys.readouterr().err
    shutil.rmtree(out)
    assert main([*ask, "--set", "size=9"]) == 0
    assert np.array_equal(np.asarray(open_labels(out)[0]), blur(PIXELS))
    assert main(ask) == 1
    assert "exists" in capsys.readouterr().err
    assert main(["blend", str(image), str(out)]) == 2
    assert main(["blend", str(image), str(out), "--backend", "watershed"]) == 1
    assert "gives labels" in capsys.readouterr().err


def test_what_a_map_is_made_of_is_never_replaced(image, tmp_path):
    mask = tmp_path / "mask.zarr"
    write_image(mask, PIXELS.shape, "uint8", lambda b: (PIXELS[b.slices] > 0).astype("uint8"), axes="yx")
    for read in (image, mask):
        link = tmp_path / f"link-{read.name}"
        link.symlink_to(read)
        for place in (read, link):
            with pytest.raises(OutputError, match="holds what the map is made of"):
                blend(image, blur, skip_empty=str(mask), output=place, overwrite=True)
    assert np.array_equal(open_image(image).arrays[0][:], PIXELS)


@pytest.mark.parametrize(
    ("model", "why"), [(lambda tile: None, "nothing"), (lambda tile: tile + 1j, "complex"), (str, "type <U")]
)
def test_answers_that_are_no_numbers_are_refused(model, why):
    with pytest.raises(BackendError, match=why):
        blend(PIXELS, model, tile_shape=100, overlap=0)


@pytest.mark.parametrize("how", ["softmax", "argmax"])
def test_one_output_is_no_choice_of_classes(how):
    with pytest.raises(SpecError, match="it has one"):
        blend(PIXELS, blur, finalize=how)
