"""`RemoteStore`: a read-only zarr store at an address, whose answers are checked before zarr sees them.

What is not there reads as missing only where the image itself still is there. Knows keys, no NGFF.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NoReturn

from zarr.abc.store import OffsetByteRequest, RangeByteRequest, SuffixByteRequest
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import ObjectStore

from seamlabel.errors import RemoteError
from seamlabel.io.ngff.strict import MOST_BYTES
from seamlabel.io.regular import Irregular
from seamlabel.io.remote_access import Patience, client_of
from seamlabel.io.remote_causes import cause_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype

DOCUMENTS = ("zarr.json", ".zgroup", ".zattrs", ".zarray")
_UNASKED = ".zmetadata"
"""Metadata of all nodes in one: not read, because nobody checks them."""
_INDICES, _INDEX_BYTES = 256, 1 << 18
"""Indices of shards that are kept, and how long they may be."""
_AT_ONCE = 64
"""Requests to one store that are under way together; more make no server quicker."""
_PROBE = "seamlabel-asks-for-what-is-not-there"
"""A name that no image has."""


class RemoteStore(ObjectStore[Any]):  # type: ignore[misc]
    """What lies at an address; makes its own client wherever it is unpickled.

    Documents of a node are asked for once, so that what was checked is what zarr gets.

    Parameters
    ----------
    address : str
        As `clean_address` gives it.

    Raises
    ------
    ImageError
        If obstore is not installed.
    """

    longest = 0
    """Bytes that a chunk may have; not looked at where it is 0."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._patience = Patience.of()
        super().__init__(client_of(address, self._patience), read_only=True)
        self._gate = asyncio.Semaphore(_AT_ONCE)
        self._indices: OrderedDict[tuple[str, int], asyncio.Future[bytes | None]] = OrderedDict()
        self.missed = 0
        """Times that something was not there."""
        self._documents: dict[str, bytes | None] = {}
        self.hides: bool | None = None
        """Whether it is said of what is not there that it is not allowed; None if nobody asked."""

    def __reduce__(self) -> Any:
        """Be made anew elsewhere."""
        return type(self), (self.address,)

    def __str__(self) -> str:
        """Return the address, for messages."""
        return self.address

    def with_read_only(self, read_only: bool = False) -> RemoteStore:
        """Return itself: it is read-only."""
        if not read_only:
            msg = "a remote image is read-only"
            raise ValueError(msg)
        return self

    def documents(self, node: str) -> dict[str, bytes | None]:
        """Return the documents of a node as they are there, by name; None where there is none.

        Raises
        ------
        Irregular
            If one is too long.
        RemoteError
            If the server does not give them.
        """
        prefix = f"{node.strip('/')}/" if node else ""
        keys = [f"{prefix}{name}" for name in DOCUMENTS]
        if any(key not in self._documents for key in keys):
            self._documents.update(zip(keys, sync(self._all(keys)), strict=True))
        return {name: self._documents[key] for name, key in zip(DOCUMENTS, keys, strict=True)}

    def check_there(self, node: str) -> None:
        """Raise if an array's metadata are gone: then its chunks are not missing, but out of reach.

        Raises
        ------
        RemoteError
            If so, or if the server does not tell.
        """
        known = next(name for name, data in self.documents(node).items() if data is not None)
        if sync(self._asked(f"{node}/{known}", None, MOST_BYTES, denied=False)) is None:
            msg = f"{self.address}/{node} is gone: its metadata are not there any more"
            raise RemoteError(msg, "Check the address, and run again")

    async def get(
        self, key: str, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Return what is there, or a part of it; None if it is not there.

        Raises
        ------
        RemoteError
            If the server does not give it.
        Irregular
            If it is longer than it can be.
        """
        if key.endswith(_UNASKED):
            return None
        if key in self._documents:
            data = self._documents[key]
        elif isinstance(byte_range, SuffixByteRequest):
            data = await self._index(key, byte_range)
        else:
            data = await self._asked(key, byte_range, self.longest)
        if data is None:
            return None
        return (prototype or default_buffer_prototype()).buffer.from_bytes(data)

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """Return several things as `get` gives them."""
        return list(await asyncio.gather(*(self.get(key, prototype, part) for key, part in key_ranges)))

    async def exists(self, key: str) -> bool:
        """Return whether something is there."""
        return await self.get(key) is not None

    async def _index(self, key: str, part: SuffixByteRequest) -> bytes | None:
        """Return the end of a shard, which tells where its chunks are, and is asked for with each of them."""
        kept = (key, part.suffix)
        if kept not in self._indices:
            self._indices[kept] = asyncio.ensure_future(self._asked(key, part, self.longest))
            while len(self._indices) > _INDICES:
                self._indices.popitem(last=False)
        task = self._indices[kept]
        try:
            data = await asyncio.shield(task)
        except BaseException:
            self._indices.pop(kept, None)
            raise
        if data is None or len(data) > _INDEX_BYTES:
            self._indices.pop(kept, None)
        return data

    async def _all(self, keys: list[str]) -> list[bytes | None]:
        return list(await asyncio.gather(*(self._asked(key, None, MOST_BYTES) for key in keys)))

    async def _asked(
        self, key: str, part: ByteRequest | None, longest: int, *, denied: bool = True
    ) -> bytes | None:
        """Return bytes, None if they are not there; `denied` may mean that."""
        from obstore import exceptions

        for attempt in range(self._patience.retries + 1):
            try:
                async with self._gate:
                    return await self._fetched(key, part, longest)
            except FileNotFoundError:
                self.missed += 1
                return None
            except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
                if denied and await self._hides_missing():
                    self.missed += 1
                    return None
                self._fail(key, error)
            except (exceptions.BaseError, OSError) as error:
                # obstore asks again by itself, but not where an answer breaks off half-way
                if "IncompleteBody" not in str(error) or attempt == self._patience.retries:
                    self._fail(key, error)
                await asyncio.sleep(0.5 * 2**attempt)
        raise AssertionError

    async def _fetched(self, key: str, part: ByteRequest | None, longest: int) -> bytes:
        import obstore

        options: Any = {} if part is None else {"range": _obstore_range(part)}
        try:
            found = await obstore.get_async(self.store, key, options=options)
        except obstore.exceptions.NotSupportedError:  # a server that gives nothing in parts
            found = await obstore.get_async(self.store, key)
        else:
            options = {}
        size = int(found.meta["size"])
        if 0 < longest < size:
            raise Irregular(f"{self.address}/{key} has {size:,} bytes, which cannot be right")
        data = bytes(await found.bytes_async())
        return _cut(data, part) if options and part is not None else data

    async def _hides_missing(self) -> bool:
        """Return whether the server says of what is not there that it is not allowed.

        Public buckets do, if nobody may list them. Asked once: a key that no image has.
        """
        from obstore import exceptions

        if self.hides is None:
            try:
                await self._fetched(_PROBE, None, 0)
                self.hides = False
            except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError):
                self.hides = True
            except (exceptions.BaseError, OSError):
                return False
        return self.hides

    def _fail(self, key: str, error: Exception) -> NoReturn:
        cause, hint = cause_of(error, self.address.partition(":")[0])
        raise RemoteError(f"{self.address}/{key} cannot be read: {cause}", hint) from None


def _obstore_range(part: ByteRequest) -> Any:
    if isinstance(part, RangeByteRequest):
        return (part.start, part.end)
    return {"offset": part.offset} if isinstance(part, OffsetByteRequest) else {"suffix": part.suffix}


def _cut(data: bytes, part: ByteRequest) -> bytes:
    if isinstance(part, RangeByteRequest):
        return data[part.start : part.end]
    return data[-part.suffix :] if isinstance(part, SuffixByteRequest) else data[part.offset :]
