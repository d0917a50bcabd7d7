"""Methods of tests: one whose tiles agree, and one whose tiles do not."""

import numpy as np
from scipy import ndimage

CROSS = np.ones((3, 3), int)


def bright(tile):
    return ndimage.label(tile > 2000, CROSS)[0]


def jagged(tile):
    """Depends on the tile as a whole, so that tiles disagree."""
    mask = ndimage.gaussian_filter(tile.astype(float), 1) > 2300 + 6 * (int(tile[0, 0]) % 97)
    return ndimage.label(mask)[0]
