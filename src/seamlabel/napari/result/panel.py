"""`ResultPanel`: the part of the dock under the form that tells what came out. A frame for its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seamlabel.napari.result.control import ResultControl


class Part(Protocol):
    """A widget of the panel."""

    def show_result(self, control: ResultControl) -> None:
        """Show what `control.shown` is now; hide if there is nothing to show."""
        ...


class ResultPanel(QWidget):
    """Hidden while there is no result.

    Parameters
    ----------
    control : ResultControl
        Says which run is shown.
    parts : sequence of QWidget
        Each has `show_result`, see `Part`.
    """

    def __init__(
        self, control: ResultControl, parts: Sequence[QWidget], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._control, self.parts = control, tuple(parts)
        self.header = QLabel("Result")
        self.header.setProperty("kind", "header")
        self.header.setIndent(0)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 0, 8, 8)
        column.setSpacing(6)
        column.addWidget(self.header)
        for part in self.parts:
            column.addWidget(part)
        control.opened.connect(self._opened)
        control.busy_changed.connect(self._busy)
        self._opened()

    def _opened(self) -> None:
        shown = self._control.shown
        self.setVisible(shown is not None)
        self.header.setText(f"Result: {shown.plan.spec.name}" if shown and shown.path else "Result")
        for part in self.parts:
            part.show_result(self._control)

    def _busy(self, busy: bool) -> None:
        for part in self.parts:
            part.setEnabled(not busy)
