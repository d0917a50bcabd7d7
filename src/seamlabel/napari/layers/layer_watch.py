"""`LayerWatch`: tells when the layer that is looked at is no longer what it was.

Knows layers and a timer; nothing of what a change means.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Layer
    from qtpy.QtCore import QObject

CHANGES = ("data", "scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
"""Events of a layer after which it is another image, or lies elsewhere."""


class LayerWatch:
    """Watches one layer at a time; several changes at once are told once.

    Parameters
    ----------
    at_once : callable
        Called with every change: what is drawn for the layer as it was must not be drawn any more.
    changed : callable
        Called after changes.
    parent : QObject
        Owner of the timer.
    """

    def __init__(self, at_once: Callable[[], None], changed: Callable[[], None], parent: QObject) -> None:
        self._layer: Layer | None = None
        self._at_once = at_once
        self._soon = QTimer(parent)
        self._soon.setSingleShot(True)
        self._soon.setInterval(0)
        self._soon.timeout.connect(changed)

    def follow(self, layer: Layer | None) -> None:
        """Watch this layer from now on, and no other; None for none."""
        if layer is self._layer:
            return
        before, self._layer = self._layer, layer
        if before is not None:
            for name in CHANGES:
                getattr(before.events, name).disconnect(self._begin)
        if layer is not None:
            for name in CHANGES:
                getattr(layer.events, name).connect(self._begin)

    def _begin(self, _event: Any = None) -> None:
        self._at_once()
        self._soon.start()
