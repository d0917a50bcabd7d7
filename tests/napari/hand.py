"""Real clicks, double-clicks and keys on the canvas of a viewer that is shown."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QApplication


class Hand:
    """Works on the canvas of a dock's viewer."""

    def __init__(self, dock):
        self.dock, self.qtbot = dock, dock.qtbot
        self.canvas = dock.viewer.window._qt_viewer.canvas.native

    def at(self, world):
        """Return the pixel of the canvas at the two last coordinates of the world."""
        camera = self.dock.viewer.scene.camera
        middle = np.array([self.canvas.height(), self.canvas.width()]) / 2
        y, x = (np.array(world)[-2:] - np.array(camera.center)[-2:]) * camera.zoom + middle
        return QPoint(round(x), round(y))

    def settle(self):
        """Have everything drawn."""
        for _ in range(3):
            QApplication.processEvents()

    def move(self, world):
        self.qtbot.mouseMove(self.canvas, self.at(world) + QPoint(3, 3))
        self.settle()
        self.qtbot.mouseMove(self.canvas, self.at(world))
        self.settle()

    def click(self, world, modifier=Qt.KeyboardModifier.NoModifier):
        self.qtbot.mouseClick(self.canvas, Qt.MouseButton.LeftButton, modifier, self.at(world))
        self.settle()

    def double_click(self, world, modifier=Qt.KeyboardModifier.NoModifier):
        self.click(world, modifier)
        self.qtbot.mouseDClick(self.canvas, Qt.MouseButton.LeftButton, modifier, self.at(world))
        self.settle()

    def drag(self, start, stop):
        self.qtbot.mousePress(self.canvas, Qt.MouseButton.LeftButton, pos=self.at(start))
        first, last = self.at(start), self.at(stop)
        for part in (0.5, 1.0):
            step = (last - first) * part
            self.qtbot.mouseMove(self.canvas, first + step)
            self.settle()
        self.qtbot.mouseRelease(self.canvas, Qt.MouseButton.LeftButton, pos=last)
        self.settle()

    def key(self, key):
        self.canvas.setFocus()
        self.qtbot.keyClick(self.canvas, key)
        self.settle()
