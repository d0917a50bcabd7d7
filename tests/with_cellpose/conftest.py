"""Each file here is for one Cellpose, and is left out where another or none is installed."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

try:
    MAJOR = int(version("cellpose").partition(".")[0])
except PackageNotFoundError:
    MAJOR = 0

collect_ignore = [
    name
    for name, made_for in [("test_cellpose_three.py", 3), ("test_cellpose_four.py", 4)]
    if made_for != MAJOR
]
