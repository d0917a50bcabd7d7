from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seamlabel.compat.patchly import Aggregator, GridSampler, SamplingMode
from seamlabel.errors import SeamlabelError

IMAGE = np.random.default_rng(0).random((50, 37, 3))
SIZES = {"spatial_size": (50, 37), "patch_size": (16, 16)}


def starts(sampler):
    return [sampler.get_bbox(i)[:, 0].tolist() for i in range(len(sampler))]


def test_both_generations_of_arguments_and_both_orders_are_the_same_patches():
    wanted = GridSampler(image=IMAGE, step_size=(10, 9), **SIZES)
    size, patch, step = (50, 37), (16, 16), (10, 9)
    for sampler in [
        GridSampler(image=IMAGE, patch_offset=(10, 9), **SIZES),
        GridSampler(size, patch, step, IMAGE),
        GridSampler(np.array(size), np.array(patch), np.array(step), IMAGE, True),
        GridSampler(size, patch, patch_offset=step, image=IMAGE),
        GridSampler(IMAGE, size, patch, step),
        GridSampler(IMAGE, size, patch, step, True, SamplingMode.SAMPLE_SQUEEZE),
        GridSampler(IMAGE, size, patch, step, None, True, SamplingMode.SAMPLE_SQUEEZE),
        GridSampler(IMAGE, spatial_size=size, patch_size=patch, step_size=step),
    ]:
        assert starts(sampler) == starts(wanted)
        assert all(np.array_equal(a[0], b[0]) for a, b in zip(sampler, wanted, strict=True))
    line = np.arange(40.0)
    assert starts(GridSampler(line, (40,), (8,))) == starts(GridSampler((40,), (8,), image=line))
    assert len(GridSampler(None, size, patch)) == len(GridSampler(size, patch)) == 12


@pytest.mark.parametrize(
    ("arguments", "options", "says"),
    [
        ((IMAGE, (50, 37), (16, 16)), {"image": IMAGE}, "got twice"),
        ((), {"spatial_size": (50, 37)}, "lacks patch_size"),
        ((), {**SIZES, "overlap": 3}, "does not know overlap"),
    ],
)
def test_arguments_that_are_wrong_are_told(arguments, options, says):
    with pytest.raises(TypeError, match=says):
        GridSampler(*arguments, **options)


def test_patches_lie_as_the_overview_says():
    def lines(mode, **options):
        sampler = GridSampler(spatial_size=(50,), patch_size=(16,), step_size=(10,), mode=mode, **options)
        return [tuple(bbox[0].tolist()) for bbox in sampler]

    regular = [(0, 16), (10, 26), (20, 36), (30, 46)]
    assert lines(SamplingMode.SAMPLE_EDGE) == [*regular, (34, 50)]
    assert lines(SamplingMode.SAMPLE_ADAPTIVE) == [*regular, (40, 50)]
    assert lines(SamplingMode.SAMPLE_CROP) == regular
    assert lines(SamplingMode.PAD_UNKNOWN) == [*regular, (40, 56)]
    squeezed = lines(SamplingMode.SAMPLE_SQUEEZE)
    assert (squeezed[0], squeezed[-1], len(squeezed)) == ((0, 16), (34, 50), 5)
    assert all(b - a == 16 for a, b in squeezed)


def test_an_image_is_read_patch_by_patch_whatever_it_is_and_padded_as_numpy_does():
    read = []

    class Stored:
        shape, dtype = IMAGE.shape, IMAGE.dtype

        def __getitem__(self, cut):
            read.append(IMAGE[cut].size)
            return IMAGE[cut]

    for patch, bbox in GridSampler(Stored(), (50, 37), (16, 16)):
        assert np.array_equal(patch, IMAGE[bbox[0, 0] : bbox[0, 1], bbox[1, 0] : bbox[1, 1]])
    assert max(read) <= 16 * 16 * 3
    padded = GridSampler(
        IMAGE, (50, 37), (16, 16), mode=SamplingMode.PAD_UNKNOWN, pad_kwargs={"mode": "edge"}
    )
    whole = np.pad(IMAGE, [(0, 14), (0, 11), (0, 0)], mode="edge")
    assert all(np.array_equal(p, whole[a[0] : a[1], b[0] : b[1]]) for p, (a, b) in padded)
    first = GridSampler(np.moveaxis(IMAGE, 2, 0), (50, 37), (16, 16), spatial_first=False)
    assert first[0][0].shape == (3, 16, 16)


def test_iteration_can_be_nested_and_a_sampler_sent_to_workers():
    sampler = pickle.loads(pickle.dumps(GridSampler(IMAGE, (50, 37), (16, 16))))
    assert [len(list(sampler)) for _ in sampler] == [12] * 12
    with pytest.raises(IndexError):
        sampler[12]


modes = st.sampled_from([m for m in SamplingMode if m is not SamplingMode.SAMPLE_CROP])


@settings(max_examples=30)
@given(modes, st.sampled_from(["avg", "gaussian"]), st.booleans(), st.data())
def test_patches_of_an_image_give_that_image(mode, weights, spatial_first, data):
    ndim = data.draw(st.integers(1, 3))
    shape = tuple(data.draw(st.integers(1, 20)) for _ in range(ndim))
    patch = tuple(data.draw(st.integers(1, 9)) for _ in range(ndim))
    step = tuple(data.draw(st.integers(-(-p // 2), p)) for p in patch)
    rest = data.draw(st.sampled_from([(), (2,), (2, 3)]))
    full = (*shape, *rest) if spatial_first else (*rest, *shape)
    image = np.random.default_rng(0).random(full).astype(np.float32)
    sampler = GridSampler(
        image, shape, patch, step, spatial_first=spatial_first, mode=mode, pad_kwargs={"mode": "edge"}
    )
    aggregator = Aggregator(sampler, full, weights=weights, spatial_first=spatial_first)
    for number in (
        data.draw(st.permutations(range(len(sampler)))) if len(sampler) < 60 else range(len(sampler))
    ):
        aggregator.append(*sampler[number])
    assert np.allclose(aggregator.get_output(), image, atol=1e-5)
    assert aggregator.get_output().dtype == np.float32


def test_batches_channel_first_out_of_a_channel_last_image():
    sampler = GridSampler(IMAGE, (50, 37), (16, 16), (10, 10))
    aggregator = Aggregator(sampler, (3, 50, 37), spatial_first=False, has_batch_dim=True)
    for first in range(0, len(sampler), 3):
        found = [sampler[i] for i in range(first, min(first + 3, len(sampler)))]
        aggregator.append(np.stack([p.transpose(2, 0, 1) for p, _ in found]), np.stack([b for _, b in found]))
    assert np.allclose(aggregator.get_output(), np.moveaxis(IMAGE, 2, 0), atol=1e-6)


def test_classes_are_written_chunk_by_chunk_and_never_as_scores():
    scores = np.random.default_rng(1).random((8, 50, 37)).astype(np.float32)
    sampler = GridSampler(scores, (50, 37), (16, 16), (8, 8), (20, 20), False)
    given_out = np.zeros((50, 37), np.uint8)
    for output in ({"output": given_out}, {"output_size": (8, 50, 37)}):
        aggregator = Aggregator(
            sampler=sampler, weights="gaussian", softmax_dim=0, spatial_first=False, **output
        )
        for patch, bbox in sampler:
            aggregator.append(patch, bbox)
        assert np.array_equal(aggregator.get_output(), scores.argmax(0))
    assert np.array_equal(given_out, scores.argmax(0))
    shapes = []
    aggregator = Aggregator(
        sampler,
        output=np.zeros((50, 37), np.uint8),
        spatial_first=False,
        chunk_postprocess_func=lambda chunk: shapes.append(chunk.shape) or chunk.argmax(0),
    )
    for patch, bbox in sampler:
        aggregator.append(patch, bbox)
    assert np.array_equal(aggregator.get_output(), scores.argmax(0))
    assert shapes[0] == (8, 20, 20)


def test_older_argument_order_of_the_aggregator():
    sampler = GridSampler((50, 37), (16, 16), (10, 10), IMAGE)
    for aggregator in [
        Aggregator(sampler, (50, 37, 3), None, (25, 20), "gaussian", None, False, True),
        Aggregator(sampler, (50, 37, 3), None, "gaussian", None, False, True, None),
    ]:
        for patch, bbox in sampler:
            aggregator.append(patch, bbox.ravel())
        assert np.allclose(aggregator.get_output(), IMAGE, atol=1e-6)


def test_gaussian_weights_do_not_turn_integers_into_zeros():
    sampler = GridSampler(IMAGE[..., 0], (50, 37), (16, 16), (5, 5))
    for dtype, value in [(np.uint8, 200.4), (np.int16, -3.6)]:
        aggregator = Aggregator(sampler, output=np.zeros((50, 37), dtype), weights="gaussian")
        for patch, bbox in sampler:
            aggregator.append(np.full(patch.shape, value, np.float32), bbox)
        assert (aggregator.get_output() == round(value)).all()


def test_a_uint8_map_of_more_than_256_overlaps_is_right():
    sampler = GridSampler(np.full(700, 7, np.uint8), (700,), (600,), (1,), mode=SamplingMode.SAMPLE_EDGE)
    output = np.zeros(700, np.uint8)
    aggregator = Aggregator(sampler, output=output)
    for patch, bbox in sampler:
        aggregator.append(patch, bbox)
    aggregator.get_output()
    assert (output == 7).all()


def test_patches_that_are_missing_are_an_error_not_zeros():
    sampler = GridSampler(IMAGE, (50, 37), (16, 16))
    for numbers in [range(0), [0, 1, 2, 4]]:
        aggregator = Aggregator(sampler, (50, 37, 3))
        for number in numbers:
            aggregator.append(*sampler[number])
        with pytest.raises(SeamlabelError, match=r"\d+ of 12 patches were not appended: "):
            aggregator.get_output()


def test_nan_is_not_turned_into_zero_and_what_no_patch_covers_is():
    sampler = GridSampler(IMAGE, (50, 37), (16, 16), mode=SamplingMode.SAMPLE_CROP)
    aggregator = Aggregator(sampler, (50, 37, 3))
    for patch, bbox in sampler:
        aggregator.append(np.where(patch > 0.5, np.nan, patch), bbox)
    found = aggregator.get_output()
    assert np.array_equal(np.isnan(found[:48, :32]), IMAGE[:48, :32] > 0.5)
    assert (found[48:] == 0).all()
    assert (found[:, 32:] == 0).all()


def test_a_patch_that_is_appended_twice_counts_once():
    sampler = GridSampler(IMAGE, (50, 37), (16, 16), (8, 8))
    aggregator, plain = (Aggregator(sampler, (50, 37, 3)) for _ in range(2))
    noise = np.random.default_rng(2)
    for patch, bbox in sampler:
        noisy = patch + noise.random(patch.shape)
        plain.append(noisy, bbox)
        for _ in range(3):
            aggregator.append(noisy, bbox)
    assert np.array_equal(aggregator.get_output(), plain.get_output())


def test_patches_appended_by_several_threads_make_the_same_bits():
    sampler = GridSampler(IMAGE, (50, 37), (16, 16), (4, 4))
    noise, found = np.random.default_rng(3).random((len(sampler), 16, 16, 3)), []
    for workers in (1, 4):
        aggregator = Aggregator(sampler, (50, 37, 3), weights="gaussian")
        with ThreadPoolExecutor(workers) as pool:
            numbers = range(len(sampler))
            list(pool.map(lambda i, a=aggregator: a.append(noise[i], sampler.get_bbox(i)), numbers))
        found.append(aggregator.get_output())
    assert np.array_equal(*found)


def test_a_model_may_write_all_its_answers_in_one_place():
    sampler = GridSampler(IMAGE, (50, 37), (16, 16), (8, 8))
    aggregator, place = Aggregator(sampler, (50, 37, 3)), np.empty((16, 16, 3))
    for number in reversed(range(len(sampler))):
        patch, bbox = sampler[number]
        place[:] = patch
        aggregator.append(place, bbox)
    assert np.allclose(aggregator.get_output(), IMAGE, atol=1e-6)


def test_weights_can_be_a_function_or_an_array_and_other_ones_are_refused():
    sampler = GridSampler(IMAGE, (50, 37), (16, 16), (8, 8))
    found = []
    for weights in ["gaussian", lambda size: np.outer(*map(np.hanning, size)) + 0.1, np.ones((16, 16))]:
        aggregator = Aggregator(sampler, (50, 37, 3), weights=weights)
        for patch, bbox in sampler:
            aggregator.append(patch, bbox)
        found.append(aggregator.get_output())
    assert all(np.allclose(one, IMAGE, atol=1e-5) for one in found)
    with pytest.raises(ValueError, match="none of avg, gaussian"):
        Aggregator(sampler, (50, 37, 3), weights="hat")


def test_what_does_not_fit_is_told_before_and_while_patches_come():
    with pytest.raises(ValueError, match="not that of the image"):
        GridSampler(IMAGE, (50, 37), (16, 16), spatial_first=False)
    with pytest.raises(ValueError, match="leaves no patch"):
        GridSampler(IMAGE, (50, 37), (60, 60), mode=SamplingMode.SAMPLE_CROP)
    sampler = GridSampler(IMAGE, (50, 37), (16, 16))
    for options, says in [
        ({}, "needs output_size"),
        ({"output_size": (3, 50, 37)}, "space axes must be"),
        ({"output": np.zeros((50, 37)), "output_size": (50, 37, 3)}, "not that of the output"),
    ]:
        with pytest.raises(ValueError, match=says):
            Aggregator(sampler, **options)
    aggregator = Aggregator(sampler, (50, 37, 3))
    patch, bbox = sampler[0]
    for wrong, place, says in [
        (patch, bbox + 1, "no patch at"),
        (patch[:9], bbox, "space axes must be"),
        (patch[..., :2], bbox, "beside their space axes"),
    ]:
        with pytest.raises(ValueError, match=says):
            aggregator.append(wrong, place)
