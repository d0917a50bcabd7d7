"""`FailedBox`: tiles that failed, and why; to be looked at, tried again, or avoided."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QHBoxLayout, QVBoxLayout, QWidget

from seamlabel.napari.form.rows import Note, tool_button
from seamlabel.napari.result.look import look_at, place_of
from seamlabel.napari.run.progress import many, shorten

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seamlabel.napari.result.control import ResultControl
    from seamlabel.plan import Plan

SHOWN = 5
"""Causes that have a row of their own."""
LEAST = 64
"""Pixels: no smaller tiles are proposed."""
TILE_PIXELS = 400
"""Of the screen that a tile gets that is shown."""
MEMORY = re.compile(r"memory|\bOOM\b|ResourceExhausted|\bkilled\b|cannot allocate", re.IGNORECASE)
"""What reasons say when memory ran out: of the machine, or of a graphics card."""


@dataclass(frozen=True)
class Cause:
    """Why tiles failed.

    Parameters
    ----------
    reason : str
        In a line.
    tiles : tuple of int
        Those that failed for it.
    """

    reason: str
    tiles: tuple[int, ...]

    @property
    def memory(self) -> bool:
        """Whether memory ran out."""
        return MEMORY.search(self.reason) is not None


def causes_of(failures: Mapping[int, tuple[str, str]]) -> list[Cause]:
    """Return why tiles failed, the cause of most of them first."""
    tiles: dict[str, list[int]] = {}
    for tile, (reason, _) in failures.items():
        tiles.setdefault(reason.strip().split("\n")[0], []).append(tile)
    causes = [Cause(reason, tuple(sorted(which))) for reason, which in tiles.items()]
    return sorted(causes, key=lambda cause: -len(cause.tiles))


def smaller_tiles(plan: Plan) -> int | None:
    """Return the side of tiles that need about a quarter of the memory; None if they are small already."""
    sides = [n for n, joined in zip(plan.grid.tile_shape, plan.joined, strict=True) if joined]
    side = max(sides, default=0)
    half = 1 << max(0, (side // 2).bit_length() - 1)  # a power of two
    return half if half >= LEAST and half < side else None


def tile_name(plan: Plan, tile: int) -> str:
    """Return how a tile is called: ``Tile (2, 5)``."""
    return f"Tile ({', '.join(map(str, plan.grid.index(tile)))})"


class FailedBox(QWidget):
    """Hidden while no tile failed."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._control: ResultControl | None = None
        self._failures: Mapping[int, tuple[str, str]] = {}
        self._plan: Plan | None = None
        self.rows: list[_CauseRow] = []
        self._list = QVBoxLayout()
        self._list.setSpacing(4)
        self.more = Note("problem", self)
        self.retry = tool_button("Retry", "Try the tiles that failed once more; finished ones are kept")
        self.copy = tool_button("Copy details", "Copy the full errors to the clipboard, for a report")
        self.smaller = Note("warning", self)
        self.use = tool_button("Use", "Enter this tile shape above; nothing is run yet")
        self.use.setAccessibleName("Use smaller tiles")
        self._lay_out()
        self.retry.clicked.connect(self._retry)
        self.copy.clicked.connect(self._copy)
        self.use.clicked.connect(self._use)
        self.hide()

    def show_result(self, control: ResultControl) -> None:
        """Show the tiles of the run that failed."""
        if self._control is None:
            self._control = control
            control.busy_changed.connect(self._busy)
        shown = control.shown
        self._show(shown.plan if shown else None, shown.progress.failures if shown else {})

    def _busy(self, busy: bool) -> None:
        """Show tiles that failed when they were segmented again, too: the result stays as it was."""
        run = self._control.run if self._control else None
        if not busy and run is not None and run.progress.failures and self._control.shown is not None:
            self._show(run.plan, run.progress.failures)

    def _show(self, plan: Plan | None, failures: Mapping[int, tuple[str, str]]) -> None:
        self._plan, self._failures = plan, failures
        for row in self.rows:
            self._list.removeWidget(row)
            row.hide()
            row.deleteLater()
        self.rows = []
        causes = causes_of(failures)
        for cause in causes[:SHOWN] if plan is not None else ():
            row = _CauseRow(plan, cause, self.look)
            self._list.addWidget(row)
            self.rows.append(row)
        left = sum(len(cause.tiles) for cause in causes[SHOWN:])
        self.more.say(f"and {left:,} more, with other causes" if left else "")
        self.copy.setVisible(any(detail for _, detail in failures.values()))
        self._propose(causes)
        self.setVisible(bool(failures))

    def look(self, tile: int) -> None:
        """Show a tile in the viewer."""
        control = self._control
        place = place_of(control)
        if place is not None and self._plan is not None:
            look_at(control.viewer, place, self._plan.grid[tile].core, TILE_PIXELS)
            control.tile_wished.emit(tile)

    def _propose(self, causes: list[Cause]) -> None:
        side = smaller_tiles(self._plan) if self._plan is not None else None
        proposed = side is not None and any(cause.memory for cause in causes)
        self.smaller.say(f"The method ran out of memory. Use tiles of {side}?" if proposed else "")
        self.use.setVisible(proposed)

    def _use(self) -> None:
        plan, side = self._plan, smaller_tiles(self._plan)
        sides = [n for n, joined in zip(plan.grid.tile_shape, plan.joined, strict=True) if joined]
        self._control.form_wished.emit({"tile_shape": tuple(min(n, side) for n in sides)}, False)

    def _retry(self) -> None:
        if self._control.shown.path:  # labels are there: these tiles were to be put in place of others
            self._control.apply(again=sorted(self._failures))
        else:
            self._control.retry_wished.emit()

    def _copy(self) -> None:
        told = [
            f"{tile_name(self._plan, tile)}: {reason}\n{detail}"
            for tile, (reason, detail) in self._failures.items()
        ]
        QApplication.clipboard().setText("\n".join(told))

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.setSpacing(6)
        buttons.addWidget(self.retry, 1)
        buttons.addWidget(self.copy, 1)
        mend = QHBoxLayout()
        mend.setSpacing(6)
        mend.addWidget(self.smaller, 1)
        mend.addWidget(self.use, 0, Qt.AlignmentFlag.AlignTop)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(self._list)
        column.addWidget(self.more)
        column.addLayout(buttons)
        column.addLayout(mend)


class _CauseRow(QWidget):
    """One cause, and a button that shows its tiles one after another."""

    def __init__(self, plan: Plan, cause: Cause, look: object) -> None:
        super().__init__()
        self._cause, self._look, self._next = cause, look, 0
        several = len(cause.tiles) > 1
        who = many(len(cause.tiles), "tile") if several else tile_name(plan, cause.tiles[0])
        self.text = Note("problem", self, selectable=True)
        self.text.setToolTip(cause.reason)
        self.show_button = tool_button(
            f"Show 1/{len(cause.tiles)}" if several else "Show",
            "Look at the tile; press again for the next" if several else "Look at it",
        )
        self.show_button.setAccessibleName(f"Show where: {who}")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        row.addWidget(self.text, 1)
        row.addWidget(self.show_button, 0, Qt.AlignmentFlag.AlignTop)
        self.text.say(f"{who}: {shorten(cause.reason, 120)}")
        self.show_button.clicked.connect(self._show)

    def _show(self) -> None:
        tiles = self._cause.tiles
        self._look(tiles[self._next])
        self._next = (self._next + 1) % len(tiles)
        if len(tiles) > 1:
            self.show_button.setText(f"Show {self._next + 1}/{len(tiles)}")
