"""A button that puts the path of a file or a folder into a line of text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from qtpy.QtWidgets import QFileDialog, QLineEdit, QPushButton

if TYPE_CHECKING:
    from collections.abc import Callable

Kind = Literal["file", "folder"]


def browse_button(kind: Kind, text: str, line: Callable[[], QLineEdit]) -> QPushButton:
    """Return the button.

    Parameters
    ----------
    kind : {"file", "folder"}
        What is picked.
    text : str
        What it is, such as ``"Model"``, for the dialog's title.
    line : callable
        Returns the line that gets the path.
    """
    button = QPushButton("…")
    button.setFixedWidth(30)
    button.setToolTip(f"Browse for a {kind}")
    button.setAccessibleName(f"Browse for a {kind}: {text}")
    button.clicked.connect(lambda: _pick(kind, text, line()))
    return button


def _pick(kind: Kind, text: str, line: QLineEdit) -> None:
    near = Path(line.text()).expanduser().parent
    place = str(near) if line.text() and near.is_dir() else ""
    if kind == "folder":
        path = QFileDialog.getExistingDirectory(line, text, place)
    else:
        path, _ = QFileDialog.getOpenFileName(line, text, place)
    if path:
        line.setText(path)
        line.editingFinished.emit()
