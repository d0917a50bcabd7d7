"""Images of all kinds made into OME-Zarr: `seamlabel.io.convert.convert`."""

from seamlabel.io.convert.front import convert

__all__ = ["convert"]
