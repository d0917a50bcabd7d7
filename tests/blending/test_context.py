"""Context channels against the whole volume padded by numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import seamlabel
from seamlabel.blending.blend import Blend
from seamlabel.blending.context import BOUNDARIES, Context, ContextChannels
from seamlabel.blending.padding import Padded
from seamlabel.blending.predicting import predict
from seamlabel.errors import SpecError
from seamlabel.geometry import Box
from seamlabel.patch_grid import PatchGrid

NUMPY = {"clamp": "edge", "zero": "constant", "reflect": "reflect", "wrap": "wrap"}
VOLUME = np.random.default_rng(0).integers(0, 4000, (9, 40, 50)).astype(np.uint16)

offsets = st.integers(-12, 12)
groups = st.lists(st.lists(offsets, min_size=1, max_size=4), min_size=1, max_size=2)
specs = st.fixed_dictionaries(
    {"identity": st.lists(offsets, min_size=1, max_size=4)},
    optional=dict.fromkeys(("mean", "std", "max", "min"), groups),
)


def expected(volume, spec, boundary):
    """Context channels of all planes of (c, z, y, x)."""
    reach = 12
    padded = np.pad(volume, [(0, 0), (reach, reach), (0, 0), (0, 0)], mode=NUMPY[boundary])
    shifted = {o: padded[:, reach + o : reach + o + volume.shape[1]] for o in range(-reach, reach + 1)}
    found = []
    for channel in range(len(volume)):
        for name, given_ in spec.items():
            for one in given_:
                planes = [shifted[o][channel] for o in ([one] if name == "identity" else one)]
                if name == "identity":
                    found.append(planes[0].astype(float))
                else:
                    found.append(getattr(np, name)(np.stack(planes).astype(float), axis=0))
    return np.stack(found)


@settings(max_examples=60)
@given(specs, st.sampled_from(BOUNDARIES), st.integers(1, 6), st.integers(1, 2), st.data())
def test_any_box_has_the_context_of_the_whole_volume(spec, boundary, depth, channels, data):
    volume = np.random.default_rng(1).integers(0, 255, (channels, depth, 7, 8)).astype(np.uint8)
    first = data.draw(st.integers(0, depth - 1))
    stop = data.draw(st.integers(first + 1, depth))
    box = Box((first, 2, 0), (stop, 6, 5))
    context = ContextChannels(volume, spec, boundary=boundary)
    found = context.read(box)
    assert np.allclose(found, expected(volume, spec, boundary)[(..., *box.slices)], rtol=1e-5, atol=1e-4)
    told = context.channels(channels)
    names = [(name, (o,) if name == "identity" else tuple(o)) for name, g in spec.items() for o in g]
    assert [tuple(one) for one in told] == [(n, o, c) for c in range(channels) for n, o in names]
    assert found.dtype == (np.uint8 if set(spec) == {"identity"} else np.float32)


def test_only_planes_that_are_needed_are_read_and_those_that_follow_one_another_at_once():
    read = []
    context = ContextChannels(
        lambda box: read.append(box.slices[0]) or VOLUME[box.slices],
        {"identity": [-1, 0, 1], "mean": [[4, 5]]},
        shape=VOLUME.shape,
        boundary="wrap",
    )
    context.read(Box((0, 0, 0), (1, 40, 50)))
    assert read == [slice(0, 2), slice(4, 6), slice(8, 9)]


def test_an_axis_is_named_or_counted():
    turned = np.moveaxis(VOLUME, 0, 1)
    box = Box((3, 4, 5), (6, 7, 8))
    spec = {"identity": [-2, 1], "max": [[0, 3]]}
    straight = ContextChannels(VOLUME, spec).read(Box((4, 3, 5), (7, 6, 8)))
    for axis in ("y", 1, -2):
        found = ContextChannels(turned, spec, axis=axis).read(box)
        assert np.array_equal(found, np.moveaxis(straight, 1, 2))


def test_a_2d_model_predicts_a_volume_plane_by_plane_with_context():
    spec = {"identity": [-1, 0], "mean": [[1, 2]]}
    grid = PatchGrid(VOLUME.shape, (1, 16, 16), (1, 12, 12), "pad", align=(1, 4, 4))
    padded = Padded(lambda box: VOLUME[box.slices], grid.shape, "reflect", grid.padding)
    context = ContextChannels(padded.read, spec, shape=grid.shape, z_slices=range(2, 7))
    out = np.full(VOLUME.shape, np.nan, np.float32)
    blend = Blend(grid, out, channels=1)
    list(predict(blend, context.read, lambda t: t[1] - t[0] + t[2], skip=context.skip, skipped=-1))
    a, b, c = expected(VOLUME[None], spec, "clamp").astype(np.float32)
    assert np.array_equal(out[2:7], (b - a + c)[2:7])
    assert (out[:2] == -1).all()
    assert (out[7:] == -1).all()


def model(tile):
    return tile.astype(np.float32).mean(0)


def test_blend_hands_a_2d_model_each_plane_with_its_context(tmp_path):
    spec = {"identity": [-1, 0, 1], "std": [[-2, 0, 2]]}
    for boundary in BOUNDARIES:
        found = seamlabel.blend(
            VOLUME, model, context=Context(spec, boundary=boundary), tile_shape=20, overlap=4, align=4
        )
        made = ContextChannels(VOLUME, spec, boundary=boundary).read(Box.whole(VOLUME.shape))
        assert np.array_equal(found.values, made.mean(0))
    films = np.stack([VOLUME, VOLUME[::-1]])
    many = seamlabel.blend(films, model, axes="tzyx", context=spec, tile_shape=20, overlap=4, batch=1)
    assert np.array_equal(many.values[0], seamlabel.blend(VOLUME, model, context=spec, tile_shape=50).values)
    along = seamlabel.blend(films, model, axes="tzyx", planes=True, context=Context(spec, axis="t"))
    assert along.values.shape == films.shape
    pair = seamlabel.blend(np.stack([VOLUME] * 2), lambda t: np.float32(t[4:7]), axes="czyx", channels=[0, 1],
                           context=spec, tile_shape=50)  # fmt: skip
    assert np.array_equal(pair.values[1], VOLUME)
    some = seamlabel.blend(VOLUME, model, context=Context(spec, z_slices=[3]), skipped=-1, tile_shape=50)
    assert (some.values[[0, 1, 2, 4]] == -1).all()
    assert some.values[3].min() > 0


@pytest.mark.parametrize(
    ("given_", "says"),
    [
        ({"median": [[1]]}, "none of identity"),
        ({"mean": [1, 2]}, "groups of whole numbers"),
        ({"identity": [[0]]}, "where it takes whole numbers"),
        ({"mean": [[]]}, "groups of whole numbers"),
        ({"identity": []}, "no context channels"),
    ],
)
def test_channels_that_cannot_be_are_told(given_, says):
    with pytest.raises(ValueError, match=says):
        Context(given_)


def test_what_does_not_fit_the_volume_is_told():
    spec = {"identity": [0]}
    for options, says in [
        ({"boundary": "mirror"}, "none of clamp"),
        ({"axis": "t"}, "none of a volume"),
        ({"axis": 3}, "none of a volume"),
        ({"z_slices": [8, 9]}, r"z_slices \[9\] are not among the volume's 9 planes"),
    ]:
        with pytest.raises(ValueError, match=says):
            ContextChannels(VOLUME, spec, **options)
    with pytest.raises(ValueError, match="shape is needed"):
        ContextChannels(lambda box: 0, spec)
    with pytest.raises(ValueError, match="read through Padded"):
        ContextChannels(VOLUME, spec).read(Box((0, -1, 0), (1, 2, 2)))
    for options, says in [
        ({"context": {"median": [0]}}, "none of identity"),
        ({"context": Context(spec, axis="x")}, "planes lie along"),
        ({"context": Context(spec, z_slices=[9])}, "not among the volume's 9 planes"),
        ({"context": Context(spec, axis="q")}, "no axis 'q'"),
    ]:
        with pytest.raises(SpecError, match=says):
            seamlabel.blend(VOLUME, model, **options)
    with pytest.raises(SpecError, match="no axis 'z'"):
        seamlabel.blend(VOLUME[0], model, context=spec)
