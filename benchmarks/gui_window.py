"""A real napari window with the dock in it, and watches on what its user would feel.

Knows the dock's parts and Qt; nothing of tables or of what is to be measured.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import napari
import numpy as np
from qtpy.QtCore import QEventLoop, Qt, QTimer
from qtpy.QtWidgets import QApplication

from seamlabel.events import TileDone
from seamlabel.napari.tiles.view import camera, visible
from seamlabel.napari.widget import SeamlabelWidget

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from seamlabel.events import Event
    from seamlabel.geometry import Box
    from seamlabel.napari.layers.lazy_labels import LabelStream
    from seamlabel.plan import Plan

TICK_MS = 5
"""Between two ticks of the clock whose gaps are the stalls."""
PATIENCE = 300.0
"""Seconds that anything may take."""


class Stalls:
    """How long the window answered nothing, each time."""

    def __init__(self) -> None:
        self.gaps: list[float] = []
        self.work: list[float] = []
        self._last, self._worked = time.perf_counter(), time.thread_time()
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._tick)
        self._timer.start()

    def _tick(self) -> None:
        now, worked = time.perf_counter(), time.thread_time()
        self.gaps.append(max(0.0, 1000 * (now - self._last) - TICK_MS))
        self.work.append(1000 * (worked - self._worked))
        self._last, self._worked = now, worked

    def end(self) -> dict[str, float]:
        """Return the longest stall and the 99th percentile of all, in ms; and what is not others' fault.

        "work" is the most CPU time of the window's own thread between two ticks: where other programs
        take the cores, or other threads the interpreter, a stall is longer than that.
        """
        self._timer.stop()
        gaps = np.array(self.gaps or [0.0])
        over = {f"over {limit} ms": float((gaps > limit).sum()) for limit in (50, 100)}
        most = {"longest": float(gaps.max()), "work": max(self.work, default=0.0)}
        return {**most, "p99": float(np.percentile(gaps, 99)), **over}


class Arrivals:
    """How long tiles that are looked at take from their end to the screen.

    Parameters
    ----------
    window : Window
        Where they are drawn.
    """

    def __init__(self, window: Window) -> None:
        self._viewer, self._canvas = window.viewer, window.widget.controller.canvas
        self._waiting: dict[int, float] = {}
        self._view: tuple[int, Box] | None = None
        self.seconds: list[float] = []
        begin = self._canvas.begin_stream

        def begin_watched(plan: Plan) -> Any:
            stream = begin(plan)
            accept = stream.accept

            def accept_watched(event: Event) -> None:
                if isinstance(event, TileDone) and event.n_labels and self._is_seen(stream, event.tile):
                    self._waiting[event.tile] = time.perf_counter()
                accept(event)

            stream.accept = accept_watched
            return stream

        self._canvas.begin_stream = begin_watched
        draw = window.viewer.window._qt_viewer.canvas._scene_canvas.events.draw
        draw.connect(self._drawn, position="last")

    def _is_seen(self, stream: LabelStream, tile: int) -> bool:
        """Return whether a tile is looked at; in the run's thread, as this must not hold up the window."""
        if self._view is None:  # nothing was drawn yet
            return True
        level, view = self._view
        return bool(stream.span(tile, level).intersect(view).size)

    def _drawn(self, _event: Any) -> None:
        """Take in what stands in the picture that was drawn right now."""
        layer, stream = self._canvas.labels_layer, self._canvas.stream
        if layer is None or stream is None or self._viewer.dims.ndisplay != 2:
            return
        now, view = time.perf_counter(), visible(self._viewer, layer)
        self._view = layer.data_level, view
        pixels = layer._slice.image.raw
        for tile, since in list(self._waiting.items()):
            seen = stream.span(tile, layer.data_level).intersect(view)
            if not seen.size:
                del self._waiting[tile]
            elif pixels[seen.relative_to(view).slices].any():
                self.seconds.append(now - since)
                del self._waiting[tile]


class Window:
    """A shown viewer with the dock and an image.

    Parameters
    ----------
    path : Path
        The OME-Zarr.
    output : Path
        Where labels go.
    tile, overlap : int
        Along every axis.
    """

    def __init__(self, path: Path, output: Path, tile: int, overlap: int = 32) -> None:
        self.viewer = napari.Viewer(show_welcome_screen=False)
        self.viewer.window._qt_window.resize(1600, 1000)
        self.widget = SeamlabelWidget(self.viewer)
        self.viewer.window.add_dock_widget(self.widget, name="Seamlabel")
        self.run, self.bar = self.widget.controller.run, self.widget.bar
        self.widget.controller.open(str(path))
        ndim = self.viewer.dims.ndim
        chosen = {"tile_shape": (tile,) * ndim, "overlap": (overlap,) * ndim}
        chosen |= {"backend": "threshold", "params": {}}
        self.widget.form.setValue(self.widget.form.value().replace(output=str(output), **chosen))
        self.wait(self.bar.run_button.isEnabled)
        self.rest(0.5)

    @property
    def shown(self) -> bool:
        """Whether the layer of labels stands; napari needs some time for any layer, once."""
        return self.widget.controller.canvas.labels_layer is not None

    def look(self, zoom: float) -> None:
        """Look at the middle of the image, at so many pixels of the screen for one of its own."""
        self.viewer.reset_view()
        if zoom:
            camera(self.viewer).zoom = zoom
        self.rest(0.5)

    def wait(self, until: Callable[[], bool]) -> None:
        """Handle events until something is so.

        Raises
        ------
        TimeoutError
            If it never is.
        """
        end = time.monotonic() + PATIENCE
        while not until():
            if time.monotonic() > end:
                raise TimeoutError(self.bar.status.text() or self.bar.failures.text())
            self.rest(0.005)

    def rest(self, seconds: float) -> float:
        """Handle events for some time; return the part of it that this thread was busy."""
        loop = QEventLoop()
        QTimer.singleShot(round(1000 * seconds), loop.quit)
        began, worked = time.perf_counter(), time.thread_time()
        loop.exec()
        return (time.thread_time() - worked) / (time.perf_counter() - began)

    def close(self) -> None:
        """Close the window and let Qt delete what was in it."""
        self.viewer.close()
        for _ in range(3):
            QApplication.processEvents()
