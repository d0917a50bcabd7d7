"""Tables of objects on disk: CSV, or Parquet where pyarrow is installed.

Knows named columns of equal length, not what they mean. A file appears whole or not at all.
"""

from __future__ import annotations

import csv
import os
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from seamlabel.errors import OutputError
from seamlabel.io.partial import partial_of, sweep

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

ROWS = 1 << 16
"""Rows that are turned into text at a time."""
_FLAGS = {"True": True, "False": False}


def write_table(path: str | Path, table: Mapping[str, NDArray[Any]]) -> None:
    """Write a table; the ending of the name says how: ``.csv`` or ``.parquet``.

    A file of that name is replaced. CSV: UTF-8, commas, a header line, numbers as exact as they are.

    Parameters
    ----------
    path : str or Path
        The file, in a folder that exists.
    table : mapping of str to 1-D ndarray
        Columns, all of one length; none of objects.

    Raises
    ------
    OutputError
        If the ending is another, the file cannot be written, or pyarrow is needed and not installed.
    ValueError
        If the columns are not 1-D and of one length.
    """
    path = Path(path)
    columns = {name: np.asarray(column) for name, column in table.items()}
    if any(column.ndim != 1 for column in columns.values()) or len({*map(len, columns.values())}) > 1:
        shapes = ", ".join(f"{name!r} {column.shape}" for name, column in columns.items())
        msg = f"columns of a table are 1-D and of one length, not of shapes {shapes}"
        raise ValueError(msg)
    save = _writer(path)
    part = partial_of(path.with_name(f".{path.name}"))
    sweep(path.parent, f".{path.name}")
    try:
        save(part, columns)
        part.replace(path)
    except OSError as error:
        msg = f"cannot write the table {path}: {error.strerror or error}"
        raise OutputError(msg, "Give a file in a folder that exists and can be written to") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def check_table(path: str | Path) -> None:
    """Tell before a long run whether a table can be written there.

    Raises
    ------
    OutputError
        If the ending is neither ``.csv`` nor ``.parquet``, pyarrow is needed and not installed, or there
        is no such folder.
    """
    path = Path(path)
    _writer(path)
    if not path.parent.is_dir():
        raise OutputError(f"cannot write the table {path}: no folder {path.parent}", "Make the folder first")


def _writer(path: Path) -> Callable[[Path, Mapping[str, NDArray[Any]]], None]:
    """Return what writes a file of this ending."""
    ending = path.suffix.lower()
    if ending == ".csv":
        return _write_csv
    if ending != ".parquet":
        raise OutputError(f"{path.name} names no kind of table", "End the name in .csv or .parquet")
    try:
        import_module("pyarrow.parquet")
    except ImportError as error:
        msg = f"{path.name} needs pyarrow, which cannot be imported: {error}"
        hint = 'Install it: pip install "seamlabel[parquet]"; or end the name in .csv'
        raise OutputError(msg, hint) from error
    return _write_parquet


def _write_csv(path: Path, columns: Mapping[str, NDArray[Any]]) -> None:
    count = len(next(iter(columns.values()), ()))
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n", quoting=_quoting(columns))
        out.writerow(columns)
        for first in range(0, count, ROWS):
            block = [_texts(column[first : first + ROWS]) for column in columns.values()]
            out.writerows(zip(*block, strict=True))
        file.flush()
        os.fsync(file.fileno())


def _quoting(columns: Mapping[str, NDArray[Any]]) -> Literal[0, 2]:
    """Return how to quote: as little as can be, but all text where some may hold a carriage return."""
    text = any(column.dtype.kind == "U" for column in columns.values())  # `csv` forgets about these
    return csv.QUOTE_NONNUMERIC if text or any("\r" in name for name in columns) else csv.QUOTE_MINIMAL


def _texts(column: NDArray[Any]) -> list[Any]:
    """Return what `csv` writes exactly; short floats as they are, not as the longer double."""
    if column.dtype.kind == "f" and column.dtype.itemsize < 8:
        return [str(value) for value in column]
    values: list[Any] = column.tolist()
    return values


def _write_parquet(path: Path, columns: Mapping[str, NDArray[Any]]) -> None:
    arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    parquet.write_table(arrow.table(dict(columns)), path)


def read_table(path: str | Path) -> dict[str, NDArray[Any]]:
    """Read a CSV file that `write_table` wrote.

    Columns are int64 (uint64 where a value needs it), float64, bool or text, the first that fits; columns
    without rows are int64.

    Raises
    ------
    ValueError
        If lines do not have as many values as the header.
    OSError
        If the file cannot be read.
    """
    with Path(path).open(encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file)) or [[]]
    wrong = next((at for at, row in enumerate(rows, 2) if len(row) != len(header)), None)
    if wrong:
        msg = f"{path}: row {wrong} has {len(rows[wrong - 2])} values, the header has {len(header)}"
        raise ValueError(msg)
    columns = zip(*rows, strict=True) if rows else [()] * len(header)
    return {name: _parsed(values) for name, values in zip(header, columns, strict=True)}


def _parsed(values: tuple[str, ...]) -> NDArray[Any]:
    """Return texts as numbers or flags where all are."""
    if values and all(value in _FLAGS for value in values):
        return np.array([_FLAGS[value] for value in values])
    for kind in (np.int64, np.uint64, np.float64):
        try:
            return np.array([int(v) if kind is not np.float64 else float(v) for v in values], kind)
        except (ValueError, OverflowError):
            continue
    return np.array(values)
