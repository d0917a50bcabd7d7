"""OME-Zarr (NGFF): tolerant reading, writing images, and writing labels into somebody's store."""
