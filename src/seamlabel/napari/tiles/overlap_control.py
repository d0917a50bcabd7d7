"""`OverlapControl`: has the overlap measured that the chosen method needs, in a thread of its own."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from seamlabel.engine.reopen import reopen
from seamlabel.engine.survey import measure_needs
from seamlabel.napari.run.worker import RunWorker

if TYPE_CHECKING:
    from collections.abc import Generator

    from seamlabel.engine.needs import OverlapNeeds
    from seamlabel.napari.form.form import Form
    from seamlabel.napari.tiles.grid_control import GridControl
    from seamlabel.plan import Plan
    from seamlabel.spec import RunSpec


class OverlapControl:
    """Measures for one dock, one thing at a time; what was found goes when image or method is another.

    Parameters
    ----------
    form : Form
        Asks for it, and shows what came of it.
    grid : GridControl
        Has the plan of what the form says.
    """

    def __init__(self, form: Form, grid: GridControl) -> None:
        self._form, self._row, self._grid = form, form.tiles.measured, grid
        self.worker: RunWorker | None = None
        self._plan: Plan | None = None
        self._found: list[OverlapNeeds] = []
        self._error = ""
        self._row.asked.connect(self._asked)
        form.valueChanged.connect(self._value_changed)
        form.image.image_changed.connect(self.forget)

    def forget(self, *_: object) -> None:
        """End what is under way, and show nothing."""
        self.stop()
        self._plan = None
        self._row.show_nothing()

    def stop(self) -> None:
        """End what is under way without telling anybody: the widgets may be gone."""
        worker, self.worker = self.worker, None
        if worker is not None:
            worker.cancel()
            with suppress(RuntimeError, TypeError):
                worker.events.disconnect(self._progressed)
                worker.failed.disconnect(self._failed)
                worker.finished.disconnect(self._finished)

    def _value_changed(self, spec: RunSpec) -> None:
        """Forget what is of another method, or of other pixels."""
        if self._plan is not None and _method(spec) != _method(self._plan.spec):
            self.forget()

    def _asked(self) -> None:
        if self.worker is not None:
            self.forget()
            return
        self._grid.flush()
        image, plan = self._form.image, self._grid.plan
        if plan is None or image.picture is None:
            self._row.show_error("Mend what is marked first")
            return
        self._plan, self._found, self._error = plan, [], ""
        array, found = image.picture.at(image.level_index())[1], self._found

        def work() -> Generator[Any, None, None]:
            found.append((yield from measure_needs(plan, reopen(plan, array))))

        self._row.show_progress(0, 1)
        self.worker = RunWorker(work)
        self.worker.events.connect(self._progressed)
        self.worker.failed.connect(self._failed)
        self.worker.finished.connect(self._finished)
        self.worker.start()

    def _progressed(self, events: list[tuple[int, int]]) -> None:
        self._row.show_progress(*events[-1])

    def _failed(self, error: BaseException, _detail: str) -> None:
        text, hint = str(error) or type(error).__name__, getattr(error, "hint", "")
        self._error = f"{text[:1].upper()}{text[1:]}" + (f". {hint}" if hint else "")

    def _finished(self, _cancelled: bool) -> None:
        worker, self.worker = self.worker, None
        worker.join()
        if not self._found:
            self._row.show_error(self._error)
            return
        grid, joined = self._plan.grid, self._plan.joined
        tiles = tuple(n for n, tiled in zip(grid.tile_shape, joined, strict=True) if tiled)
        self._row.show_needs(self._found[0], tiles)


def _method(spec: RunSpec) -> tuple[Any, ...]:
    """Return what a measurement depends on."""
    return spec.image, spec.backend, spec.params, spec.level, spec.channels, spec.planes
