"""Where tiles are segmented, chosen in the dock."""

from __future__ import annotations

import importlib.util

import pytest
from qtpy.QtCore import Qt

from seamlabel.io.sources import image_info
from seamlabel.napari.form import run_on
from seamlabel.napari.form.run_on import RunOnForm
from seamlabel.napari.result.failed import FailedBox


def choose(dock, text):
    """Choose a place with the keyboard."""
    combo = dock.form.tiles.run_on.place
    dock.qtbot.keyClick(combo, Qt.Key.Key_Home)
    for _ in range(combo.findText(text)):
        dock.qtbot.keyClick(combo, Qt.Key.Key_Down)
    assert combo.currentText() == text


def visible(dock, widget):
    return widget.isVisibleTo(dock.form)


def test_threads_are_chosen_first_and_the_scheduler_is_asked_for_with_dask_only(dock, image_path):
    dock.controller.open(image_path)
    dock.ready()
    part = dock.form.tiles.run_on
    assert part.place.currentText() == "Threads"
    assert (dock.form.value().executor, dock.form.value().timeout) == ("auto", None)
    assert not visible(dock, part.place), "folded"
    dock.click(part.header)
    assert visible(dock, part.place)
    assert not visible(dock, part.scheduler)
    choose(dock, "Dask")
    assert visible(dock, part.scheduler)
    dock.type(part.scheduler, "tcp://127.0.0.1:8786")
    assert dock.controller.plan.executor == "dask"
    assert dock.form.value().scheduler == "tcp://127.0.0.1:8786"
    choose(dock, "Processes")
    assert not visible(dock, part.scheduler)
    assert dock.form.value().scheduler is None
    dock.ready()
    assert dock.controller.plan.executor == "processes"


def test_a_time_limit_is_a_number_of_seconds_or_nothing(dock, image_path):
    dock.controller.open(image_path)
    dock.ready()
    part = dock.form.tiles.run_on
    dock.type(part.limit, "2.5")
    assert dock.form.value().timeout == 2.5
    for wrong in ("two", "0", "-1", "nan"):
        dock.type(part.limit, wrong)
        assert "Give seconds, above 0" in part.problem("timeout")
        assert not dock.bar.run_button.isEnabled()
    dock.type(part.limit, " ")
    assert dock.form.value().timeout is None
    assert part.problem("timeout") == ""
    assert dock.bar.run_button.isEnabled()


@pytest.mark.parametrize("executor", ["auto", "threads", "serial", "processes", "dask"])
def test_values_of_a_spec_are_shown_and_given_back(qtbot, executor):
    form = RunOnForm()
    qtbot.addWidget(form)
    scheduler = "tcp://h:1" if executor == "dask" else None
    form.set_values(executor, scheduler, 30.25, 3, 0)
    shown = {"workers": 3, "retries": 0, "timeout": 30.25}
    assert form.values() == {"executor": executor, "scheduler": scheduler, **shown}


def test_dask_is_grey_with_what_installs_it_where_it_is_missing(qtbot, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(run_on, "find_spec", lambda name: None if name == "distributed" else found(name))
    form = RunOnForm()
    qtbot.addWidget(form)
    row = form.place.findData("dask")
    assert not form.place.model().item(row).isEnabled()
    assert "pip install 'seamlabel[dask]'" in form.place.itemData(row, Qt.ItemDataRole.ToolTipRole)
    assert form.place.model().item(form.place.findData("processes")).isEnabled()


def test_a_tile_over_its_time_fails_alone_on_processes(dock, image_path, tmp_path):
    file = tmp_path / "hangs.py"
    file.write_text(
        "import pathlib, time\nimport scipy.ndimage\n\ndef hangs(tile):\n"
        "    first = pathlib.Path(__file__).with_name('begun')\n"
        "    try:\n        first.touch(exist_ok=False)\n        time.sleep(600)\n"
        "    except FileExistsError:\n        return scipy.ndimage.label(tile > 1800)[0]\n"
    )
    dock.controller.open(image_path)
    dock.ready()
    wish = {"backend": "function", "params": {"target": f"{file}:hangs"}, "retries": 0}
    dock.form.setValue(dock.form.value().replace(**wish))
    dock.tiles((256, 256), (8, 8))
    choose(dock, "Processes")
    dock.type(dock.form.tiles.run_on.limit, "1.5")
    dock.click(dock.bar.run_button)
    assert not dock.form.tiles.run_on.isEnabled()
    dock.wait_end()
    assert "3 tiles done, 0 empty, 1 failed" in dock.bar.result.text()
    assert "took longer than 1.5 s" in dock.causes()[0]
    assert dock.form.tiles.run_on.isEnabled()
    dock.click(dock.widget.result.findChild(FailedBox).retry)
    dock.wait_end()
    assert "4 tiles done, 0 empty, 0 failed" in dock.bar.result.text()
    assert image_info(image_path).labels == ("cells",)
