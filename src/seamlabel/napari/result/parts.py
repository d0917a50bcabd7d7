"""Which parts the result panel has, from top to bottom."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seamlabel.napari.result.edits import EditsBox
from seamlabel.napari.result.failed import FailedBox
from seamlabel.napari.result.footer import Footer
from seamlabel.napari.result.health import HealthBox
from seamlabel.napari.result.highlight import Highlight
from seamlabel.napari.result.merge_box import MergeBox
from seamlabel.napari.result.seams import SeamsBox
from seamlabel.napari.result.table_part import TablePart
from seamlabel.napari.result.unsaved import Unsaved

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget


def make_parts() -> list[QWidget]:
    """Return new parts for one dock."""
    highlight = Highlight()
    mending = [SeamsBox(highlight), EditsBox(highlight)]
    return [Unsaved(), FailedBox(), HealthBox(), MergeBox(), *mending, TablePart(), Footer()]
