"""Decoded chunks kept in memory within a budget, each loaded by one thread for all that want it.

Knows keys, arrays and bytes; knows no images and not how a chunk is loaded.
"""

from __future__ import annotations

from collections import OrderedDict
from concurrent.futures import Future
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from numpy.typing import NDArray

    Load = Callable[[list[Any]], Iterable[tuple[Any, NDArray[Any]]]]
    """``load(keys)`` yields every key with its chunk."""

_AHEAD_SHARE = 4
"""Chunks loaded ahead that nobody asked for yet take at most this part of the budget."""
_LEAST_COST = 1024
"""Bytes that a chunk of one repeated value counts for, about what its entry takes."""


class ChunkCache:
    """Chunks by key, the least recently used dropped first. Safe to use from several threads.

    Parameters
    ----------
    budget : int
        Bytes that the kept chunks may take.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.held = 0
        self._chunks: OrderedDict[Hashable, NDArray[Any]] = OrderedDict()
        self._loading: dict[Hashable, Future[NDArray[Any]]] = {}
        self._ahead: dict[Hashable, int] = {}
        self._lock = Lock()

    def get(self, keys: Iterable[Hashable], load: Load) -> dict[Any, NDArray[Any]]:
        """Return the chunks of these keys, read-only; load those that nobody has or loads.

        Where another thread's loading fails, the chunk is loaded here: that may have failed of another
        chunk that was loaded together with it.
        """
        found: dict[Any, NDArray[Any]] = {}
        theirs: dict[Any, Future[NDArray[Any]]] = {}
        mine: list[Any] = []
        with self._lock:
            for key in keys:
                self._ahead.pop(key, None)
                if key in self._chunks:
                    self._chunks.move_to_end(key)
                    found[key] = self._chunks[key]
                elif key in self._loading:
                    theirs[key] = self._loading[key]
                else:
                    self._loading[key] = Future()
                    mine.append(key)
        if mine:
            found |= self._load(mine, load)
        for key, future in theirs.items():
            alone = future.exception() is not None
            found |= self.get([key], load) if alone else {key: future.result()}
        return found

    def lacks(self, keys: Iterable[Hashable]) -> bool:
        """Return whether any of these chunks is neither kept nor being loaded."""
        with self._lock:
            return not all(key in self._chunks or key in self._loading for key in keys)

    def warm(self, keys: Iterable[Hashable], load: Load, size: int) -> None:
        """Load chunks of `size` bytes before they are asked for, as many as a part of the budget holds."""
        mine: list[Any] = []
        with self._lock:
            room = self.budget // _AHEAD_SHARE - sum(self._ahead.values())
            for key in keys:
                if key in self._chunks:
                    self._chunks.move_to_end(key)
                elif key not in self._loading and size <= room:
                    room -= size
                    self._loading[key] = Future()
                    self._ahead[key] = size
                    mine.append(key)
        if mine:
            self._load(mine, load)

    def clear(self) -> None:
        """Let go of all chunks kept; those being loaded still reach whoever waits for them."""
        with self._lock:
            for key in self._chunks:
                self._ahead.pop(key, None)
            self._chunks.clear()
            self.held = 0

    def _load(self, keys: list[Any], load: Load) -> dict[Any, NDArray[Any]]:
        found = {}
        try:
            for key, chunk in load(keys):
                chunk.setflags(write=False)
                found[key] = chunk
                self._keep(key, chunk)
        except BaseException as error:
            for key in keys:
                self._fail(key, error)
            raise
        return found

    def _keep(self, key: Hashable, chunk: NDArray[Any]) -> None:
        with self._lock:
            self._chunks[key] = chunk
            self.held += _cost(chunk)
            while self.held > self.budget:
                old, dropped = self._chunks.popitem(last=False)
                self.held -= _cost(dropped)
                self._ahead.pop(old, None)
            future = self._loading.pop(key)
        future.set_result(chunk)

    def _fail(self, key: Hashable, error: BaseException) -> None:
        with self._lock:
            future = self._loading.pop(key, None)
            self._ahead.pop(key, None)
        if future is not None:
            future.set_exception(error)


def _cost(chunk: NDArray[Any]) -> int:
    return chunk.nbytes if any(chunk.strides) else _LEAST_COST
