"""Requests told as Python and as a command: what is told asks for the same."""

from __future__ import annotations

import inspect
import shlex
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import seamlabel
from seamlabel import MergeSpec, RunSpec, api, cli, commands
from seamlabel.errors import SpecError
from seamlabel.io.run_files import load_run_file, save_run_file
from seamlabel.retelling import as_command, as_python

text = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12)
words = st.one_of(
    text.filter(bool),
    st.sampled_from(["a b", "it's", 'say "x"', "$HOME", "7", "true", "[1]", "-x", "a,b", "null"]),
)
numbers = st.one_of(st.integers(-9, 999), st.floats(allow_nan=False, allow_infinity=False, width=32))
names = st.from_regex(r"[a-z][a-z_]{0,7}", fullmatch=True)
values = st.one_of(numbers, words, st.booleans(), st.none(), st.lists(numbers, max_size=3))
steps = st.lists(st.sampled_from(["expand=3", "shrink=0.5", "smooth=1.5 um"]), max_size=3, unique=True)
sizes = st.one_of(st.just("auto"), st.integers(1, 99), st.lists(st.integers(1, 99), min_size=2, max_size=3))
by_axis = st.dictionaries(st.sampled_from("zyx"), st.integers(0, 9), min_size=1)
spans = st.tuples(st.integers(0, 9), st.one_of(st.none(), st.integers(10, 20)))
boxes = st.lists(st.lists(spans, min_size=2, max_size=2), min_size=1, max_size=3)
paths = st.one_of(words, st.sampled_from(["/data/my image.zarr", "s3://b/x.zarr", "~/a.zarr"]))
voxels = st.one_of(st.integers(1, 999), st.sampled_from(["50 um2", "0.2 mm3"]))


def some(strategy, default=None):
    return st.one_of(st.just(default), strategy)


@st.composite
def methods(draw):
    if draw(st.booleans()):
        params = draw(st.dictionaries(names.filter(lambda n: n != "target"), values, max_size=3))
        return {"backend": draw(st.sampled_from(["threshold", "watershed", "other"])), "params": params}
    keywords = draw(
        st.dictionaries(st.one_of(names, st.sampled_from(["target", "keywords"])), values, max_size=2)
    )
    params = {"target": draw(st.sampled_from(["mine.py:fn", "/a b/it's.py:fn", "pkg.mod:fn"]))}
    return {"backend": "function", "params": {**params, **({"keywords": keywords} if keywords else {})}}


@st.composite
def merges(draw):
    rule = draw(st.sampled_from(["iou", "touching", "face", "my rule.py:fn"]))
    iou = draw(st.sampled_from([0.2, 0.5, 1 / 3])) if rule in ("iou", "face") else 0.2
    return MergeSpec(
        rule=rule, iou=iou, connectivity=draw(some(st.integers(1, 3))), z_link=draw(some(st.just(0.3)))
    )


@st.composite
def specs(draw):
    optional = {
        "level": some(st.integers(0, 3), 0),
        "channels": some(st.lists(st.one_of(words, st.integers(0, 9)), min_size=1, max_size=3)),
        "tile_shape": sizes,
        "overlap": st.one_of(sizes, st.just(0), by_axis),
        "region": some(boxes),
        "planes": st.booleans(),
        "min_size": some(voxels, 0),
        "max_size": some(voxels),
        "drop_border": st.booleans(),
        "fill_holes": st.booleans(),
        "steps": steps,
        "output": some(paths),
        "table": some(words.map(lambda word: f"{word}.csv")),
        "name": some(st.sampled_from(["cells", "a-b.c"]), "labels"),
        "overwrite": st.booleans(),
        "skip_empty": some(st.one_of(st.floats(-9, 9), st.sampled_from(["otsu", "my mask.zarr"]))),
        "skip_level": some(st.integers(1, 3)),
        "executor": st.sampled_from(["auto", "serial", "threads", "processes", "dask"]),
        "scheduler": some(st.just("tcp://host:8786")),
        "workers": some(st.integers(1, 9)),
        "retries": st.integers(0, 3),
        "timeout": some(st.sampled_from([0.5, 30.0])),
    }  # fmt: skip
    chosen = draw(st.lists(st.sampled_from(sorted(optional)), unique=True, max_size=8))
    fields = {name: draw(optional[name]) for name in chosen}
    return RunSpec(image=draw(paths), merge=draw(merges()), **draw(methods()), **fields)


def parsed(command):
    """Return the request that the real command line makes of a command."""
    program, *argv = shlex.split(command)
    assert program == "seamlabel"
    return commands._spec(cli._parser().parse_args(cli._values_joined(argv)))


def called(code):
    """Return the request that the real function makes of its arguments."""
    calls = []
    stub = SimpleNamespace(segment=lambda *a, **k: calls.append((a, k)), MergeSpec=MergeSpec)
    lines = code.splitlines()
    assert lines.pop(0) == "import seamlabel"
    space = {"seamlabel": stub}
    exec("\n".join(lines), space)
    ((args, kwargs),) = calls
    bound = inspect.signature(api.segment).bind(*args, **kwargs)
    bound.apply_defaults()
    bound.arguments["table"] = api.table_field(bound.arguments["table"])
    wishes, _ = api._wishes(bound.arguments, SimpleNamespace(by_planes=lambda: None))
    image = bound.arguments["image"]
    return RunSpec(**{**wishes, "image": image if isinstance(image, str) else None})


def alike(spec):
    """Return a request with channels as they are typed: a number that is no name is found all the same."""
    typed = spec.channels and tuple(map(str, spec.channels))
    return spec.replace(channels=typed).model_dump()


@given(specs())
@example(RunSpec(image="x.zarr", skip_empty=-5.0, output="-o.zarr", channels=["a,b", 0], params={"a": "-1"}))
@example(RunSpec(image="x.zarr", channels=["[a"], params={"a": " b ", "c": '"', "d": {"e": (1, "f")}}))
def test_the_command_that_is_told_asks_for_the_same(spec):
    wanted = spec
    if spec.image.startswith("-"):
        wanted = spec.replace(image=f"./{spec.image}")
    assert alike(parsed(as_command(spec))) == alike(wanted)


@given(specs())
@example(
    RunSpec(
        image="x.zarr", params={"a": float("inf"), "b": "tab\there", "c": "µ", "d": (1,)}, sequential=False
    )
)
def test_the_python_that_is_told_asks_for_the_same(spec):
    assert called(as_python(spec)).model_dump() == spec.model_dump()


def test_only_what_differs_is_told():
    spec = RunSpec(image="/data/my image.zarr")
    assert as_command(spec) == "seamlabel segment '/data/my image.zarr'"
    assert as_python(spec) == 'import seamlabel\n\nresult = seamlabel.segment("/data/my image.zarr")\n'
    spec = RunSpec(
        image="a.zarr", backend="watershed", params={"diameter": 24}, merge={"iou": 0.4},
        overlap={"y": 8, "x": 8}, region=((0, 512), (256, None)), min_size="50 um2", drop_border=True,
        name="cells",
    )  # fmt: skip
    assert as_command(spec) == (
        "seamlabel segment a.zarr --backend watershed --set diameter=24 --overlap y=8,x=8 "
        "--min-size '50 um2' --drop-border --name cells --region :512,256: --iou 0.4"
    )
    assert as_python(spec).splitlines() == [
        "import seamlabel",
        "",
        "result = seamlabel.segment(",
        '    "a.zarr",',
        '    "watershed",',
        '    params={"diameter": 24},',
        '    overlap={"y": 8, "x": 8},',
        "    region=(((0, 512), (256, None)),),",
        "    merge=seamlabel.MergeSpec(iou=0.4),",
        '    min_size="50 um2",',
        "    drop_border=True,",
        '    name="cells",',
        ")",
    ]


def test_arrays_are_named_in_python_and_impossible_in_a_command():
    spec = RunSpec(tile_shape=64, skip_empty="mask")
    code = as_python(spec, "pixels", axes="cyx")
    assert "pixels = ...  # the array\nmask = ...  # the array to skip by\n" in code
    assert 'seamlabel.segment(pixels, axes="cyx", tile_shape=64, skip_empty=mask)' in code
    with pytest.raises(SpecError) as error:
        as_command(spec)
    assert [problem.field for problem in error.value.problems] == ["image", "skip_empty"]
    assert "array in memory" in str(error.value)


def test_what_is_told_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["sample", "my image.zarr", "--shape", "200,180"]) == 0
    spec = RunSpec(
        image="my image.zarr", params={"smoothing": 2.5}, tile_shape=64, region=((0, 99), (0, None))
    )
    space = {}
    exec(as_python(spec.replace(name="one")), space)
    assert cli.main(shlex.split(as_command(spec.replace(name="two")))[1:]) == 0
    two = seamlabel.segment("my image.zarr", name="three", **{"params": spec.params}, tile_shape=64,
                            region=spec.region, progress=False)  # fmt: skip
    assert space["result"].n_objects == two.n_objects > 2
    assert np.array_equal(np.asarray(space["result"].labels), np.asarray(two.labels))


def test_run_files_are_read_as_they_were_written(tmp_path):
    spec = RunSpec(image="my image.zarr", region=[((0, 9), (3, None))], params={"a": "é"})
    save_run_file(tmp_path / "run.json", spec)
    assert load_run_file(tmp_path / "run.json") == spec
    (tmp_path / "no.json").write_bytes(b"\xff")
    for name, says in (("no.json", "it is no text"), ("none.json", "No such file"), (".", "cannot read")):
        with pytest.raises(SpecError, match=says):
            load_run_file(tmp_path / name)
