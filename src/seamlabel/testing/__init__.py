"""Helpers for tests, shipped: synthetic cells, stores in memory, partitions, `check_backend`.

Strategies for hypothesis are in `seamlabel.testing.strategies`, which needs hypothesis.
"""

from __future__ import annotations

from seamlabel.testing.cells import Tissue
from seamlabel.testing.checks import check_backend
from seamlabel.testing.partition import PartitionReport, compare, same_partition
from seamlabel.testing.stores import MemorySink, MemoryStore

__all__ = [
    "MemorySink",
    "MemoryStore",
    "PartitionReport",
    "Tissue",
    "check_backend",
    "compare",
    "same_partition",
]
