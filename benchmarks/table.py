"""`python -m benchmarks table`: the table of very many objects in the dock, in a real viewer on a screen.

On a machine without one: ``xvfb-run -a -s "-screen 0 1920x1200x24" python -m benchmarks table``.
"""

from __future__ import annotations

from dataclasses import dataclass
from shutil import rmtree
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

import seamlabel
from benchmarks.measure import Options, Table, say
from seamlabel.engine.measuring import measure_run
from seamlabel.io.ngff.images import write_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from benchmarks.data import Data
    from seamlabel.geometry import Box
    from seamlabel.results import Result

PITCH, SIDE = 10, 6
"""Pixels from one object to the next, and of an object's side."""
LIMITS = {"open the table": 2.0, "sort by a column": 1.0, "colour by another measurement": 0.5}
"""Seconds that were promised."""


@dataclass(frozen=True)
class Part:
    """A number of objects along both axes; `name` is a word for the command line."""

    name: str
    count: int


def cases(*, quick: bool) -> list[Part]:
    """Return what is measured."""
    count = 100 if quick else 1000
    return [Part("table", count)]


def main(wanted: Iterable[Part], data: Data, options: Options) -> Iterator[Table]:
    """Measure; yield the table of what was found."""
    for part in wanted:
        result = _segmented(part.count, data)
        yield _shown(result, options)


def _dots(box: Box) -> NDArray[np.uint16]:
    """Return squares on a lattice, no two of one brightness side by side."""
    y, x = (np.arange(a, b) for a, b in zip(box.start, box.stop, strict=True))
    inside = (y % PITCH < SIDE)[:, None] & (x % PITCH < SIDE)
    shade = 1000 + (y // PITCH * 7)[:, None] % 997 + x // PITCH * 13 % 991
    return (inside * shade).astype(np.uint16)


def _segmented(count: int, data: Data) -> Result:
    """Return a run over an image of ``count * count`` objects."""
    side = PITCH * count
    path = data.scratch(f"dots-{count}.zarr")
    say(f" {count**2:,} objects on {side}²")
    rmtree(path, ignore_errors=True)
    how: dict[str, Any] = {"axes": "yx", "scale": (0.5, 0.5), "units": ("micrometer",) * 2, "levels": 5}
    write_image(path, (side, side), "uint16", _dots, chunks=(1000, 1000), **how)
    fixed = {"value": 500, "smoothing": 0}
    return seamlabel.segment(
        str(path), "threshold", params=fixed, tile_shape=1000, overlap=16, progress=False
    )


def _shown(result: Result, options: Options) -> Table:
    """Return what every step took, on the screen."""
    import napari

    from seamlabel.napari.layers.open_image import open_into
    from seamlabel.napari.widget import SeamlabelWidget

    viewer = napari.Viewer(show=True)
    try:
        widget = SeamlabelWidget(viewer)
        viewer.window.add_dock_widget(widget, name="Seamlabel", area="right")
        open_into(viewer, str(result.plan.spec.image))
        steps = _Steps(viewer, widget, result)
        took: dict[str, list[float]] = {}
        for _ in range(options.rounds):
            for name, step in steps.all():
                took.setdefault(name, []).append(_seconds(step))
    finally:
        viewer.close()
    rows = [(name, f"{median(t):.3f}", f"{max(t):.3f}", _limit(name)) for name, t in took.items()]
    columns = ("step", "median s", "longest s", "limit s")
    title = f"Table of {result.n_objects:,} objects"
    note = "Each step until the window is drawn again; measuring is done in a thread."
    return Table(title, columns, rows, (note,), {"table": took})


def _limit(name: str) -> str:
    return f"{LIMITS[name]:g}" if name in LIMITS else "-"


def _seconds(step: Callable[[], object]) -> float:
    """Return how long a step takes until all is drawn."""
    from qtpy.QtWidgets import QApplication

    begin = perf_counter()
    step()
    for _ in range(3):
        QApplication.processEvents()
    return perf_counter() - begin


class _Steps:
    """What a user does, one after another."""

    def __init__(self, viewer: Any, widget: Any, result: Result) -> None:
        from seamlabel.napari.result.table_part import TablePart

        self._viewer, self._result = viewer, result
        self._control = widget.controller.results
        self._part: Any = widget.findChild(TablePart)
        self._row = 0

    def all(self) -> Iterator[tuple[str, Callable[[], object]]]:
        """Yield names and steps."""
        yield "(show the labels)", self._open
        yield "measure", self._measure
        yield "take the table (status bar too)", lambda: self._control.set_table(self._table)
        yield "open the table", self._part._open_table
        view = self._part._view
        yield "sort by a column", lambda: view.table.sortByColumn(5, _order(True))
        yield "sort the other way", lambda: view.table.sortByColumn(5, _order(False))
        yield "filter", lambda: view.filter.setText("mean intensity > 1500 and not at border")
        yield "no filter", view.filter.clear
        yield "colour by a measurement", lambda: self._colour(5)
        yield "colour by another measurement", lambda: self._colour(3)
        yield "row → object", lambda: view.table.selectRow(self._control.shown.n_objects // 2)
        yield "next row → object", lambda: view.table.selectRow(self._control.shown.n_objects // 2 + 1)
        yield "object → row", lambda: view.select(self._control.shown.n_objects // 3)
        yield "select all", view.table.selectAll
        yield "close", self._close

    def _open(self) -> None:
        from seamlabel.napari.layers.open_image import labels_layer
        from seamlabel.napari.result.shown import Shown
        from seamlabel.napari.run.progress import Progress

        layer = labels_layer(self._result.path)
        self._viewer.add_layer(layer)
        plan, count = self._result.plan, self._result.n_objects
        self._control.open(Shown(plan, "", self._result.path, layer, Progress(1), n_objects=count))

    def _measure(self) -> None:
        work = measure_run(self._result.plan, self._result.path)
        while True:
            try:
                next(work)
            except StopIteration as end:
                self._table = end.value
                return

    def _colour(self, index: int) -> None:
        self._part.colour.setCurrentIndex(index)
        self._part.colour.activated.emit(index)

    def _close(self) -> None:
        self._colour(0)
        self._part._view.parent().destroyOnClose()
        self._viewer.layers.remove(self._control.shown.layer)


def _order(ascending: bool) -> Any:
    from qtpy.QtCore import Qt

    return Qt.SortOrder.AscendingOrder if ascending else Qt.SortOrder.DescendingOrder
