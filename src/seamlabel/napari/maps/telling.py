"""What the dock of maps says of a run: how far it is, and what is there once it was stopped."""

from __future__ import annotations

from seamlabel.napari.run.progress import duration

LEAST = 3
"""Tiles before a time is told: the first ones are no measure."""


def progress_text(done: int, total: int, seconds: float) -> str:
    """Return the line beside the bar, after so many seconds."""
    if not total:
        return "Trying the first tile"
    if done == total:
        return "Writing the pyramid"
    left = f"{duration(seconds / done * (total - done))} left" if done >= LEAST else "– left"
    return f"Predicting {done:,}/{total:,} · {left}"


def stopped_text(done: int, total: int, whole: bool) -> str:
    """Return what is said of a run that was stopped; `whole` tells whether any block is on disk."""
    if not total:
        return "Stopped before the first tile"
    kept = "Run goes on with what is whole." if whole else "No block was whole yet: Run begins anew."
    return f"Stopped at {done:,}/{total:,}. {kept}"
