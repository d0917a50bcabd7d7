"""Digests of functions: the same in every process, another after every edit that counts."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import types

import numpy as np
import pytest

from seamlabel.codes import code_digest

MODULE = """
import functools
from dataclasses import dataclass
import numpy as np

SIGMAS = (1, 2)
KERNEL = np.ones(3)
LIMIT = 5
_model = None

def load():
    global _model
    _model = _model or [1]
    return _model

def first(x): return x + 1
def second(x): return x * 2
def a(x): return second(x)
def b(x): return first(x)

@functools.lru_cache
def cached(x): return x + 3

class Base:
    def help(self, x): return x - 4

@dataclass
class Settings:
    limit: float = 0.5

class Model(Base):
    weight = 6
    def __init__(self, limit, settings=None):
        self.limit, self.settings, self.calls, self.net = limit, settings or Settings(), 0, None
    def __call__(self, x):
        self.calls += 1
        self.net = self.net or object()
        return self.run(x) * self.weight
    def run(self, x): return self.help(x) > self.limit

def run(x, names=frozenset({"a", "b", "c"}), handlers={first: 1}):
    load()
    return a(x) + b(x) + cached(x) * SIGMAS[0] * KERNEL * LIMIT if x in {"p", "q", "r"} else Model(7)(x)
"""


def made(text=MODULE, name="digested"):
    module = types.ModuleType(name)
    module.__file__ = f"/nowhere/{name}.py"
    sys.modules[name] = module
    exec(compile(text, module.__file__, "exec"), vars(module))
    return module


EDITS = ["(1, 2)|(1, 3)", "np.ones(3)|np.zeros(3)", "LIMIT = 5|LIMIT = 6", "x + 1|x - 1", "x * 2|x * 3"]
EDITS += ["x + 3|x + 9", "x - 4|x - 5", "weight = 6|weight = 8", "> self.limit|< self.limit", '"q"|"s"']


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_of_anything_that_a_function_uses_is_noticed(edit):
    before, after = edit.split("|")
    assert MODULE.count(before) == 1
    assert code_digest(made().run) != code_digest(made(MODULE.replace(before, after)).run)


def test_comments_and_other_functions_do_not_count():
    other = MODULE.replace("def first(x)", "# a remark\n\ndef unused(): return 3\n\ndef first(x)")
    assert code_digest(made().run) == code_digest(made(other).run)


def test_a_helper_in_another_file_of_the_users_counts():
    texts = [
        "from helping import f\ndef run(x): return f(x)",
        "import helping\ndef run(x): return helping.f(x)",
    ]
    for text in texts:
        found = set()
        for number in (1, 2):
            made(f"def f(x): return x + {number}", "helping")
            found.add(code_digest(made(text).run))
        assert len(found) == 2


def of_parameters(module, values):
    return [
        functools.partial(module.run, names=values),
        functools.partial(module.run, names=[values]),
        functools.partial(module.run, names={"x": values}),
        module.Model(values),
        module.Model(values).run,
        module.Model(1, module.Settings(values)),
        (lambda x: lambda tile: tile > x)(values),
    ]


@pytest.mark.parametrize(
    ("one", "other"), [(1, 2), (np.float32(1), np.float32(2)), (np.ones(3), np.zeros(3))]
)
def test_other_parameters_and_settings_are_noticed(one, other):
    module = made()
    for first, same, second in zip(*(of_parameters(module, v) for v in (one, one, other)), strict=True):
        assert code_digest(first) == code_digest(same) != code_digest(second)


def test_what_code_changes_while_it_runs_does_not_count():
    module = made()
    count = 0

    def counting(tile):
        nonlocal count
        count += 1
        return module.load()

    model = module.Model(0.5)
    before = [code_digest(f) for f in (counting, module.run, model, model.run)]
    counting(0)
    model(3)
    assert before == [code_digest(f) for f in (counting, module.run, model, model.run)]


def test_a_digest_is_the_same_in_every_process(tmp_path):
    (tmp_path / "digested.py").write_text(MODULE)
    program = (
        "import digested, functools; from seamlabel.codes import code_digest as d\n"
        "from scipy import ndimage; import numpy as np\n"
        "for f in (digested.run, digested.Model(3), digested.Model(3).run, ndimage.label, np.add, len,\n"
        "          functools.partial(digested.run, names={digested.a: object(), 's': {'x', 'y', (1, 2)}})):\n"
        "    print(d(f))"
    )
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    found = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2", "77")
    }
    assert len(found) == 1
    assert len(found.pop().split()) == 7


def test_a_chain_of_a_thousand_functions_is_followed():
    text = "".join(f"def f{n}(x): return f{n + 1}(x)\n" for n in range(1000))
    one, other = (made(f"{text}def f1000(x): return {value}").f0 for value in (1, 2))
    first = code_digest(one)
    assert first != code_digest(other)
