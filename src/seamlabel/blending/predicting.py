"""Predicts the patches that a blend waits for, several at once, and adds what comes back.

Patches are begun in the order in which the blend wants them, and no more of them than there are workers
are ahead of it. Knows no model and no storage.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from seamlabel.errors import BackendError, TileError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from numpy.typing import NDArray

    from seamlabel.blending.blend import Blend
    from seamlabel.geometry import Box

_AHEAD = 2
"""Patches begun per worker."""


def predict(  # noqa: PLR0913 - one call, options by name
    blend: Blend,
    read: Callable[[Box], NDArray[Any]],
    model: Callable[[NDArray[Any]], Any],
    *,
    workers: int = 1,
    retries: int = 0,
    skip: Callable[[Box], bool] | None = None,
    skipped: float = 0.0,
    batch: int = 1,
    known: dict[int, tuple[NDArray[Any], Any]] | None = None,
) -> Generator[int, None, None]:
    """Predict every patch that is needed; yield its number once it was added. The blend is finished then.

    Parameters
    ----------
    blend : Blend
        What waits for patches.
    read : callable
        ``read(box)`` gives the pixels of a patch, shape (channels, *patch) or patch.
    model : callable
        Returns values of shape (outputs, *patch) or patch; or a tuple of these and of their variances. For
        a batch it gets and returns arrays with an axis for the patches in front. A list is refused: it
        could be either.
    workers : int
        Threads that read and predict.
    retries : int
        How often a patch that fails is tried again.
    skip : callable, optional
        ``skip(box)`` says that nothing is to be predicted in a patch: it has `skipped` everywhere.
    skipped : float
        The value of such patches.
    batch : int
        Patches that the model gets at once; 0 or 1: one, without an axis for them.
    known : dict, optional
        Values and variances (or None) of patches that were predicted before, by number; taken out of it.

    Raises
    ------
    TileError
        If a patch fails; says which, and why. Of a batch that fails each patch is tried by itself.
    """
    work = _Work(blend, read, model, retries, skip, skipped, batch, {} if known is None else known)
    groups = _groups(blend.needed(), max(1, batch))
    if workers <= 1:  # no thread of its own: handing over costs more than small patches do
        for group in groups:
            work(group)
            yield from group
    else:
        yield from _several(work, groups, workers)
    blend.finish()


def _several(work: _Work, groups: Iterator[list[int]], workers: int) -> Iterator[int]:
    """Work on groups in threads, no more of them ahead than these need; yield numbers in order."""
    with ThreadPoolExecutor(workers, thread_name_prefix="seamlabel-blend") as pool:
        running: deque[tuple[list[int], Future[None]]] = deque()
        try:
            for group in groups:
                running.append((group, pool.submit(work, group)))
                if len(running) >= _AHEAD * workers:
                    yield from _ended(running)
            while running:
                yield from _ended(running)
        finally:
            for _, future in running:
                future.cancel()


def answered(answer: Any) -> tuple[Any, Any]:
    """Return values and variances (or None) of what a model says.

    Raises
    ------
    BackendError
        If it is a list, or nothing.
    """
    if answer is None:
        raise BackendError("the model answers with nothing", "Return an array of the values")
    if isinstance(answer, list):
        msg = f"the model answers with a list of {len(answer)}: are these outputs, or values and variances?"
        raise BackendError(msg, "Return one array, np.stack([...]), or a tuple: (values, variances)")
    if isinstance(answer, tuple) and len(answer) != 2:
        msg = f"the model answers with a tuple of {len(answer)}"
        raise BackendError(msg, "Return one array of all outputs, or a tuple: (values, variances)")
    return answer if isinstance(answer, tuple) else (answer, None)


def _groups(numbers: Iterator[int], size: int) -> Iterator[list[int]]:
    group: list[int] = []
    for number in list(numbers):
        group.append(number)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


def _ended(running: deque[tuple[list[int], Future[None]]]) -> Iterator[int]:
    group, future = running.popleft()
    future.result()
    yield from group


class _Work:
    """Reads, predicts and adds patches."""

    def __init__(self, blend: Blend, read: Any, model: Any, retries: int, *more: Any) -> None:
        self.blend, self.read, self.model, self.retries = blend, read, model, retries
        self.skip, self.skipped, self.batch, self.known = more

    def __call__(self, group: list[int]) -> None:
        for left in range(self.retries, -1, -1):
            try:
                return self._predict(group)
            except Exception as error:  # a model raises what it likes
                if not left:
                    raise self._blamed(group, error) from error
        return None

    def _blamed(self, group: list[int], error: Exception) -> TileError:
        """Return an error that names the patch; of a batch it is looked for one by one."""
        told = f"{type(error).__name__}: {error}"
        if len(group) == 1:
            return TileError(group[0], told)
        for number in group:
            try:
                self._predict([number])
            except Exception as one:  # noqa: BLE001 - a model raises what it likes
                return TileError(number, f"{type(one).__name__}: {one}")
        msg = f"{told} (in a batch with {', '.join(map(str, group[1:]))}; each by itself is predicted)"
        return TileError(group[0], msg, "Ask for smaller batches")

    def _predict(self, group: list[int]) -> None:
        wanted = []
        for number in group:
            box = self.blend.grid[number].box
            if self.skip is not None and self.skip(box):
                self.blend.skip(number, self.skipped)
            elif number in self.known:
                self.blend.add(number, *self.known[number])
                del self.known[number]
            else:
                wanted.append(number)
        if not wanted:
            return
        pixels = [self.read(self.blend.grid[number].box) for number in wanted]
        answer = self.model(np.stack(pixels) if self.batch > 1 else pixels[0])
        values, variances = answered(answer)
        for place, number in enumerate(wanted):
            one = values[place] if self.batch > 1 else values
            spread = None if variances is None else variances[place] if self.batch > 1 else variances
            self.blend.add(number, np.asarray(one), None if spread is None else np.asarray(spread))
