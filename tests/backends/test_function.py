from __future__ import annotations

import numpy as np
import pytest

import seamlabel
from seamlabel.backends.function import FunctionParams, make
from seamlabel.errors import BackendError, SpecError, TileError
from seamlabel.protocols import SegmentContext
from seamlabel.registry import backend
from seamlabel.testing import Tissue

CONTEXT = SegmentContext("yx", "uint8")
SOURCE = """
from __future__ import annotations
from dataclasses import dataclass

@dataclass
class Settings:
    limit: int = 3

NUMBER = 5

def bright(image, limit=Settings().limit):
    return (image > limit).astype("int32")
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(SOURCE)
    return path


def made(target, **keywords):
    return make(FunctionParams(str(target), keywords), CONTEXT)


def test_a_function_in_a_file_is_found_by_its_path(script):
    image = np.array([[1, 4, 9]], np.uint8)
    assert made(f"{script}:bright")(image).tolist() == [[0, 1, 1]]
    assert made(f"{script}:bright", limit=5)(image).tolist() == [[0, 0, 1]]


def test_a_relative_path_is_taken_from_the_working_directory(script, monkeypatch):
    monkeypatch.chdir(script.parent)
    assert made("mine.py:bright")(np.array([4])).tolist() == [1]


def test_a_function_in_a_module_is_found_by_its_name():
    assert made("scipy.special:expit")(0.0) == 0.5


def test_an_edited_file_counts_at_once(script):
    before = made(f"{script}:bright")
    script.write_text("def bright(image):\n    return image * 0\n")
    assert made(f"{script}:bright")(np.array([4])).tolist() == [0]
    assert before(np.array([4])).tolist() == [1]


@pytest.mark.parametrize(
    ("target", "reason", "hint"),
    [
        ("{}:dark", "has no function 'dark'", "bright"),
        ("{}:NUMBER", "type int and cannot be called", "function"),
        ("{}.py:bright", "there is no file", "path"),
        ("no_such_module_here:f", "module no_such_module_here cannot be imported", "no_such_module_here.py"),
        ("scipy.special:expid", "has no function 'expid'", "expit"),
    ],
)
def test_what_cannot_be_found_is_named(script, target, reason, hint):
    with pytest.raises(BackendError, match=reason) as caught:
        made(target.format(script))
    assert hint in caught.value.hint


@pytest.mark.parametrize("source", ["def f(:\n", "import no_such_module_here\n", "x = y\n"])
def test_a_file_that_cannot_be_loaded_says_why(tmp_path, source):
    path = tmp_path / "broken.py"
    path.write_text(source)
    with pytest.raises(BackendError, match=r"cannot be loaded: (Syntax|ModuleNotFound|Name)Error"):
        made(f"{path}:f")


@pytest.mark.parametrize("target", ["", "f", "module:", ":f", "a.py:not a name"])
def test_a_target_of_another_form_is_a_problem_before_anything_runs(target):
    params, problems = backend("function").parse({"target": target})
    assert params is None
    assert "module:function" in str(problems[0])


def test_keywords_are_a_dict_in_run_files_and_not_in_forms():
    params, problems = backend("function").parse({"target": "a:b", "keywords": {"limit": 2}})
    assert not problems
    assert params.keywords == {"limit": 2}
    assert hash(params) == hash(FunctionParams("a:b", {}))
    assert backend("function").parse({"target": "a:b", "keywords": "limit"})[0] is None


TYPED = """
import statistics
from scipy import ndimage

def cells(tile, sigma: float = 2.0, n: int = 3, *, context):
    return ndimage.label(tile > context.statistics(0).otsu() + 0 * sigma)[0]

def mean_of_nothing(tile):
    return statistics.mean([])
"""


def test_keywords_are_checked_when_it_is_made_and_context_is_given(tmp_path):
    path = tmp_path / "typed.py"
    path.write_text(TYPED)
    with pytest.raises(SpecError, match=r"params.sigam.*Did you mean 'sigma'"):
        made(f"{path}:cells", sigam=2)
    with pytest.raises(SpecError, match=r"params.n: 'x' is not of type int"):
        made(f"{path}:cells", n="x")
    image = Tissue((60, 60), diameter=16).image()
    result = seamlabel.segment(
        image, "function", params={"target": f"{path}:cells", "keywords": {"n": "4"}}, progress=False
    )
    assert result.n_objects > 0


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_an_error_of_theirs_names_their_file_and_line_even_if_python_itself_raised_it(tmp_path, executor):
    path = tmp_path / "typed.py"
    path.write_text(TYPED)
    image = np.ones((20, 20), np.uint8)
    with pytest.raises(TileError, match=r"StatisticsError: .* \(typed.py, line 9\)"):
        seamlabel.segment(
            image,
            "function",
            params={"target": f"{path}:mean_of_nothing"},
            executor=executor,
            workers=1,
            retries=0,
            progress=False,
        )


@pytest.mark.parametrize("line", ["raise RuntimeError('no')", "import sys; sys.exit(3)", "1 / 0", "{}['a']"])
def test_a_file_whatever_it_raises_says_why_and_where(tmp_path, line):
    path = tmp_path / "broken.py"
    path.write_text(f"x = 1\n\n{line}\n")
    with pytest.raises(BackendError, match=r"cannot be loaded: \w+: .*\(broken.py, line 3\)"):
        made(f"{path}:f")
