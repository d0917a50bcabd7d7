"""The error tree and `Problem`, and nothing else.

::

    SeamlabelError                     everything this package raises on purpose
    ├── SpecError        (ValueError)  the request cannot be planned; `.problems` name the fields
    ├── ImageError       (ValueError)  the image cannot be opened or understood
    │   └── RemoteError                its server does not answer, or refuses; ends a run
    ├── OutputError      (OSError)     the labels cannot be written where they were asked for
    │   └── UnfinishedError            an unfinished run is in the way; `.differ` says in what it differs
    ├── BackendError     (ValueError)  a backend is unknown, not installed, or cannot be made
    ├── TileError        (ValueError)  one tile failed; `.tile` is its number
    ├── WorkerError      (OSError)     a process ended, or took too long, while it worked on a tile
    └── IncompleteError                a run ended with failed tiles; `.failed` maps tile to reason

None derives from RuntimeError: napari's generator workers swallow those.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a request.

    Parameters
    ----------
    field : str
        Name of the field of `RunSpec`, dotted for parts (``"params.sigma"``).
    message : str
        What is wrong, with the offending value.
    fix : str
        How to mend it, in the imperative.
    """

    field: str
    message: str
    fix: str = ""

    def __str__(self) -> str:
        """Return ``field: message. fix``, on one line."""
        text = f"{self.field}: {self.message}"
        return f"{text}. {self.fix}" if self.fix else text


class SeamlabelError(Exception):
    """Base of all errors of this package; `hint` says how to mend it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def __reduce__(self) -> Any:
        """Be passed between processes with all that is known, whatever `__init__` takes."""
        return _again, (type(self), self.args, self.__dict__)


def _again(kind: type[SeamlabelError], args: tuple[Any, ...], known: dict[str, Any]) -> SeamlabelError:
    """Return an error as it was before it was pickled."""
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(known)
    return error


class SpecError(SeamlabelError, ValueError):
    """A request that cannot be planned; `problems` lists why, by field."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class ImageError(SeamlabelError, ValueError):
    """An image that cannot be opened, or has no axes that can be tiled."""


class RemoteError(ImageError):
    """An image whose server does not answer, or refuses; it ends a run, which can go on later."""


class OutputError(SeamlabelError, OSError):
    """Labels that cannot be written where they were asked for."""

    def __init__(self, message: str, hint: str = "") -> None:
        SeamlabelError.__init__(self, message, hint)


class UnfinishedError(OutputError):
    """An unfinished run that is in the way of another, which does not go on with it.

    Parameters
    ----------
    message : str
        What is there, and why there is no going on.
    hint : str
        What can be done.
    differ : sequence of str
        In what the two differ, in words; empty where nobody asked to go on.
    code_only : bool
        Whether they differ in the method's code alone, so that finished tiles can be kept.
    """

    def __init__(
        self, message: str, hint: str = "", differ: Sequence[str] = (), *, code_only: bool = False
    ) -> None:
        super().__init__(message, hint)
        self.differ, self.code_only = tuple(differ), code_only


class BackendError(SeamlabelError, ValueError):
    """A backend that is unknown, not installed, or cannot be made."""


class TileError(SeamlabelError, ValueError):
    """A tile whose segmentation failed or gave something that is not labels."""

    def __init__(self, tile: int, message: str, hint: str = "") -> None:
        super().__init__(f"tile {tile}: {message}", hint)
        self.tile = tile
        self.reason = message


class WorkerError(SeamlabelError, OSError):
    """A process that ended, or took longer than allowed, while it worked on a tile.

    Parameters
    ----------
    message : str
        What happened, such as "the process that segmented it was killed (signal 9)".
    hint : str
        How to mend it.
    memory : bool
        Whether the process may have been killed because memory ran out.
    fatal : bool
        Whether no other tile can be worked on either, so that the run must end.
    """

    def __init__(self, message: str, hint: str = "", *, memory: bool = False, fatal: bool = False) -> None:
        SeamlabelError.__init__(self, message, hint)
        self.memory = memory
        self.fatal = fatal


class IncompleteError(SeamlabelError):
    """A run in which tiles failed; no labels were written to the image."""

    def __init__(self, failed: Mapping[int, str], run_dir: str = "") -> None:
        self.failed: dict[int, str] = dict(failed)
        self.run_dir = run_dir
        number, reason = next(iter(self.failed.items()))
        super().__init__(
            f"{len(self.failed)} tile(s) failed, the labels were not written; tile {number}: {reason}",
            f"Mend the cause, then segment them again: seamlabel resume {run_dir} --retry-failed",
        )
