"""What maps of a dense prediction are called: their stores, and their channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seamlabel.errors import Problem, SpecError

if TYPE_CHECKING:
    from collections.abc import Sequence


def map_path(output: str, name: str) -> str:
    """Return the path of the map of this statistic: the mean has the one that was asked for."""
    stem, dot, rest = output.rpartition(".zarr")
    return output if name == "mean" else f"{stem}-{name}{dot}{rest}" if dot else f"{output}-{name}"


def channel_names(
    name: str, count: int, wished: Sequence[str] | None, known: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return the names of a map's channels.

    Parameters
    ----------
    name : str
        The map's statistic.
    count : int
        Channels that it has; 0: no axis of them.
    wished : sequence of str or None
        What they are to be called in the map of the mean, and in others that have as many.
    known : sequence of str
        What the backend calls its outputs, where nothing is wished; not counted if `finalize` made more
        or fewer of them.

    Raises
    ------
    SpecError
        If there are more or fewer names for the mean than channels.
    """
    if wished and name == "mean" and len(wished) != count:
        raise SpecError([Problem("outputs", f"{len(wished)} names, {count} channels", "Give one each")])
    fitting = [tuple(names) for names in (wished, known) if names and len(names) == count]
    return fitting[0] if fitting else tuple(f"output {i}" for i in range(count))
