"""Which image of a plate or collection is opened: asked where there are several. Knows no layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QApplication, QInputDialog

from seamlabel.errors import ImageError
from seamlabel.io.ngff.listing import members
from seamlabel.io.ngff.nodes import Node

if TYPE_CHECKING:
    from seamlabel.io.ngff.listing import Member

SHOWN = 3
"""Images that an error names."""


def choices(path: str) -> list[Member]:
    """Return the images of a plate, well or collection; none if it is none, or cannot be read."""
    try:
        return members(Node.at(path))
    except ImageError:
        return []


def chosen(path: str) -> str | None:
    """Return the path itself, or of a plate or collection the image that the user picks; None for none.

    Raises
    ------
    ImageError
        If there are several images, and nobody to ask.
    """
    images = choices(path)
    if len(images) < 2:
        return images[0].full if images else path
    if QApplication.instance() is None:
        some = ", ".join(image.full for image in images[:SHOWN])
        raise ImageError(f"{path} holds {len(images):,} images", f"Give one: {some}, …")
    asked = QInputDialog(QApplication.activeWindow())
    asked.setWindowTitle("Open which image?")
    asked.setLabelText(f"{len(images):,} images are in {path.rpartition('/')[2]}.")
    asked.setComboBoxItems([image.path for image in images])
    asked.setComboBoxEditable(False)
    if not asked.exec():
        return None
    return next(image.full for image in images if image.path == asked.textValue())
