"""Writes image stores as they are found in the world: any version, format, layout, codec and quirk.

Arrays are encoded by zarr-python; what they and their groups say is written by hand, so that it can be
anything. All stores of the same axes show the same spots, so that all have the same labels.
"""

from __future__ import annotations

import json
import shutil
import warnings
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

if TYPE_CHECKING:
    from pathlib import Path

SIZES = {"t": 2, "c": 2, "z": 3, "y": 21, "x": 30}
CHUNKS = {"t": 1, "c": 1, "z": 2, "y": 8, "x": 16}
STEPS = {"t": 2.0, "c": 1.0, "z": 3.0, "y": 0.5, "x": 0.25}
KINDS = {"t": "time", "c": "channel"}


def spots(axes: str) -> np.ndarray[Any, Any]:
    """Return an image of spots of 100, some of them across borders of tiles; channel 0 shows others."""
    shape = tuple(SIZES[a] for a in axes)
    at = dict(zip(axes, np.indices(shape), strict=True))
    shift = 2 * at["t"] if "t" in axes else 0
    found = ((at["y"] + shift) % 7 < 4) & ((at["x"] + shift) % 6 < 4)
    if "z" in axes:
        found &= at["z"] != 1
    if "c" in axes:
        found ^= at["c"] == 0
    return np.where(found, 100, 0).astype("uint16")


def middles(n: int, m: int, factor: float) -> np.ndarray[Any, Any]:
    """Return which of n voxels lie in the middle of what each of m coarser ones stands for."""
    return np.minimum((np.arange(m) + 0.5) * factor, n - 1).astype(int)


def axes_of(axes: str, unit: str | None = "micrometer") -> list[dict[str, Any]]:
    """Return axes as NGFF 0.4 words them."""
    found = []
    for a in axes:
        axis = {"name": a, "type": KINDS.get(a, "space")}
        found.append(axis | ({"unit": unit} if unit and axis["type"] == "space" else {}))
    return found


def save(path: Path, document: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


def load(path: Path) -> Any:
    return json.loads(path.read_text())


@dataclass
class Odd:
    """An image; every field but the first says how it differs from what is usual.

    Parameters
    ----------
    axes, version : str
        Axis letters; the NGFF version that its metadata are worded in.
    form : int
        Zarr format, by default that of the version.
    dtype : str
        Of the pixels.
    array, document : dict
        What zarr-python is told about its arrays, and what their documents then say instead (None
        takes a key away).
    image, attrs : dict
        What ``multiscales`` says instead (None takes a key away); further NGFF keys of the group.
    steps : {"scale", "translation", "none", "first"}
        Transformations of the levels; "first" gives only level 0 one.
    factor : float
        Of y and x between levels.
    """

    axes: str = "yx"
    version: str = "0.4"
    form: int = 0
    dtype: str = "<u2"
    array: dict[str, Any] = field(default_factory=dict)
    document: dict[str, Any] = field(default_factory=dict)
    image: dict[str, Any] = field(default_factory=dict)
    attrs: dict[str, Any] = field(default_factory=dict)
    steps: str = "scale"
    factor: float = 2

    def __post_init__(self) -> None:
        self.form = self.form or (3 if self.version >= "0.5" else 2)

    def write(self, folder: Path) -> Path:
        """Write the image group and return its folder."""
        datasets = []
        for level in range(2):
            whole = {a: SIZES[a] for a in self.axes}
            halved = {a: int(-(-n // self.factor)) if a in "yx" else n for a, n in whole.items()}
            self.write_array(folder / str(level), tuple((halved if level else whole).values()))
            datasets.append({"path": str(level), **self._transforms(level)})
        image = _given(self._described() | {"datasets": datasets} | self.image)
        self.write_group(folder, {"multiscales": [image]} | self.attrs)
        return folder

    def write_group(self, folder: Path, ngff: dict[str, Any]) -> Path:
        """Write a group's documents."""
        if self.version >= "0.5" and ngff:
            ngff = {"ome": {"version": self.version} | ngff}
        if self.form == 2:
            save(folder / ".zgroup", {"zarr_format": 2})
            if ngff:
                save(folder / ".zattrs", ngff)
        else:
            save(folder / "zarr.json", {"zarr_format": 3, "node_type": "group", "attributes": ngff})
        return folder

    def write_array(self, folder: Path, shape: tuple[int, ...]) -> None:
        """Write the spots, coarser where the shape is smaller."""
        pixels = spots(self.axes)
        sizes = zip(pixels.shape, shape, strict=True)
        picked = np.ix_(*(middles(n, m, self.factor) if n > m else np.arange(n) for n, m in sizes))
        usual: dict[str, Any] = {"compressors": None, "fill_value": 0}
        usual["chunks"] = tuple(min(CHUNKS[a], n) for a, n in zip(self.axes, shape, strict=True))
        if self.form == 2:
            usual["chunk_key_encoding"] = {"name": "v2", "separator": "/"}
        else:
            usual["dimension_names"] = list(self.axes)
        with warnings.catch_warnings():  # of codecs that zarr 3 has no name for
            warnings.simplefilter("ignore")
            made = zarr.create_array(
                str(folder),
                shape=shape,
                dtype=np.dtype(self.dtype),
                zarr_format=self.form,
                **usual | self.array,
            )
            made[...] = pixels[picked].astype(self.dtype)
        place = folder / ("zarr.json" if self.form == 3 else ".zarray")
        said = load(place) | self.document
        save(place, {k: v for k, v in said.items() if v is not None or k not in self.document})

    def _described(self) -> dict[str, Any]:
        """Return name, axes and version as the version words them."""
        if self.version >= "0.6":
            return {"name": "image", "coordinateSystems": [{"name": "world", "axes": axes_of(self.axes)}]}
        described: dict[str, Any] = {"name": "image"}
        if self.version < "0.5":
            described["version"] = self.version
        if self.version >= "0.3":
            described["axes"] = axes_of(self.axes) if self.version >= "0.4" else list(self.axes)
        return described

    def _transforms(self, level: int) -> dict[str, Any]:
        if self.version < "0.4" or self.steps == "none" or (self.steps == "first" and level):
            return {}
        scale = [STEPS[a] * (self.factor**level if a in "yx" else 1) for a in self.axes]
        steps: list[dict[str, Any]] = [{"type": "scale", "scale": scale}]
        if self.steps == "translation":
            moved = [5.0 + s / 2 if a in "zyx" else 0.0 for s, a in zip(scale, self.axes, strict=True)]
            steps.append({"type": "translation", "translation": moved})
        if self.version >= "0.6":
            whole = steps[0] if len(steps) == 1 else {"type": "sequence", "transformations": steps}
            steps = [whole | {"input": {"path": str(level)}, "output": {"name": "world"}}]
        return {"coordinateTransformations": steps}


def _given(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if value is not None}


# How a store is wrapped: each takes the image and a folder, and returns what to open and where the image is.


def alone(odd: Odd, folder: Path) -> tuple[Path, Path]:
    """A store that is the image."""
    return (odd.write(folder / "image.zarr"),) * 2


def consolidated(odd: Odd, folder: Path) -> tuple[Path, Path]:
    """With all metadata in one document."""
    path = odd.write(folder / "image.zarr")
    consolidate(path)
    return path, path


def consolidate(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        zarr.consolidate_metadata(str(path))


def labelled(odd: Odd, folder: Path) -> tuple[Path, Path]:
    """With two labels of others, one nested and one that nobody listed."""
    path = odd.write(folder / "image.zarr")
    odd.write_group(path / "labels", {"labels": ["old/nuclei"]})
    odd.write(path / "labels" / "old" / "nuclei")
    odd.write(path / "labels" / "forgotten")
    return path, path


def zipped(odd: Odd, folder: Path, ending: str = ".zarr.zip", inside: str = "") -> tuple[Path, Path]:
    """In a zip file."""
    path = odd.write(folder / "image.zarr")
    place = folder / f"image{ending}"
    with zipfile.ZipFile(place, "w") as file:
        for found in sorted(path.rglob("*")):
            file.write(found, inside + found.relative_to(path).as_posix())
    shutil.rmtree(path)
    return place, place


def zipped_ozx(odd: Odd, folder: Path) -> tuple[Path, Path]:
    """In a zip file with the ending that is made for it."""
    return zipped(odd, folder, ".ozx")


def zipped_folder(odd: Odd, folder: Path) -> tuple[Path, Path]:
    """In a zip file as file managers make them: of the folder, not of what is in it."""
    return zipped(odd, folder, inside="image.zarr/")


def series(
    odd: Odd, folder: Path, count: int = 1, listed: bool = True, xml: bool = True
) -> tuple[Path, Path]:
    """As bioformats2raw lays it out."""
    root = odd.write_group(folder / "series.zarr", {"bioformats2raw.layout": 3})
    names = [str(i) for i in range(count)]
    for name in names:
        odd.write(root / name)
    if listed:
        odd.write_group(root / "OME", {"series": names})
    if xml:
        (root / "OME").mkdir(exist_ok=True)
        images = "".join(f'<Image ID="Image:{i}" Name="scan {i}"/>' for i in range(count))
        ome = f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">{images}</OME>'
        (root / "OME" / "METADATA.ome.xml").write_text(ome)
    return root, root / "0"


def series_by_xml(odd: Odd, folder: Path) -> tuple[Path, Path]:
    """As bioformats2raw lays it out, listed in XML only."""
    return series(odd, folder, listed=False)


def series_bare(odd: Odd, folder: Path) -> tuple[Path, Path]:
    """As bioformats2raw lays it out, listed nowhere."""
    return series(odd, folder, listed=False, xml=False)


def second_series(odd: Odd, folder: Path) -> tuple[Path, Path]:
    """The second of three, by its path."""
    root, _ = series(odd, folder, 3)
    return root / "1", root / "1"


def plate(odd: Odd, folder: Path, wells: tuple[str, ...] = ("A/1", "B/03"), fields: int = 2) -> Path:
    """Write a plate and return it."""
    root = folder / "plate.zarr"
    rows, columns = (sorted({w.split("/")[i] for w in wells}) for i in (0, 1))
    described = {
        "name": "plate",
        "columns": [{"name": c} for c in columns],
        "rows": [{"name": r} for r in rows],
        "wells": [
            {"path": w, "rowIndex": rows.index(w[0]), "columnIndex": columns.index(w[2:])} for w in wells
        ],
    } | ({"version": odd.version} if odd.version < "0.5" else {})
    odd.write_group(root, {"plate": described})
    for well in wells:
        odd.write_group(root / well[0], {})
        odd.write_group(root / well, {"well": {"images": [{"path": str(i)} for i in range(fields)]}})
        for number in range(fields):
            odd.write(root / well / str(number))
    return root


def plate_field(odd: Odd, folder: Path) -> tuple[Path, Path]:
    """A field of a plate."""
    path = plate(odd, folder) / "B" / "03" / "1"
    return path, path


def consolidated_plate_field(odd: Odd, folder: Path) -> tuple[Path, Path]:
    """A field of a plate that is consolidated, and its well too."""
    path, _ = plate_field(odd, folder)
    consolidate(path.parent)
    consolidate(path.parents[2])
    return path, path


def only_field(odd: Odd, folder: Path) -> tuple[Path, Path]:
    """A well with one field."""
    well = plate(odd, folder, fields=1) / "A" / "1"
    return well, well / "0"


def linked(odd: Odd, folder: Path) -> tuple[Path, Path]:
    """Reached through a link."""
    path = odd.write(folder / "there" / "image.zarr")
    (folder / "link.zarr").symlink_to(path, target_is_directory=True)
    return folder / "link.zarr", path
