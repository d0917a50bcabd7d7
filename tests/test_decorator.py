"""Backends of one's own, made by `seamlabel.backend`."""

from __future__ import annotations

import pickle
import subprocess
import sys
from importlib.metadata import EntryPoint
from typing import Annotated

import cloudpickle
import numpy as np
import pytest
from scipy import ndimage

import seamlabel
from seamlabel import registry
from seamlabel.backends.pixels import reach
from seamlabel.engine.whole import whole_image_labels
from seamlabel.errors import BackendError, SpecError, UnfinishedError
from seamlabel.events import TileDone
from seamlabel.io.sources import image_info, open_source
from seamlabel.testing import Tissue, check_backend, same_partition

IMAGE = Tissue((160, 200), diameter=16).image()
ASKED = {"tile_shape": 64, "progress": False}


@seamlabel.backend("blur", title="Blur and cut", radius=lambda p: reach(p.sigma))
def blur(tile, sigma: Annotated[float, {"min": 0, "max": 9}] = 2.0, limit: float = 2400):
    """Cells that are bright after a blur."""
    return ndimage.label(
        ndimage.gaussian_filter(tile.astype("f4"), sigma) > limit, np.ones((3,) * tile.ndim)
    )[0]


@seamlabel.backend("counting", align=8, diameter=12)
class Counting:
    made: list = []  # noqa: RUF012

    def __init__(self, factor: float = 1.0, *, context):
        self.limit = factor * context.statistics(0).otsu()
        self.made.append(self)

    def __call__(self, tile):
        return ndimage.label(tile > self.limit)[0]


@pytest.fixture(autouse=True)
def own():
    before = dict(registry._registry)
    for made in (blur, Counting):
        registry.register(made.backend)
    yield
    registry._registry.clear()
    registry._registry.update(before)


def whole(result):
    source = open_source(IMAGE, image_info(IMAGE), 0, ())
    return whole_image_labels(result.plan, source)


def test_a_decorated_function_stays_a_function_and_is_a_backend():
    assert blur(IMAGE).max() > 10
    record = registry.backend("blur")
    assert (record.title, record.description) == ("Blur and cut", "Cells that are bright after a blur.")
    params, problems = record.parse({"sigma": 3})
    assert not problems
    assert (params.sigma, params.limit, params.radius) == (3.0, 2400, 12)
    check_backend("blur")
    check_backend("blur", {"sigma": 1}, axes="zyx")


@pytest.mark.parametrize("executor", ["serial", "threads", "processes", "dask"])
def test_it_runs_everywhere_with_the_overlap_that_its_radius_asks_for(executor):
    if executor == "dask":
        pytest.importorskip("distributed")
    asked = {**ASKED, "executor": executor, "workers": 2}
    result = seamlabel.segment(IMAGE, "blur", params={"sigma": 1.5}, **asked)
    assert result.plan.grid.overlap == (7, 7)
    assert same_partition(np.asarray(result.labels), whole(result))
    assert result.n_objects > 10


def test_a_class_is_made_once_per_thread_with_its_parameters_and_the_context():
    Counting.made.clear()
    result = seamlabel.segment(
        IMAGE, "counting", params={"factor": 1.2}, executor="threads", workers=2, **ASKED
    )
    assert 1 <= len(Counting.made) <= 3
    assert result.plan.grid.align == (8, 8)
    assert result.plan.grid.overlap == (18, 18)
    assert same_partition(np.asarray(result.labels), whole(result))


def test_parameters_are_checked_as_those_of_any_backend():
    with pytest.raises(SpecError, match=r"(?s)sigma: 12.* out of range.*limt"):
        seamlabel.segment(IMAGE, "blur", params={"sigma": 12, "limt": 1}, **ASKED)


def test_records_and_parameters_are_pickled_by_name():
    record = registry.backend("blur")
    params = record.parse({"sigma": 4})[0]
    for tool in (pickle, cloudpickle):
        other, same = tool.loads(tool.dumps((record, params)))
        assert other == record
        assert same == params


def test_an_entry_point_may_name_the_function(monkeypatch):
    point = EntryPoint("blur", f"{__name__}:blur", registry.GROUP)
    both = EntryPoint("both", f"{__name__}:SEVERAL", registry.GROUP)
    monkeypatch.setattr(registry, "_registry", {})
    assert "blur" not in registry.backends()
    monkeypatch.setattr(registry, "_installed", lambda _: (point,))
    assert registry.backend("blur") is blur.backend
    monkeypatch.setattr(registry, "_installed", lambda _: (both,))
    assert set(registry.backends()) == {"blur", "counting"}


SEVERAL = [blur, Counting.backend]

SCRIPT = """
import numpy as np, seamlabel
from scipy import ndimage
from seamlabel.testing import Tissue

@seamlabel.backend("mine", radius=lambda p: 3 * p.width)
def mine(tile, width: int = 2):
    return ndimage.label(ndimage.grey_opening(tile, (width, width)) > 1500)[0]

image = Tissue((160, 200), diameter=16).image()
for executor in ("threads", "processes", "processes"):
    result = seamlabel.segment(image, "mine", params={"width": 3}, tile_shape=64, executor=executor,
                               workers=2, progress=False)
    print(result.n_objects, result.plan.grid.overlap)
"""


def test_a_backend_of_a_script_reaches_other_processes(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    assert len(set(lines)) == 1
    assert lines[0].endswith("(10, 10)")


def test_a_name_that_means_something_to_the_engine_is_refused():
    with pytest.raises(BackendError, match="'disc' has a parameter radius") as caught:

        @seamlabel.backend("disc")
        def disc(tile, radius: int = 3):
            return tile

    assert "own_radius" in caught.value.hint
    with pytest.raises(BackendError, match="diameter"):
        seamlabel.backend("two", diameter=3)(lambda tile, diameter=3: tile)


def test_a_parameter_diameter_decides_on_the_overlap():
    @seamlabel.backend("sized")
    def sized(tile, diameter: float = 20):
        return ndimage.label(tile > 1500)[0]

    spec = seamlabel.RunSpec(backend="sized", params={"diameter": 10}, tile_shape=64)
    assert seamlabel.resolve(spec, image_info(IMAGE)).grid.overlap == (15, 15)


def test_a_run_does_not_go_on_with_other_code(tmp_path):
    image = str(tmp_path / "image.zarr")
    from seamlabel.api import sample

    sample(image, (200, 200))

    def stop(event):
        if isinstance(event, TileDone) and event.done == 2:
            raise KeyboardInterrupt

    def define(limit):
        source = f"def cells(tile):\n    return label(tile > {limit})[0]\n"
        space = {"label": ndimage.label, "__name__": "theirs"}
        exec(source, space)
        seamlabel.backend("edited")(space["cells"])

    define(1500)
    with pytest.raises(KeyboardInterrupt):
        seamlabel.segment(image, "edited", overlap=8, on_event=stop, **ASKED)
    define(1700)
    with pytest.raises(UnfinishedError, match="code of the method was edited"):
        seamlabel.segment(image, "edited", overlap=8, **ASKED)
    define(1500)
    assert seamlabel.segment(image, "edited", overlap=8, **ASKED).n_objects > 1


def test_a_function_that_is_handed_over_gets_the_context_too():
    def bright(tile, *, context):
        return ndimage.label(tile > context.statistics(0).otsu())[0]

    result = seamlabel.segment(IMAGE, bright, overlap=8, **ASKED)
    assert same_partition(np.asarray(result.labels) > 0, whole_otsu() < IMAGE)


def whole_otsu():
    from seamlabel.kernels.statistics import ImageStatistics

    return ImageStatistics.of(IMAGE).otsu()


def test_keywords_of_a_function_that_is_handed_over_are_checked_before_any_work():
    with pytest.raises(SpecError, match="'blur' has no such parameter"):
        seamlabel.segment(IMAGE, blur, params={"sigm": 2}, **ASKED)
