"""Everything that touches storage; the only part that imports zarr."""
