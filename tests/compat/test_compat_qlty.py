from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seamlabel.compat.qlty import (
    LargeNCYXQuilt,
    LargeNCZYXQuilt,
    NCYXQuilt,
    NCZYXQuilt,
    weed_sparse_classification_training_pairs_2D,
    weed_sparse_classification_training_pairs_3D,
)
from seamlabel.errors import OutputError, SeamlabelError
from seamlabel.io.ngff.model import open_image

IMAGES = np.random.default_rng(0).random((2, 3, 50, 37)).astype(np.float32)
SIZE = {"Y": 50, "X": 37, "window": (16, 16), "step": (10, 10), "border": (3, 3), "border_weight": 0.1}


def by_hand(quilt, patches):
    """Average patches as qlty's documents say: weights of a border, summed and divided by."""
    per = len(quilt.grid)
    out = np.zeros((len(patches) // per, patches.shape[1], *quilt.grid.shape))
    total = np.zeros(quilt.grid.shape)
    weight = np.full(quilt.window, quilt.border_weight)
    weight[tuple(slice(b, n - b) for b, n in zip(quilt.border, quilt.window, strict=True))] = 1
    for number, patch in enumerate(quilt.grid):
        total[patch.box.slices] += weight
        for image in range(len(out)):
            out[(image, slice(None), *patch.box.slices)] += weight * patches[image * per + number]
    return out / total, total


@settings(max_examples=25)
@given(st.data())
def test_patches_of_images_give_these_images_in_two_and_three_dimensions_of_any_size(data):
    ndim = data.draw(st.integers(2, 3))
    shape = tuple(data.draw(st.integers(3, 19)) for _ in range(ndim))
    window = tuple(data.draw(st.integers(3, n)) for n in shape)
    step = tuple(data.draw(st.integers((w + 1) // 2, w)) for w in window)
    border = data.draw(st.sampled_from([None, 1, (1,) * ndim]))
    weight = data.draw(st.sampled_from([0.0, 0.1, 1.0]))
    quilt = (NCYXQuilt if ndim == 2 else NCZYXQuilt)(*shape, window, step, border, weight)
    images = np.random.default_rng(0).random((2, 2, *shape)).astype(np.float32)
    patches = quilt.unstitch(images)
    assert patches.shape == (2 * np.prod(quilt.get_times()), 2, *window)
    found, weights = quilt.stitch(patches)
    assert np.allclose(found, images, atol=1e-5)
    assert weights.shape == shape
    assert weights.min() >= min(weight, 1)


def test_stitching_averages_as_the_documents_say():
    quilt = NCYXQuilt(**SIZE)
    patches = np.random.default_rng(1).random((40, 3, 16, 16)).astype(np.float32)
    found, weights = quilt.stitch(patches, use_numba=False)
    wanted, total = by_hand(quilt, patches)
    assert np.allclose(found, wanted, atol=1e-5)
    assert np.allclose(weights, total, atol=1e-5)
    assert quilt.get_times() == (5, 4)
    assert np.asarray(quilt.weight)[0, 0] == np.float32(0.1)
    assert np.asarray(quilt.weight)[8, 8] == 1
    assert np.asarray(quilt.border_tensor()).sum() == 100


def test_a_border_that_weighs_nothing_halves_nothing_along_the_images_edges():
    quilt = NCYXQuilt(**{**SIZE, "border_weight": 0.0})
    found, _ = quilt.stitch(np.ones((40, 1, 16, 16), np.float32))
    assert np.allclose(found, 1)
    wrong = quilt.unstitch(np.ones((1, 1, 50, 37), np.float32))
    wrong[:, :, np.asarray(quilt.border_tensor()) == 0] = 99
    inside = quilt.stitch(wrong)[0][0, 0, 3:-3, 3:-3]
    assert np.allclose(inside, 1)


def test_unstitching_is_lazy_and_stitching_takes_an_iterator():
    quilt, read = NCYXQuilt(**SIZE), []

    class Stored:
        shape, dtype = IMAGES.shape, IMAGES.dtype

        def __getitem__(self, key):
            read.append(IMAGES[key].size)
            return IMAGES[key]

    patches = quilt.unstitch(Stored())
    assert (patches.shape, len(patches), read) == ((40, 3, 16, 16), 40, [])
    assert np.allclose(quilt.stitch(p for p in patches)[0], IMAGES, atol=1e-5)
    assert max(read) == 3 * 16 * 16
    batches = (patches[i : i + 7] for i in range(0, len(patches), 7))
    assert np.allclose(quilt.stitch(batches)[0], IMAGES, atol=1e-5)
    assert np.array_equal(np.asarray(patches), quilt.unstitch(IMAGES))
    assert isinstance(quilt.unstitch(IMAGES), np.ndarray)
    assert not isinstance(quilt.unstitch(IMAGES, lazy=True), np.ndarray)


def test_patches_that_are_missing_are_an_error_not_zeros():
    quilt = NCYXQuilt(**SIZE)
    patches = quilt.unstitch(IMAGES)
    for count in (0, 3, 39):
        with pytest.raises(ValueError, match=f"{count} patches are not those of whole images: each has 20"):
            quilt.stitch(patches[:count])


def test_an_error_of_the_model_is_not_swallowed_and_nan_stays_nan():
    quilt = NCYXQuilt(**SIZE)

    def model():
        yield from quilt.unstitch(IMAGES)[:9]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        quilt.stitch(model())
    patches = quilt.unstitch(IMAGES)
    patches[0] = np.nan
    found = quilt.stitch(patches)[0]
    assert np.isnan(found[0, :, :16, :16]).all()
    assert not np.isnan(found[1]).any()


def test_types_are_kept_and_integers_become_floats():
    quilt = NCYXQuilt(**SIZE)
    for dtype, wanted in [(np.float64, np.float64), (np.float16, np.float16), (np.uint8, np.float32)]:
        images = (IMAGES * 200).astype(dtype)
        found = quilt.stitch(quilt.unstitch(images))[0]
        assert found.dtype == wanted
        assert np.allclose(found, images, rtol=2e-3 if dtype is np.float16 else 1e-6)


def test_pairs_to_train_on_with_missing_labels():
    quilt, labels = NCYXQuilt(**SIZE), np.full((2, 50, 37), -1)
    labels[:, 20:30, 20:30] = 1
    images, targets = quilt.unstitch_data_pair(IMAGES, labels)
    assert (images.shape, targets.shape) == ((40, 3, 16, 16), (40, 16, 16))
    assert (targets == 1).sum() > 0
    images, masked = quilt.unstitch_data_pair(IMAGES, labels, missing_label=-1)
    border = np.asarray(quilt.border_tensor()) == 0
    assert (masked[:, border] == -1).all()
    assert np.array_equal(masked[:, ~border], targets[:, ~border])
    assert quilt.unstitch_data_pair(IMAGES, labels[:, None])[1].shape == (40, 1, 16, 16)
    for given_labels in (targets, masked, targets[:, None]):
        before = given_labels.copy()
        kept, known, removed = weed_sparse_classification_training_pairs_2D(
            images, given_labels, -1, quilt.border_tensor()
        )
        wanted = (targets[:, ~border] == 1).any(axis=1)
        assert np.array_equal(removed, ~wanted)
        assert np.array_equal(kept, images[wanted])
        assert (known.reshape(len(known), 16, 16)[:, border] == -1).all()
        assert np.array_equal(given_labels, before)


def test_pairs_in_three_dimensions():
    quilt = NCZYXQuilt(9, 11, 10, (4, 5, 6), (2, 3, 4), 1)
    volumes, labels = (
        np.random.default_rng(0).random((2, 1, 9, 11, 10)),
        np.full((2, 9, 11, 10), 255, np.uint8),
    )
    labels[0, 4, 5, 5] = 3
    pieces, targets = quilt.unstitch_data_pair(volumes, labels, missing_label=255)
    kept, known, removed = weed_sparse_classification_training_pairs_3D(
        pieces, targets, 255, quilt.border_tensor()
    )
    assert len(kept) == len(known) == (~removed).sum() > 0
    assert all((one == 3).any() for one in known)
    with pytest.raises(ValueError, match="take that of a quilt of 2 axes"):
        weed_sparse_classification_training_pairs_2D(pieces, targets, 255, quilt.border_tensor())


def test_where_patches_lie_can_be_returned_or_be_channels():
    quilt = NCYXQuilt(**SIZE)
    patches, where = quilt.unstitch(IMAGES, return_positions=True)
    assert where[:5].tolist() == [[0, 0], [0, 10], [0, 20], [0, 21], [10, 0]]
    assert quilt.unstitch(IMAGES, return_positions=True, include_n_position=True)[1][-1].tolist() == [
        1,
        34,
        21,
    ]
    options = {"add_positional_channels": True}
    plain = quilt.unstitch(IMAGES, **options, normalize_positions=False)
    assert np.array_equal(plain[:, :3], patches)
    assert plain[7, 3:, 0, 0].tolist() == [10, 21]
    assert plain[7, 3:, 15, 15].tolist() == [25, 36]
    assert quilt.unstitch(IMAGES, **options)[-1, 3:, 15, 15].tolist() == [1, 1]
    relative = quilt.unstitch(IMAGES, **options, position_mode="relative")
    assert (relative[:, 3:, 0, 0] == 0).all()
    assert (relative[:, 3:, 15, 15] == 1).all()
    found = quilt.unstitch_data_pair(IMAGES, IMAGES[:, 0], return_positions=True, **options)
    assert [one.shape for one in found] == [(40, 5, 16, 16), (40, 16, 16), (40, 2)]


def test_what_makes_no_sense_is_told():
    for options, says in [
        ({"border_weight": 2.0}, "not between 0 and 1"),
        ({"border": (1, 2, 3)}, "one for each of 2 axes"),
        ({"border": 8}, "leaves nothing"),
        ({"window": (60, 16)}, "does not fit into an image"),
        ({"step": (20, 10)}, "exceeds patch"),
    ]:
        with pytest.raises(ValueError, match=says):
            NCYXQuilt(**{**SIZE, **options})
    quilt = NCYXQuilt(**SIZE)
    with pytest.raises(ValueError, match=r"not \(N, C, 50, 37\)"):
        quilt.unstitch(IMAGES[:, :, :9])
    with pytest.raises(ValueError, match="do not go with"):
        quilt.unstitch_data_pair(IMAGES, IMAGES[0, 0])
    with pytest.raises(ValueError, match="cannot hold -1"):
        quilt.unstitch_data_pair(IMAGES, np.zeros((2, 50, 37), np.uint8), missing_label=-1)
    with pytest.raises(ValueError, match="patches have shape"):
        quilt.stitch([np.zeros((16, 16))])
    with pytest.raises(ValueError, match="neither absolute nor relative"):
        quilt.unstitch(IMAGES, add_positional_channels=True, position_mode="world")


@pytest.fixture
def noise():
    return np.random.default_rng(1).random((40, 3, 16, 16)).astype(np.float32)


def large(folder, **options):
    return LargeNCYXQuilt(folder / "maps", N=2, **{**SIZE, **options})


def test_a_large_quilt_makes_the_maps_of_one_in_memory_as_ome_zarr(tmp_path, noise):
    quilt = large(tmp_path)
    for count in range(quilt.N_chunks):
        index, patch = quilt.unstitch_next(IMAGES)
        assert (index, patch.shape) == (count, (3, 16, 16))
        quilt.stitch(noise[index][None], index)
    mean, std = quilt.return_mean(std=True)
    wanted, _ = NCYXQuilt(**SIZE).stitch(noise)
    assert np.allclose(mean, wanted, atol=1e-5)
    assert np.array_equal(quilt.return_mean(), mean)
    assert std.shape == mean.shape
    assert np.allclose(quilt.return_mean(normalize=True).sum(axis=1), 1, atol=1e-5)
    assert open_image(tmp_path / "maps_mean.zarr").info.names == "tcyx"
    assert large(tmp_path).return_mean().shape == mean.shape
    with pytest.raises(OutputError, match="exists"):
        large(tmp_path).stitch(noise[0], 0)


def test_variances_of_a_model_are_propagated(tmp_path):
    quilt = large(tmp_path)
    same = quilt.unstitch
    for index in range(quilt.N_chunks):
        quilt.stitch(same(IMAGES, index), index, patch_var=np.full((3, 16, 16), 4.0))
    assert np.allclose(quilt.return_mean(std=True)[1], 2, atol=1e-4)


def test_a_restart_goes_on_and_a_patch_that_comes_again_counts_once(tmp_path):
    size = {"Y": 1500, "X": 1400, "window": (800, 800), "step": (700, 600), "border": 3, "border_weight": 0.1}

    def made(name="maps", **options):
        return LargeNCYXQuilt(tmp_path / name, 3, **{**size, **options})

    def value(index, times=1):
        return np.full((1, 800, 800), index + times, np.float32)

    whole, first = made("whole"), made()
    for index in range(whole.N_chunks):
        whole.stitch(value(index), index)
    wanted = whole.return_mean(std=True)
    for index in range(11):
        first.stitch(value(index), index)
        first.stitch(value(index, 5), index)
    with pytest.raises(SeamlabelError, match=r"1 of 12 patches are missing: 11"):
        first.return_mean()
    first.close()
    with pytest.warns(UserWarning, match=r"goes on: 8 of 12 patches"):
        left = list(made().needed())
    assert left == list(range(8, 12))
    with pytest.raises(OutputError, match="another request"):
        list(made(border_weight=0.5).needed())
    again = made()
    with pytest.warns(UserWarning, match="goes on"), pytest.raises(SeamlabelError, match="4 of 12"):
        again.return_mean()
    for _ in left:
        index, _patch = again.unstitch_next(np.broadcast_to(np.float32(0), (3, 1, 1500, 1400)))
        again.stitch(value(index), index)
    assert all(map(np.array_equal, again.return_mean(std=True), wanted))
    with pytest.raises(OutputError, match="exists"):
        made().stitch(value(0), 0)
    anew = made(overwrite=True, step=(800, 800))
    for index in anew.needed():
        anew.stitch(np.zeros((1, 800, 800)), index)
    assert anew.return_mean().max() == 0


def test_threads_that_stitch_at_once_make_the_same_bits(tmp_path, noise):
    found = []
    for workers in (1, 4):
        quilt = LargeNCYXQuilt(tmp_path / str(workers), N=2, **SIZE)
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(lambda i, quilt=quilt: quilt.stitch(noise[i], i), range(40)))
        found.append(quilt.return_mean())
    assert np.array_equal(*found)


def test_a_large_quilt_of_volumes_and_its_pairs(tmp_path):
    volumes = np.random.default_rng(0).random((2, 2, 9, 11, 10)).astype(np.float32)
    quilt = LargeNCZYXQuilt(tmp_path / "volume", 2, 9, 11, 10, (4, 5, 6), (2, 3, 4), 1)
    for _ in range(quilt.N_chunks):
        index, patch, where = quilt.unstich_next(volumes, return_positions=True, include_n_position=True)
        assert where[0] == index // (quilt.N_chunks // 2)
        quilt.stitch(patch, index)
    assert np.allclose(quilt.return_mean(renormalize_channels=False), volumes, atol=1e-5)
    labels = np.full((2, 9, 11, 10), -1)
    assert quilt.unstitch_and_clean_sparse_data_pair(volumes, labels, -1) == ([], [])
    labels[1, 4, 5, 5] = 2
    pieces, targets = quilt.unstitch_and_clean_sparse_data_pair(volumes, labels, -1)
    assert len(pieces) == len(targets) > 0
    assert set(np.unique(targets)) == {-1, 2}
