"""The row that takes a run elsewhere: the clipboard and the file are real."""

from __future__ import annotations

import shlex

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QFileDialog

from seamlabel import RunSpec
from seamlabel.io.run_files import load_run_file
from seamlabel.napari.result.footer import Footer
from seamlabel.retelling import as_command, as_python


@pytest.fixture
def footer(qtbot):
    widget = Footer()
    qtbot.addWidget(widget)
    widget.set_spec(RunSpec(image="/data/my image.zarr", backend="watershed", tile_shape=512))
    widget.show()
    return widget


def click(qtbot, button):
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def test_the_buttons_copy_what_does_the_same_and_say_so_for_a_moment(qtbot, footer):
    for button, text in (
        (footer.python_button, as_python(footer._spec)),
        (footer.command_button, as_command(footer._spec)),
    ):
        before, width = button.text(), button.width()
        click(qtbot, button)
        assert QApplication.clipboard().text() == text
        assert button.text() == "Copied"
        assert button.width() == width
        qtbot.waitUntil(lambda b=button, t=before: b.text() == t)
    assert shlex.split(QApplication.clipboard().text())[2] == "/data/my image.zarr"


def test_all_three_buttons_fit_into_a_narrow_dock(qtbot, make_napari_viewer):
    footer = Footer()
    footer.set_spec(RunSpec(image="/data/my image.zarr"))
    make_napari_viewer(show=True).window.add_dock_widget(footer, area="right")
    footer.setFixedWidth(314)
    qtbot.waitUntil(lambda: footer.layout().minimumSize().width() <= 314)  # once it has the theme's style
    for button in (footer.python_button, footer.command_button, footer.save_button):
        assert button.width() >= button.sizeHint().width()
        assert button.accessibleName()
        assert button.toolTip()


def test_the_run_file_is_saved_where_the_dialog_says(qtbot, footer, tmp_path, monkeypatch):
    asked = []

    def answer(path):
        return lambda *given: asked.append(given[2]) or (str(path), "")

    monkeypatch.setattr(QFileDialog, "getSaveFileName", answer(tmp_path / "run.json"))
    click(qtbot, footer.save_button)
    assert asked == ["/data/labels.json"]
    assert footer.save_button.text() == "Saved"
    assert load_run_file(tmp_path / "run.json") == footer._spec
    monkeypatch.setattr(QFileDialog, "getSaveFileName", answer(""))
    click(qtbot, footer.save_button)
    assert not footer.note.isVisible()
    monkeypatch.setattr(QFileDialog, "getSaveFileName", answer(tmp_path / "none" / "run.json"))
    click(qtbot, footer.save_button)
    assert "No such file" in footer.note.text()
    assert footer.note.isVisible()


def test_a_command_is_not_offered_for_an_array(footer):
    footer.set_spec(RunSpec())
    assert not footer.command_button.isEnabled()
    assert "array in memory" in footer.command_button.toolTip()
    assert footer.python_button.isEnabled()
    footer.set_spec(None)
    assert not footer.isVisible()
