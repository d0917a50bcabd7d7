"""The row of steps after the method: a line of them, and a menu that adds one. Knows no labels."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLineEdit, QMenu, QPushButton, QWidget

from seamlabel.steps import STEPS


class StepsRow(QWidget):
    """Steps as they are written on the command line, such as ``expand=3, smooth=1``."""

    edited = Signal()
    """A user changed them."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.line = QLineEdit()
        self.line.setPlaceholderText("nothing")
        self.line.setAccessibleName("Then")
        self.line.editingFinished.connect(self.edited)
        self.add_button = QPushButton("Add")
        self.add_button.setProperty("kind", "small")
        self.add_button.setToolTip("Add a step: its length can be changed in the line")
        menu = QMenu(self.add_button)
        menu.setToolTipsVisible(True)
        for name, kind in STEPS.items():
            action = menu.addAction(kind.title)
            action.setToolTip(kind.tooltip)
            action.triggered.connect(lambda _checked, name=name: self.add(name))
        self.add_button.setMenu(menu)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(self.line, 1)
        row.addWidget(self.add_button)
        self.setFocusProxy(self.line)

    def text(self) -> str:
        """Return the steps."""
        return self.line.text().strip()

    def set_steps(self, steps: tuple[str, ...]) -> None:
        """Show steps; tells nobody."""
        self.line.setText(", ".join(steps))

    def add(self, name: str) -> None:
        """Add a step of the length that suits most; splitting comes before all others."""
        steps = [step.strip() for step in self.text().split(",") if step.strip()]
        new = f"{name}={STEPS[name].default:g}"
        splits = name == "split"
        if splits:
            steps = [step for step in steps if not step.startswith("split")]
        self.set_steps((new, *steps) if splits else (*steps, new))
        self.edited.emit()
