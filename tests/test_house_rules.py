from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import seamlabel

ROOT = Path(seamlabel.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
LINES_PER_FILE = 300
LINES_PER_FUNCTION = 40
HEAVY = {"qtpy", "PyQt6", "PySide6", "napari", "magicgui", "torch", "dask", "zarr", "pydantic", "skimage"}


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function from its `def`, its docstring left out."""
    lines = function.end_lineno - function.lineno + 1
    if ast.get_docstring(function) is not None:
        lines -= function.body[0].end_lineno - function.body[0].lineno + 1
    return lines


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_are_short(path):
    text = path.read_text()
    assert len(text.splitlines()) <= LINES_PER_FILE
    functions = [
        n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert {f.name: length(f) for f in functions if length(f) > LINES_PER_FUNCTION} == {}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_say_what_they_are_for(path):
    assert ast.get_docstring(ast.parse(path.read_text()))


def loaded_by(code: str) -> set[str]:
    """Top-level packages that a fresh interpreter has loaded after this code."""
    show = "import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    command = [sys.executable, "-c", f"{code}\n{show}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_heavy():
    assert loaded_by("import seamlabel") & HEAVY == set()
    assert "seamlabel" in loaded_by("import seamlabel")


def test_listing_backends_loads_nothing_that_they_need():
    assert loaded_by("import seamlabel; seamlabel.backends()") & (HEAVY | {"scipy"}) == set()


def test_planning_loads_no_viewer_and_no_storage():
    code = "import seamlabel; seamlabel.resolve; seamlabel.RunSpec"
    assert loaded_by(code) & (HEAVY - {"pydantic"}) == set()


def test_the_command_line_loads_no_viewer():
    code = "import seamlabel.cli, seamlabel.api"
    assert loaded_by(code) & {"qtpy", "PyQt6", "PySide6", "napari", "magicgui", "torch", "dask"} == set()


def test_at_most_fifteen_names_are_public():
    assert len(seamlabel.__all__) <= 15
