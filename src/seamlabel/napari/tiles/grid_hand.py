"""`GridHand`: clicks, double-clicks and keys on the canvas, for the tile grid.

Takes napari's own keys only while a tile is picked, and its double-click only on a tile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLineEdit,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from napari.components import ViewerModel

STILL = 4
"""Pixels that a pointer may move within a click."""
STEPS = {"Left": (-1, -1), "Right": (-1, 1), "Up": (-2, -1), "Down": (-2, 1)}
"""Displayed axis and step of each arrow key."""

TYPED = (QAbstractButton, QAbstractItemView, QAbstractSlider, QAbstractSpinBox, QComboBox, QLineEdit)
"""Widgets with a use for keys; napari hands the canvas those that they leave over."""


class GridHand:
    """Listens to the canvas of one viewer.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer.
    tile_at : callable
        Returns the tile at a place in the world, None where none is drawn.
    pick : callable
        Called with the tile that was clicked, or None beside all tiles.
    ask : callable
        Called when the tile that was picked just before was double-clicked, or Enter pressed.
    step : callable
        Called with displayed axis (-1 the last) and step of an arrow key.
    next_failed : callable
        Called for the key N.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        tile_at: Callable[[Sequence[float]], int | None],
        pick: Callable[[int | None], None],
        ask: Callable[[], None],
        step: Callable[[int, int], None],
        next_failed: Callable[[], None],
    ) -> None:
        self._viewer, self._tile_at, self._pick, self._ask = viewer, tile_at, pick, ask
        self._keys: dict[str, Callable[[], None]] = {
            "Enter": ask,
            "Escape": lambda: pick(None),
            "N": next_failed,
            **{key: lambda way=way: step(*way) for key, way in STEPS.items()},
        }
        self._bound: list[tuple[Any, str, Any]] = []
        self._wanted: frozenset[str] = frozenset()
        self._closed = False
        viewer.mouse_drag_callbacks.append(self._pressed)
        # napari calls all callbacks of a double-click, whatever one of them did: ours stands for all
        self._others = list(viewer.mouse_double_click_callbacks)
        viewer.mouse_double_click_callbacks[:] = [self._double_clicked]
        viewer.layers.selection.events.active.connect(self._bind)

    def close(self) -> None:
        """Give the viewer back as it was."""
        self._closed = True
        self.listen(picked=False, failed=False)
        viewer, twice = self._viewer, self._viewer.mouse_double_click_callbacks
        viewer.layers.selection.events.active.disconnect(self._bind)
        if self._pressed in viewer.mouse_drag_callbacks:
            viewer.mouse_drag_callbacks.remove(self._pressed)
        if self._double_clicked in twice:  # else another dock has it among those that it stands for
            at = twice.index(self._double_clicked)
            twice[at : at + 1] = self._others

    def listen(self, picked: bool, failed: bool) -> None:
        """Take the keys that mean something now: all if a tile is picked, N if tiles failed."""
        wanted = frozenset(self._keys) if picked else frozenset({"N"} if failed else ())
        if wanted != self._wanted:
            self._wanted = wanted
            self._bind()

    # -- the pointer -----------------------------------------------------------------------------

    def _free(self) -> bool:
        """Return whether clicks are not for the active layer, to draw or move something."""
        active = self._viewer.layers.selection.active
        return not self._closed and (active is None or active.mode == "pan_zoom")

    def _pressed(self, _viewer: Any, event: Any) -> Generator[None, None, None]:
        """Pick a tile at a click; a drag moves the view."""
        if not self._free() or event.button != 1 or event.modifiers:
            return
        start = np.array(event.pos)
        yield
        while event.type == "mouse_move":
            yield
        if np.abs(np.array(event.pos) - start).max() <= STILL:
            self._pick(self._tile_at(event.position))

    def _double_clicked(self, viewer: Any, event: Any) -> None:
        tile = self._tile_at(event.position) if self._free() and not event.modifiers else None
        if tile is None:
            for other in self._others:
                other(viewer, event)
            return
        self._pick(tile)
        self._ask()

    # -- keys ------------------------------------------------------------------------------------

    def _bind(self, _event: Any = None) -> None:
        """Bind keys to the viewer, and to the active layer, which has others at them."""
        for provider, key, former in self._bound:
            provider.bind_key(key, None)
            if former is not None:
                provider.bind_key(key, former)
        self._bound = []
        active = self._viewer.layers.selection.active
        for provider in (self._viewer, active):
            if provider is not None:
                for key in sorted(self._wanted):
                    former = provider.bind_key(key, None)
                    provider.bind_key(key, self._action(key, provider))
                    self._bound.append((provider, key, former))

    def _action(self, key: str, provider: Any) -> Callable[[Any], Any]:
        own = next((m[key] for m in _keymaps(provider) if key in m), None)

        def act(_provider: Any) -> Any:
            if self._free() and not isinstance(QApplication.focusWidget(), TYPED):
                return self._keys[key]()
            return own(provider) if callable(own) else None

        return act


def _keymaps(provider: Any) -> list[dict[str, Any]]:
    """Return what keys do by the classes of a viewer or layer, by the names of keys."""
    maps = [vars(kind).get("class_keymap", {}) for kind in type(provider).__mro__]
    return [{str(key): act for key, act in keymap.items()} for keymap in maps]
