"""The arguments of a function of one's own as rows of the form, with real clicks and keys."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from tests.napari.looks import faults

SOURCE = '''
from typing import Annotated, Literal
from pathlib import Path
import scipy.ndimage

Path(__file__).with_suffix(".ran").touch()

def cells(
    tile,
    sigma: float = 2.0,
    invert: bool = False,
    mode: Literal["above", "below"] = "above",
    n: Annotated[int, {"min": 0, "max": 9, "unit": "px", "tooltip": "Least width"}] = 3,
    limit=1800,
    fine: float = 0.0005,
    note: str | None = None,
    table=(1, 2),
):
    """Find cells.

    Parameters
    ----------
    sigma : float
        Width of the blur.
    """
    return scipy.ndimage.label(scipy.ndimage.gaussian_filter(tile.astype("f4"), sigma) > limit)[0]

def plain(tile):
    return scipy.ndimage.label(tile > 2000)[0]

def like(tile, sigma: float = 5.0, other: int = 1):
    return plain(tile)
'''
DEFAULTS = {
    "sigma": 2.0, "invert": False, "mode": "above", "n": 3, "limit": 1800, "fine": 0.0005, "note": "",
}  # fmt: skip


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(SOURCE)
    return path


@pytest.fixture
def form(dock, pixels):
    dock.add(pixels)
    combo = dock.form.method.combo
    combo.setCurrentIndex(combo.findData("function"))
    return dock.form.method


def name(dock, target):
    """Type the name of a function, and wait until it is loaded or could not be."""
    method = dock.form.method
    dock.type(method.params.widget("target"), str(target))
    dock.qtbot.waitUntil(lambda: method.arguments.note.text() != "Loading…", timeout=10000)
    dock.qtbot.wait(10)


def test_arguments_appear_as_rows_when_a_function_is_named(dock, form, file):
    name(dock, f"{file}:cells")
    rows = form.arguments.form
    assert form.values()["params"] == {"target": f"{file}:cells", "keywords": DEFAULTS}
    assert (rows.widget("n").minimum(), rows.widget("n").maximum()) == (0, 9)
    assert rows.widget("n").toolTip() == "Least width, in px"
    assert rows.widget("sigma").toolTip() == "Width of the blur"
    assert "table" not in rows.value()


def test_what_is_entered_is_what_the_function_gets(dock, form, file):
    name(dock, f"{file}:cells")
    rows = form.arguments.form
    dock.type(rows.widget("limit").lineEdit(), "2400")
    dock.type(rows.widget("sigma").lineEdit(), "0.75")
    dock.ready()
    spec = dock.form.value()
    assert spec.params["keywords"] == {**DEFAULTS, "limit": 2400, "sigma": 0.75}
    dock.click(dock.bar.run_button)
    dock.wait_end()
    from seamlabel.functions import load_function

    whole = load_function(f"{file}:cells", purpose="")(dock.viewer.layers[0].data, sigma=0.75, limit=2400)
    labels = next(layer for layer in dock.viewer.layers if type(layer).__name__ == "Labels")
    assert np.array_equal(np.asarray(labels.data[0] if labels.multiscale else labels.data) > 0, whole > 0)


def test_a_name_that_was_kept_is_not_loaded_until_the_user_asks(dock, form, file):
    ran = file.with_suffix(".ran")
    kept = {"target": f"{file}:cells", "keywords": {"sigma": 4.0}}
    form.set_values("function", kept)
    form.changed.emit()
    dock.ready()
    line = form.params.widget("target")
    line.setFocus()
    dock.qtbot.keyClick(line, Qt.Key.Key_Tab)
    assert not ran.exists()
    assert form.values()["params"] == kept
    assert form.arguments.note.text() == "With sigma = 4.0. Load it to change them."
    dock.click(form.arguments._button)
    dock.qtbot.waitUntil(lambda: form.arguments.form is not None, timeout=10000)
    assert ran.exists()
    assert form.values()["params"]["keywords"] == {**DEFAULTS, "sigma": 4.0}


def test_why_it_cannot_be_loaded_is_said_at_the_name(dock, form, file):
    file.write_text("x = 1\nraise RuntimeError('not today')\n")
    name(dock, f"{file}:cells")
    dock.qtbot.waitUntil(lambda: "not today (mine.py, line 2)" in form.params.problem("params.target"))
    file.write_text(SOURCE)
    dock.click(form.arguments._button)
    dock.qtbot.waitUntil(lambda: form.arguments.form is not None, timeout=10000)
    dock.qtbot.waitUntil(lambda: form.params.problem("params.target") == "")


def test_another_function_keeps_the_values_that_it_takes_too(dock, form, file):
    name(dock, f"{file}:cells")
    dock.type(form.arguments.form.widget("sigma").lineEdit(), "7")
    name(dock, f"{file}:like")
    assert form.values()["params"]["keywords"] == {"sigma": 7.0, "other": 1}
    name(dock, f"{file}:plain")
    assert form.arguments.note.text() == "It takes nothing but the tile."
    assert form.values()["params"] == {"target": f"{file}:plain"}


def test_the_arguments_are_there_again_after_a_look_at_another_method(dock, form, file):
    name(dock, f"{file}:cells")
    dock.type(form.arguments.form.widget("n").lineEdit(), "8")
    form.combo.setCurrentIndex(form.combo.findData("threshold"))
    assert form.arguments is None
    form.combo.setCurrentIndex(form.combo.findData("function"))
    assert form.values()["params"]["keywords"] == {**DEFAULTS, "n": 8}


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_the_rows_are_whole_in_both_themes(shown_dock, pixels, file, theme, tmp_path):
    dock = shown_dock
    dock.viewer.theme = theme
    dock.add(pixels)
    dock.form.method.combo.setCurrentIndex(dock.form.method.combo.findData("function"))
    name(dock, f"{file}:cells")
    dock.scroll_to(dock.form.method.arguments)
    dock.qtbot.wait(50)
    assert faults(dock.form.method) == []
