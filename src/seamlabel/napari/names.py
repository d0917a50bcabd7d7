"""Names of labels: one that is free. Knows no store."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


def free_name(name: str, taken: Collection[str]) -> str:
    """Return a name that is not taken: NAME, else NAME-2 and so on."""
    number, free = 2, name
    while free in taken:
        free, number = f"{name}-{number}", number + 1
    return free
