from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QPushButton, QVBoxLayout, QWidget
from tests.napari.looks import faults


def test_the_look_out_sees_what_is_cut_or_overlaps_or_sticks_out(qtbot):
    root = QWidget()
    qtbot.addWidget(root)
    column = QVBoxLayout(root)
    good, narrow = QLabel("as wide as it has to be"), QPushButton("much too narrow for this")
    narrow.setFixedWidth(40)
    column.addWidget(good)
    column.addWidget(narrow)
    over = QLabel("over another", root)
    root.resize(300, 120)
    root.show()
    over.move(good.x() + 30, good.y())
    over.show()
    out = QLabel("beyond the border", root)
    out.move(260, 90)
    out.show()
    qtbot.waitExposed(root)
    found = "\n".join(faults(root))
    assert "cut: QPushButton" in found
    assert "overlap: QLabel 'as wide as it has to be'" in found
    assert "sticks out: QLabel 'beyond the border'" in found
    assert "cut: QLabel 'as wide" not in found


def test_nothing_of_the_dock_is_cut_at_its_least_width(shown_dock, image_path):
    shown_dock.viewer.window._qt_window.resizeDocks([shown_dock.docked], [330], Qt.Orientation.Horizontal)
    shown_dock.qtbot.waitUntil(lambda: shown_dock.widget.width() <= 340, timeout=5000)
    assert faults(shown_dock.widget) == []
    shown_dock.controller.open(image_path)
    shown_dock.ready()
    assert faults(shown_dock.widget) == []
