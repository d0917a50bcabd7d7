"""`seamlabel blend` as it is typed, against `seamlabel.blend`."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import seamlabel
from seamlabel.blending.context import BOUNDARIES, OPERATIONS, Context
from seamlabel.cli import main
from seamlabel.context_option import EXAMPLE, parsed
from seamlabel.io.ngff.images import write_image
from seamlabel.io.sources import open_labels

VOLUME = np.random.default_rng(0).integers(0, 200, (7, 40, 50)).astype(np.uint8)
CODE = """
import numpy as np

calls = []


def planes(tile):
    return tile.astype(np.float32).sum(0) + 1000 * len(tile)


def unsure(tile):
    return tile.astype(np.float32), np.full(tile.shape, 4, np.float32)


def many(tiles):
    assert tiles.shape[0] <= 3 and tiles.ndim == 4
    return tiles.astype(np.float32)


def flaky(tile):
    calls.append(1)
    if len(calls) % 4:
        raise RuntimeError("now and then")
    return tile.astype(np.float32)
"""


@pytest.fixture
def typed(tmp_path):
    """Return what runs the command on a volume, and what the map then is."""
    write_image(tmp_path / "v.zarr", VOLUME.shape, "uint8", lambda b: VOLUME[b.slices], axes="zyx")
    (tmp_path / "f.py").write_text(CODE)

    def run(function, *options):
        out = tmp_path / "map.zarr"
        image, function = str(tmp_path / "v.zarr"), f"{tmp_path / 'f.py'}:{function}"
        code = main(["blend", image, str(out), "--function", function, "--quiet", "--overwrite", *options])
        return np.asarray(open_labels(out)[0]) if code == 0 else code

    return run


def planes(tile):
    return tile.astype(np.float32).sum(0) + 1000 * len(tile)


@pytest.mark.parametrize("text", [EXAMPLE, json.dumps({"identity": [-1, 0, 1], "mean": [[-3, -2], [2, 3]]})])
def test_planes_around_are_typed_as_a_list_or_as_json(typed, text):
    spec = {"identity": [-1, 0, 1], "mean": [[-3, -2], [2, 3]]}
    expected = seamlabel.blend(VOLUME, planes, context=spec, tile_shape=20, overlap=4).values
    assert np.array_equal(typed("planes", "--context", text, "--tile", "20", "--overlap", "4"), expected)


def test_what_lies_beyond_and_which_planes_are_predicted_is_typed_too(typed):
    for boundary in BOUNDARIES:
        context = Context({"identity": [-2, 2]}, boundary=boundary, z_slices=range(1, 6))
        expected = seamlabel.blend(VOLUME, planes, context=context, skipped=-1, tile_shape=50).values
        found = typed(
            "planes", "--context", "identity=-2,2", "--boundary", boundary, "--z-slices", "1:6",
            "--skipped", "-1", "--tile", "50",
        )  # fmt: skip
        assert np.array_equal(found, expected)
    some = typed("planes", "--context", "identity=0", "--z-slices", "3,5", "--skipped", "7")
    assert (some[[0, 1, 2, 4, 6]] == 7).all()
    assert some[[3, 5]].min() >= 1000


offsets = st.integers(-20, 20)
groups = st.lists(st.lists(offsets, min_size=1, max_size=4), min_size=1, max_size=3)


@given(st.dictionaries(st.sampled_from(OPERATIONS[1:]), groups), st.lists(offsets, min_size=1))
def test_any_planes_are_read_as_they_are_written(spec, single):
    spec = {**spec, "identity": single}
    text = ";".join(f"{name}={str(value)[1:-1]}" for name, value in spec.items())
    assert parsed(text) == parsed(json.dumps(spec)) == spec
    assert list(parsed(text)) == list(spec)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("identity=-1,a,1", "--context: not understood, at character 13: identity=-1, >>> a,1"),
        ("identity=1;mean=[-3,-2", "at character 23: identity=1;mean=[-3,-2 >>>"),
        ("identity", "'identity' has no '=', at character 1"),
        ('{"identity": [1', "not understood, at character 16"),
        ('{"identity": 1}', "'identity' has no list, at character 3"),
        ("mean=2,3", "--context: context 'mean' has 2 where it takes groups of whole numbers"),
        ("identity=0.5", "has 0.5 where it takes whole numbers"),
        ("median=[1]", "context 'median' is none of identity, mean, std, max, min"),
        ("", "no context channels"),
    ],
)
def test_what_is_typed_wrong_is_told_with_its_place_and_an_example(typed, capsys, text, says):
    assert typed("planes", "--context", text) == 2
    told = capsys.readouterr().err
    assert says in told
    assert f'--context "{EXAMPLE}"' in told


def test_other_options_that_are_wrong_are_told_as_typed(typed, capsys):
    for options, says in [
        (("--z-slices", "1:2"), "--z-slices: is of no use without --context"),
        (("--context", "identity=0", "--z-slices", "1:"), "--z-slices: '1:' is not understood"),
        (("--context", "identity=0", "--z-slices", "9:12"), "not among the volume's 7 planes"),
        (("--padding", "mirror"), "--padding: padding 'mirror' is none of"),
        (("--dtype", "float23"), "--dtype: there are no maps of 'float23'"),
        (("--retries", "-1"), "--retries: "),
        (("--batch", "0"), "--batch: 0 tiles"),
    ]:
        assert typed("planes", *options) == 2
        assert says in capsys.readouterr().err


def test_maps_of_what_a_model_is_unsure_of(typed, tmp_path, capsys):
    found = typed(
        "unsure", "--sigma", "--disagreement", "--weights", "hann", "--tile", "20", "--overlap", "4"
    )
    assert np.allclose(found, VOLUME, atol=1e-3)
    assert np.allclose(np.asarray(open_labels(tmp_path / "map-sigma.zarr")[0]), 2, atol=1e-2)
    assert np.abs(np.asarray(open_labels(tmp_path / "map-disagreement.zarr")[0])).max() < 0.1
    assert "sigma: " in capsys.readouterr().out


def test_batches_retries_and_edges(typed, capsys):
    ask = ("--tile", "7,16,16", "--overlap", "2")
    for edge in ("snap", "even", "pad"):
        assert np.array_equal(typed("many", *ask, "--batch", "3", "--edge", edge), VOLUME)
    assert typed("many", *ask, "--batch", "3", "--edge", "shrink") == 1  # of several shapes
    capsys.readouterr()
    assert np.array_equal(typed("flaky", *ask, "--retries", "3", "--workers", "1"), VOLUME)
    assert typed("flaky", *ask, "--retries", "2", "--workers", "1") == 1
    assert "tile 0: RuntimeError: now and then" in capsys.readouterr().err


def test_help_tells_how_planes_are_typed(capsys):
    with pytest.raises(SystemExit):
        main(["blend", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert EXAMPLE in told
    for option in ("--boundary", "--z-slices", "--skipped", "--sigma", "--edge", "--batch", "--retries"):
        assert option in told
