"""A zarr array of a stranger's that is given by itself, checked before zarr-python opens it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import zarr

from seamlabel.errors import ImageError
from seamlabel.io.guarded import guard_array
from seamlabel.io.ngff.arraydocs import DAMAGED, Refused, check_array
from seamlabel.io.ngff.opening import DOCUMENTS, ZARR_ERRORS, Folder, is_level


def open_level(text: str) -> zarr.Array[Any] | None:
    """Open a folder that is a zarr array itself, read-only; None if it is none.

    Raises
    ------
    ImageError
        If it should not be read.
    """
    path = Path(text)
    if not path.is_dir() or not is_level(path):
        return None
    place = Folder(path)
    documents = {name: place.document("", name) for name in DOCUMENTS}
    try:
        size = check_array(documents["zarr.json"] or documents[".zarray"] or {})
        array = zarr.open_array(place.store(), mode="r")
    except Refused as error:
        raise ImageError(f"{text} cannot be opened: {error}", error.hint) from None
    except ZARR_ERRORS as error:
        raise ImageError(f"{text} cannot be opened: {error}", DAMAGED) from None
    if array.shape != size.shape:
        raise ImageError(f"{text} cannot be opened: it is not what its metadata say", DAMAGED)
    return guard_array(array)
