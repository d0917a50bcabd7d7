"""`ClickTool`: clicks in the viewer turned into edits. Knows viewer and run, no widget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.engine.edits import POINTS, Edit
from seamlabel.errors import Problem, SeamlabelError
from seamlabel.napari.result.look import place_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from seamlabel.napari.result.control import ResultControl
    from seamlabel.napari.result.highlight import Highlight

STILL = 4
"""Pixels of the screen that a pointer may move within a click."""
HINTS = {
    ("join", 0): "Click an object",
    ("join", 1): "Now click the object that is one with it",
    ("cut", 0): "Click one part of an object that is really two",
    ("cut", 1): "Now click its other part",
    ("remove", 0): "Click an object that is none",
}
"""What is to be done, by kind of edit and number of points that are there."""
NOTHING = "There is no object: click inside one"


class ClickTool:
    """Takes clicks while it is on.

    Parameters
    ----------
    control : ResultControl
        Gets the edits.
    highlight : Highlight
        Outlines what was clicked.
    tell : callable
        Called with what is to be done next, and with what was wrong, "" if nothing was.
    """

    def __init__(
        self, control: ResultControl, highlight: Highlight, tell: Callable[[str, str], None]
    ) -> None:
        self._control, self._highlight, self._tell = control, highlight, tell
        self.kind = ""
        self._points: list[tuple[int, ...]] = []
        self._keys: list[int] = []

    def begin(self, kind: str) -> None:
        """Take clicks for edits of a kind from now on."""
        callbacks = self._control.viewer.mouse_drag_callbacks
        if not self.kind:
            callbacks.append(self._pressed)
        self.kind = kind
        self._control.canvas.in_use = True
        layer = self._control.layer
        if layer is not None:  # no other layer is to be painted on
            self._control.viewer.layers.selection.active = layer
        self._from_the_start("")

    def end(self) -> None:
        """Take no more clicks; safe to call after the viewer is gone."""
        callbacks = self._control.viewer.mouse_drag_callbacks
        if self._pressed in callbacks:
            callbacks.remove(self._pressed)
        self.kind, self._points, self._keys = "", [], []
        self._control.canvas.in_use = False
        self._highlight.hide()

    def _from_the_start(self, wrong: str) -> None:
        self._points, self._keys = [], []
        self._highlight.hide()
        self._tell(HINTS[self.kind, 0], wrong)

    def _pressed(self, _viewer: Any, event: Any) -> Generator[None, None, None]:
        """Take a click; a drag moves the view."""
        if event.button != 1 or event.modifiers:
            return
        start = np.array(event.pos)
        yield
        while event.type == "mouse_move":
            yield
        if np.abs(np.array(event.pos) - start).max() <= STILL and self.kind:
            self.click(event.position)

    def click(self, world: Any) -> None:
        """Take a click at a place in the world."""
        if self._control.viewer.dims.ndisplay != 2:
            self._tell(HINTS[self.kind, len(self._points)], "Clicks are for 2D: leave the 3D view (Ctrl+Y)")
            return
        place = place_of(self._control)
        point = place.voxel(world) if place else None
        try:
            review = self._control.review() if point else None
            key = self._key(point) if review else None
        except SeamlabelError as error:
            self._from_the_start(f"{error}. {error.hint}")
            return
        if key is None:
            self._tell(HINTS[self.kind, len(self._points)], NOTHING)
            return
        self._points.append(point)
        self._keys.append(key)
        self._highlight.show(self._control.viewer, place, review, self._keys)
        if len(self._points) < POINTS[self.kind]:
            self._tell(HINTS[self.kind, len(self._points)], "")
        else:
            self._finish(Edit(self.kind, tuple(self._points)))

    def _key(self, point: tuple[int, ...]) -> int | None:
        """Return the label that lies at a point, None if there is none."""
        found = self._keys_of(Edit("remove", (point,)))
        return found[0] if isinstance(found, tuple) else None

    def _keys_of(self, edit: Edit) -> tuple[int, ...] | Problem:
        return self._control.review().pointer(self._control.wish.settings).keys(edit)

    def _finish(self, edit: Edit) -> None:
        """Wish the edit, if it can be carried out."""
        if edit.kind == "join" and self._keys[0] == self._keys[1]:
            self._from_the_start("Both clicks were in one object")
            return
        found = self._keys_of(edit)
        if isinstance(found, Problem):
            self._from_the_start(plainly(found))
            return
        self._from_the_start("")
        self._control.add_edits([edit])


def plainly(problem: Problem) -> str:
    """Return why an edit cannot be carried out, for people who click."""
    if "one object at both points" in problem.message:
        return "One tile sees a single object at both places. Only what tiles see as two can be cut apart."
    return f"{problem.message[:1].upper()}{problem.message[1:]}"
