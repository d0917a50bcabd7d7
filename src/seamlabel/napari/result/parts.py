"""Which parts the result panel has, from top to bottom."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seamlabel.napari.result.failed import FailedBox
from seamlabel.napari.result.health import HealthBox
from seamlabel.napari.result.merge_box import MergeBox

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget


def make_parts() -> list[QWidget]:
    """Return new parts for one dock."""
    return [FailedBox(), MergeBox(), HealthBox()]
