"""Each file here is for one Cellpose, and is left out where another or none is installed."""

from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError, version

import pytest
from tests.with_cellpose.training import DIAMETER, train

try:
    MAJOR = int(version("cellpose").partition(".")[0])
except PackageNotFoundError:
    MAJOR = 0

collect_ignore = [
    name
    for name, made_for in [
        ("test_cellpose_three.py", 3),
        ("test_cellpose_maps.py", 3),
        ("test_cellpose_four.py", 4),
    ]
    if made_for != MAJOR
]


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A model of Cellpose 3."""
    given = os.environ.get("SEAMLABEL_CELLPOSE_MODEL")
    return given or train(tmp_path_factory.mktemp("model"))[0]


@pytest.fixture(scope="session")
def asked(trained):
    return {"model": trained, "diameter": DIAMETER}
