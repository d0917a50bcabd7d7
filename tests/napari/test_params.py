from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractSpinBox, QFileDialog, QLabel, QPushButton

from seamlabel.backends import BACKENDS
from seamlabel.napari.form.params import AutoNumber, ParamsForm


@dataclass(frozen=True)
class Everything:
    sigma: Annotated[
        float, {"label": "Blur", "min": 0.0, "max": 9.0, "unit": "voxels", "tooltip": "How much"}
    ]
    count: Annotated[int, {"min": 1, "max": 10**6}] = 3
    limit: Annotated[float | None, {"label": "Threshold"}] = None
    top: Annotated[int | None, {"min": 0, "max": 100}] = 7
    dark: bool = True
    kind: Literal["one", "two"] = "two"
    text: str = ""
    hidden: Annotated[dict, {"in_form": False}] = None


@pytest.fixture
def form(qtbot):
    made = ParamsForm(Everything)
    qtbot.addWidget(made)
    made.show()
    return made


def test_values_start_at_the_defaults_and_none_stays_none(form):
    values = form.value()
    assert values == {
        "sigma": 0.0, "count": 3, "limit": None, "top": 7, "dark": True, "kind": "two", "text": "",
    }  # fmt: skip


def test_values_round_trip(form):
    wanted = {
        "sigma": 2.5,
        "count": 12,
        "limit": -0.5,
        "top": None,
        "dark": False,
        "kind": "one",
        "text": "x",
    }
    form.setValue(wanted)
    assert form.value() == wanted


def test_labels_tooltips_units_and_ranges_come_from_the_annotations(form):
    box = form.widget("sigma")
    assert isinstance(box, QAbstractSpinBox)
    assert box.suffix() == " px"
    assert (box.minimum(), box.maximum()) == (0.0, 9.0)
    assert box.toolTip() == "How much"
    assert "Blur" in [label.text() for label in form.findChildren(QLabel)]


def test_unticking_auto_gives_a_number_and_tells_so(form, qtbot):
    auto = form.widget("limit")
    assert isinstance(auto, AutoNumber)
    assert not auto.inner.native.isEnabled()
    with qtbot.waitSignal(form.changed):
        qtbot.mouseClick(auto.auto, Qt.MouseButton.LeftButton)
    assert auto.inner.native.isEnabled()
    assert form.value()["limit"] == 0.0


@pytest.mark.parametrize("name", ["limit", "top"])
def test_auto_is_said_in_place_of_the_number(form, name):
    box = form.widget(name).inner.native
    form.setValue({name: None})
    assert box.lineEdit().text() == "auto"
    assert form.value()[name] is None
    form.widget(name).auto.setChecked(False)
    assert box.lineEdit().text() != "auto"
    form.setValue({name: 9})
    assert float(box.lineEdit().text()) == form.value()[name] == 9


def test_a_text_that_is_needed_is_left_out_while_it_is_empty(qtbot):
    from seamlabel.backends.function import FunctionParams

    form = ParamsForm(FunctionParams)
    qtbot.addWidget(form)
    assert form.value() == {}
    form.setValue({"target": "a.py:f"})
    assert form.value() == {"target": "a.py:f"}


NEEDED = {"function": {"target": "m:f"}, "torch": {"model": "net.pt"}, "bioimageio": {"model": "net.zip"}}


@pytest.mark.parametrize("name", [record.name for record in BACKENDS])
def test_every_backend_gets_a_form_whose_values_it_takes(qtbot, name):
    from seamlabel import registry

    record = registry.backend(name)
    form = ParamsForm(record.params_type())
    qtbot.addWidget(form)
    values = form.value() | NEEDED.get(name, {})
    assert record.parse(values)[1] == []


@dataclass(frozen=True)
class Depending:
    way: Literal["global", "local"] = "global"
    window: Annotated[int, {"min": 1, "max": 99, "when": {"way": ("local",)}}] = 51


def test_rows_that_count_only_with_another_choice_are_shown_with_it(qtbot):
    form = ParamsForm(Depending)
    qtbot.addWidget(form)
    form.show()
    assert not form.widget("window").isVisible()
    form.widget("way").setCurrentText("local")
    assert form.widget("window").isVisible()
    form.setValue({"way": "global", "window": 7})
    assert not form.widget("window").isVisible()
    assert form.value() == {"way": "global", "window": 7}, "nothing is forgotten"


@dataclass(frozen=True)
class Rare:
    model: Annotated[str, {"label": "Model", "path": "file"}] = ""
    batch: Annotated[int, {"min": 1, "max": 99, "advanced": True}] = 4
    size: Annotated[int, {"min": 1, "max": 99}] = 30


def test_rare_parameters_are_folded_away_until_they_are_asked_for_or_set(qtbot):
    form = ParamsForm(Rare)
    qtbot.addWidget(form)
    form.show()
    assert form.widget("size").isVisible()
    assert not form.widget("batch").isVisible()
    qtbot.mouseClick(form.more, Qt.MouseButton.LeftButton)
    assert form.widget("batch").isVisible()
    assert form.widget("batch").y() > form.widget("size").y()
    qtbot.mouseClick(form.more, Qt.MouseButton.LeftButton)
    assert not form.widget("batch").isVisible()
    form.setValue({"batch": 9})
    assert form.widget("batch").isVisible(), "what is set is shown"
    assert form.value() == {"model": "", "batch": 9, "size": 30}


def test_a_file_is_picked_for_a_parameter_that_may_be_one(qtbot, monkeypatch, tmp_path):
    form = ParamsForm(Rare)
    qtbot.addWidget(form)
    form.show()
    told = []
    form.changed.connect(lambda: told.append(form.value()["model"]))
    chosen = str(tmp_path / "net.pt")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (chosen, ""))
    button = next(
        b for b in form.findChildren(QPushButton) if b.accessibleName() == "Browse for a file: Model"
    )
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert form.value()["model"] == chosen
    assert told[-1] == chosen
    assert not [b for b in ParamsForm(Depending).findChildren(QPushButton) if "Browse" in b.accessibleName()]
