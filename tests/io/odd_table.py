"""The table of odd stores that must open: name to what differs, and how it is wrapped."""

from __future__ import annotations

from typing import Any

import imagecodecs.numcodecs as pictures
import numcodecs
import odd_stores
from numcodecs import Blosc
from odd_stores import axes_of
from zarr.codecs import (
    BloscCodec,
    BytesCodec,
    Crc32cCodec,
    GzipCodec,
    ShardingCodec,
    TransposeCodec,
    ZstdCodec,
)
from zarr.codecs import numcodecs as v3_numcodecs

FIVE = "tczyx"
AXES = ("zyx", "cyx", "czyx", "tyx", "tcyx", "tzyx", FIVE)
DOTS = {"chunk_key_encoding": {"name": "v2", "separator": "."}}


def _v2(compressor: Any, *filters: Any) -> dict[str, Any]:
    return {"array": {"compressors": compressor, **({"filters": list(filters)} if filters else {})}}


def _v3(*codecs: Any, **more: Any) -> dict[str, Any]:
    return {"version": "0.5", "array": {"compressors": list(codecs) or None, **more}}


def _sharded(*inner: Any, **more: Any) -> dict[str, Any]:
    shards = ShardingCodec(chunk_shape=(8, 16), codecs=[BytesCodec(), *inner], **more)
    return _v3(chunks=(16, 32), serializer=shards)


VERSIONS = {
    "version 0.1, dots": {"version": "0.1", "axes": FIVE, "array": DOTS},
    "version 0.2": {"version": "0.2", "axes": FIVE},
    "version 0.3": {"version": "0.3", "axes": "czyx"},
    "version 0.4": {},
    "version 0.5": {"version": "0.5"},
    "version 0.6": {"version": "0.6", "axes": "zyx"},
    "version 0.6, moved": {"version": "0.6", "axes": "cyx", "steps": "translation"},
    "version 0.6, draft": {"version": "0.6.dev3"},
    "words of 0.4 in zarr 3": {"form": 3},
    "words of 0.5 in zarr 2": {"form": 2, "version": "0.5"},
    **{f"0.4 {axes}": {"axes": axes} for axes in (*AXES, "xyz", "yxc")},
    **{f"0.5 {axes}": {"axes": axes, "version": "0.5"} for axes in (*AXES, "xyz")},
}

CODECS = {
    **{f"blosc {name}": _v2(Blosc(name)) for name in ("lz4", "lz4hc", "blosclz", "zlib", "zstd")},
    "blosc bits": _v2(Blosc("lz4", shuffle=Blosc.BITSHUFFLE)),
    "blosc unshuffled": _v2(Blosc("zstd", shuffle=Blosc.NOSHUFFLE)),
    "zlib": _v2(numcodecs.Zlib()),
    "gzip": _v2(numcodecs.GZip()),
    "bz2": _v2(numcodecs.BZ2()),
    "lzma": _v2(numcodecs.LZMA()),
    "lz4": _v2(numcodecs.LZ4()),
    "zstd": _v2(numcodecs.Zstd()),
    "delta": _v2(numcodecs.Zlib(), numcodecs.Delta("<u2")),
    "shuffle": _v2(numcodecs.LZ4(), numcodecs.Shuffle(2)),
    "delta and shuffle": _v2(None, numcodecs.Delta("<u2"), numcodecs.Shuffle(2)),
    "checksum": _v2(numcodecs.Zstd(), numcodecs.CRC32()),
    "checksum c": _v2(numcodecs.Zstd(), numcodecs.CRC32C()),
    "fletcher": _v2(numcodecs.Zlib(), numcodecs.Fletcher32()),
    "offset": _v2(numcodecs.Zlib(), numcodecs.FixedScaleOffset(0, 1, "<u2", "|u1")),
    "astype": _v2(numcodecs.Zlib(), numcodecs.AsType("|u1", "<u2")),
    "v3 blosc": _v3(BloscCodec(cname="lz4")),
    "v3 gzip": _v3(GzipCodec()),
    "v3 zstd": _v3(ZstdCodec(checksum=True)),
    "v3 crc32c": _v3(ZstdCodec(), Crc32cCodec()),
    "v3 big-endian": _v3(ZstdCodec(), serializer=BytesCodec(endian="big")),
    "v3 transposed": _v3(GzipCodec(), filters=[TransposeCodec(order=(1, 0))]),
    "v3 zlib": _v3(v3_numcodecs.Zlib()),
    "v3 bz2": _v3(v3_numcodecs.BZ2()),
    "v3 lz4": _v3(v3_numcodecs.LZ4()),
    "v3 lzma": _v3(v3_numcodecs.LZMA()),
    "v3 delta": _v3(v3_numcodecs.Zlib(), filters=[v3_numcodecs.Delta(dtype="<u2")]),
    "v3 shuffle": _v3(v3_numcodecs.Shuffle(elementsize=2), ZstdCodec()),
    "v3 dots": _v3(chunk_key_encoding={"name": "default", "separator": "."}),
    "v3 keys of v2": _v3(chunk_key_encoding={"name": "v2", "separator": "/"}),
    "v3 sharded": _sharded(ZstdCodec()),
    "v3 sharded, blosc": _sharded(BloscCodec(cname="zstd")),
    "v3 sharded, gzip": _sharded(GzipCodec()),
    "v3 sharded, index first": _sharded(ZstdCodec(), index_location="start"),
    "v3 sharded, transposed": _v3(
        chunks=(16, 32),
        serializer=ShardingCodec(
            chunk_shape=(8, 16), codecs=[TransposeCodec(order=(1, 0)), BytesCodec(), ZstdCodec()]
        ),
    ),
}

PICTURES = {
    f"picture {kind.__name__} {dtype}": _v2(kind()) | {"dtype": dtype, **more}
    for kind, dtype, more in (
        *((pictures.Jpegxl, "<u2", {}), (pictures.Jpegxl, "<f4", {"axes": "zyx"}), (pictures.Png, "<u2", {})),
        *(
            (pictures.Jpeg2k, "<u2", {}),
            (pictures.Jpegls, "|u1", {"axes": "tyx"}),
            (pictures.Htj2k, "|u1", {}),
        ),
        *((pictures.Jpegxr, "<f4", {}), (pictures.Lerc, "<f4", {}), (pictures.Ljpeg, "<u2", {})),
    )
}

TYPES = {
    **{
        f"pixels {dtype}": {"dtype": dtype}
        for dtype in ("|u1", ">u2", "<i2", ">f4", "<f8", "<u4", ">i8", "<f2")
    },
    "v3 pixels float32": {"dtype": "<f4", "version": "0.5"},
    "v3 pixels int64": {"dtype": "<i8", "version": "0.5"},
}

LAYOUTS = {
    "dots": {"array": DOTS},
    "dots, none named": {"array": DOTS, "document": {"dimension_separator": None}},
    "folders, none named": {"document": {"dimension_separator": None}},
    "F-order": {"array": {"order": "F"}},
    "F-order, big-endian, packed": {"array": {"order": "F", "compressors": Blosc()}, "dtype": ">u2"},
    "fill value null": {"array": {"fill_value": None}},
    'fill value "0"': {"document": {"fill_value": "0"}},
    "key unknown to zarr 2": {"document": {"made_by": "somebody"}},
    "no axes": {"image": {"axes": None}, "axes": "zyx"},
    "no version": {"image": {"version": None}},
    "no name": {"image": {"name": None}},
    "no types": {"image": {"axes": [{"name": "c"}, {"name": "y"}, {"name": "x"}]}, "axes": "cyx"},
    "capital axes": {"image": {"axes": [{"name": "Y", "type": "Space"}, {"name": "X", "type": "SPACE"}]}},
    "no transforms": {"steps": "none"},
    "transforms of level 0 only": {"steps": "first"},
    "translations": {"steps": "translation"},
    "transforms of all levels": {
        "image": {"coordinateTransformations": [{"type": "scale", "scale": [2.0, 3.0]}]}
    },
    "v3 transforms of all levels": {
        "version": "0.5",
        "steps": "translation",
        "image": {"coordinateTransformations": [{"type": "scale", "scale": [2.0, 3.0]}]},
    },
    "factor 4": {"factor": 4},
    "factor 1.5": {"factor": 1.5, "version": "0.5"},
    **{
        f"unit {unit}": {"image": {"axes": axes_of("yx", unit)}}
        for unit in ("nanometer", "angstrom", None, "µm", "pixel")
    },
    "channels named": {
        "axes": "cyx",
        "attrs": {"omero": {"channels": [{"label": "DAPI", "color": "0000FF"}, {"label": "GFP"}]}},
    },
    "channels half named": {"axes": "cyx", "attrs": {"omero": {"channels": [{"color": 3}]}}},
}

PLACES: dict[str, tuple[Any, dict[str, Any]]] = {
    f"{wrap.__name__} {version}": (wrap, {"version": version})
    for wrap in (
        *(odd_stores.consolidated, odd_stores.labelled, odd_stores.zipped, odd_stores.zipped_ozx),
        *(odd_stores.zipped_folder, odd_stores.series, odd_stores.series_by_xml, odd_stores.series_bare),
        *(odd_stores.second_series, odd_stores.plate_field, odd_stores.consolidated_plate_field),
        *(odd_stores.only_field, odd_stores.linked),
    )
    for version in ("0.4", "0.5")
}

TABLE: dict[str, tuple[Any, dict[str, Any]]] = {
    **{
        name: (odd_stores.alone, differs)
        for name, differs in {**VERSIONS, **CODECS, **PICTURES, **TYPES, **LAYOUTS}.items()
    },
    **PLACES,
}
