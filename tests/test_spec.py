import numpy as np
import pytest

from seamlabel import MergeSpec, RunSpec, SpecError


def test_a_spec_survives_json():
    spec = RunSpec(
        image="a.zarr",
        backend="watershed",
        params={"diameter": 20.0},
        channels=["DAPI", 1],
        tile_shape=(32, 512, 512),
        overlap={"y": 16, "x": 16},
        merge=MergeSpec(rule="mine.py:rule", connectivity=1, z_link=0.3),
        skip_empty="otsu",
        skip_level=2,
        planes=True,
        min_size="50 um2",
        max_size=900,
        drop_border=True,
    )
    assert RunSpec.from_json(spec.to_json()) == spec


def test_a_spec_cannot_be_changed_but_replaced():
    spec = RunSpec()
    with pytest.raises(Exception, match="frozen"):
        spec.level = 2
    assert spec.replace(level=2).level == 2


@pytest.mark.parametrize(
    ("fields", "field", "says"),
    [
        ({"overlap": -1}, "overlap", "-1 is below 0"),
        ({"overlap": (4, -2)}, "overlap", "-2 is below 0"),
        ({"tile_shape": 0}, "tile_shape", "1 or more"),
        ({"tile_shape": "big"}, "tile_shape", "'auto'"),
        ({"merge": "glue"}, "merge.rule", "not one of 'iou'"),
        ({"merge": {"iou": 1.5}}, "merge.iou", "1.5 is above 1"),
        ({"name": "../up"}, "name", "letters"),
        ({"name": ".hidden"}, "name", "letters"),
        ({"executor": "cloud"}, "executor", "'threads'"),
        ({"workers": 0}, "workers", "0 is below 1"),
        ({"skip_empty": float("nan")}, "skip_empty", "finite"),
        ({"skip_empty": ""}, "skip_empty", "path of a mask"),
        ({"min_size": "50 furlongs"}, "min_size", "'furlongs' is not a unit of length"),
        ({"min_size": "much"}, "min_size", "a size such as"),
        ({"min_size": "-3"}, "min_size", "-3 is below 0"),
        ({"max_size": 0}, "max_size", "0 is below 1"),
        ({"skip_level": 0}, "skip_level", "coarser"),
        ({"merge": {"z_link": 0}}, "merge.z_link", "0 is not above 0"),
        ({"name": "zarr.json"}, "name", "taken"),
        ({"name": "n" * 101}, "name", "100"),
        ({"channels": True}, "channels", "channel names or numbers"),
        ({"tilesize": 5}, "tilesize", "Known fields"),
    ],
)
def test_wrong_values_are_named_with_what_to_do(fields, field, says):
    with pytest.raises(SpecError) as caught:
        RunSpec(**fields)
    (problem,) = caught.value.problems
    assert problem.field == field
    assert says in str(problem)


def test_all_wrong_fields_are_told_at_once():
    with pytest.raises(SpecError) as caught:
        RunSpec(overlap=-1, tile_shape=0, level=-2)
    assert {p.field for p in caught.value.problems} == {"overlap", "tile_shape", "level"}


@pytest.mark.parametrize("text", ["{", "[1]", '{"nope": 1}', '{"overlap": -3}'])
def test_a_run_file_that_is_none_is_refused(text):
    with pytest.raises(SpecError):
        RunSpec.from_json(text)


def test_numbers_are_taken_as_text_too():
    spec = RunSpec(min_size="20", max_size=np.int64(90), skip_empty="1.5", merge="package.module:rule")
    assert (spec.min_size, spec.max_size, spec.skip_empty) == (20, 90, 1.5)
    assert spec.merge.custom
    assert RunSpec(skip_empty="mask.zarr").skip_empty == "mask.zarr"


def test_numpy_numbers_are_taken():
    spec = RunSpec(params={"value": np.float32(600), "list": np.arange(2)}, channels=np.int64(1))
    assert RunSpec.from_json(spec.to_json()) == spec.replace(params={"value": 600.0, "list": [0, 1]})
    assert spec.channels == (1,)
    spec = RunSpec(tile_shape=np.array([8, 9]), overlap=(np.int64(3), np.int64(4)))
    assert (spec.tile_shape, spec.overlap) == ((8, 9), (3, 4))
