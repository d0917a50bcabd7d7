"""What zarr-python reads for us, kept within bounds: plain files only, and chunks no longer than they are.

Only this read-only store and these arrays; zarr's own registry stays as it is. Knows no NGFF.
"""

from __future__ import annotations

import asyncio
import os
import stat
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any

from zarr.abc.codec import BytesBytesCodec
from zarr.codecs import ShardingCodec
from zarr.core.codec_pipeline import BatchedCodecPipeline
from zarr.storage import LocalStore

from seamlabel.io.bounded import CODECS
from seamlabel.io.pictures import PICTURES, Picture
from seamlabel.io.regular import Irregular

if TYPE_CHECKING:
    from pathlib import Path

    import zarr
    from zarr.abc.codec import Codec
    from zarr.abc.store import ByteRequest
    from zarr.core.array_spec import ArraySpec
    from zarr.core.buffer import Buffer, BufferPrototype


class GuardedStore(LocalStore):  # type: ignore[misc]
    """A folder whose pipes, devices and folders in place of files are refused instead of waited for.

    `longest` is how many bytes a file may have; not looked at where it is 0.
    """

    longest = 0

    async def get(
        self,
        key: str,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """Return what is in a file, or a part of it; None if it is not there."""
        self._check(self.root / key, byte_range)
        return await super().get(key, prototype, byte_range)

    def _check(self, path: Path, byte_range: ByteRequest | None) -> None:
        """Raise `Irregular` if there is something that is no plain file, or not as long as it should be."""
        try:
            found = os.stat(path)
        except OSError:
            if os.path.islink(path):
                raise Irregular(f"{path} is a link to a file that is not there") from None
            return
        if not stat.S_ISREG(found.st_mode):
            raise Irregular(f"{path} is not a file")
        wanted = getattr(byte_range, "end", 0)
        if wanted > found.st_size or (byte_range is None and 0 < self.longest < found.st_size):
            raise Irregular(f"{path} has {found.st_size:,} bytes, which cannot be right")


def guard_array(array: zarr.Array[Any]) -> zarr.Array[Any]:
    """Return an array whose chunks are decoded within bounds; others that read it are not touched.

    Where another program than zarr-python decodes (zarr's setting ``codec_pipeline``), it does as it does.
    """
    inner = array.async_array
    pipeline = inner.codec_pipeline
    size = prod(array.shards or array.chunks) * array.dtype.itemsize
    if isinstance(array.store, GuardedStore):
        array.store.longest = max(array.store.longest, most_encoded(size))
    if type(pipeline) is BatchedCodecPipeline:
        bounded = BatchedCodecPipeline.from_codecs([_bounded(codec, array, size) for codec in pipeline])
        object.__setattr__(inner, "codec_pipeline", bounded)
    return array


def most_encoded(size: int) -> int:
    """Return how long `size` bytes can be when they are encoded: codecs add a little to what is random."""
    return 2 * size + (1 << 20)


def _bounded(codec: Codec, array: zarr.Array[Any], size: int) -> Codec:
    if isinstance(codec, ShardingCodec):
        inside = [_bounded(part, array, size) for part in codec.codecs]
        return replace(codec, codecs=tuple(inside))
    inner = getattr(codec, "compressor", None)
    if inner is not None:  # all of zarr 2 in one
        if inner.codec_id in PICTURES:
            return replace(codec, compressor=Picture(inner, array.chunks, array.dtype))
        return replace(codec, compressor=_Compressor(inner, size))
    if isinstance(codec, BytesBytesCodec):
        name = str(codec.to_dict()["name"]).removeprefix("numcodecs.")
        return _Bounded(name, codec) if name in CODECS else codec
    return codec


@dataclass(frozen=True)
class _Compressor:
    """What zarr 2 calls a compressor, bounded where it decodes."""

    inner: Any
    size: int

    def encode(self, data: Any) -> Any:
        return self.inner.encode(data)

    def decode(self, data: Any, out: Any = None) -> Any:
        return CODECS[self.inner.codec_id](memoryview(data).cast("B"), self.size, most_encoded(self.size))


@dataclass(frozen=True)
class _Bounded(BytesBytesCodec):  # type: ignore[misc]
    """A codec of zarr 3, bounded where it decodes."""

    name: str
    inner: Any

    is_fixed_size = False

    def to_dict(self) -> dict[str, Any]:
        return dict(self.inner.to_dict())

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: ArraySpec) -> int:
        return int(self.inner.compute_encoded_size(input_byte_length, chunk_spec))

    async def _decode_single(self, chunk_bytes: Buffer, chunk_spec: ArraySpec) -> Buffer:
        size = prod(chunk_spec.shape) * chunk_spec.dtype.to_native_dtype().itemsize
        data = memoryview(chunk_bytes.as_numpy_array()).cast("B")
        decoded = await asyncio.to_thread(CODECS[self.name], data, size, most_encoded(size))
        return chunk_spec.prototype.buffer.from_bytes(bytes(decoded))

    async def _encode_single(self, chunk_bytes: Buffer, chunk_spec: ArraySpec) -> Buffer | None:
        return await self.inner._encode_single(chunk_bytes, chunk_spec)
