"""The command line of the benchmarks: measure, print tables, keep numbers."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.data import Data
from benchmarks.measure import Options, Table, environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    what = ("speed", "accuracy", "scale", "review", "conversion", "blending", "table", "gui")
    made.add_argument("what", choices=what)
    made.add_argument("--quick", action="store_true", help="small images: to see that it works")
    made.add_argument("--json", type=Path, metavar="OUT", help="write all numbers to this file")
    made.add_argument("--markdown", action="store_true", help="print tables in Markdown")
    made.add_argument("--into", type=Path, metavar="FILE.md", help="replace the tables in a document")
    made.add_argument("--only", nargs="+", metavar="PART", help="measure only these parts (see --list)")
    made.add_argument("--list", action="store_true", help="list the parts")
    made.add_argument("--rounds", type=int, default=3, help="runs of every job (default 3)")
    made.add_argument("--most-tiles", type=int, default=10**6, help="leave out runs of more tiles")
    made.add_argument(
        "--data",
        type=Path,
        default=Path(tempfile.gettempdir()) / "seamlabel-benchmarks",
        help="where images are kept (default %(default)s); the full set takes 2 GB",
    )
    made.add_argument(
        "--peer-python",
        default=sys.executable,
        metavar="PYTHON",
        help="a Python that has patchworks and dask-image; default this one",
    )
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out the command line; return the exit code."""
    args = parser().parse_args(arguments)
    if args.what == "accuracy":
        coming = import_module("benchmarks.accuracy").main(args.quick, args.peer_python)
    else:
        coming = _measure(args)
    tables: list[Table] = []
    found = environment()
    try:
        for table in coming:
            print(table.markdown() if args.markdown else table.text(), end="\n\n", flush=True)
            tables.append(table)
    finally:  # what was measured is kept when the rest is broken off
        if args.json and tables:
            values: dict[str, Any] = {"environment": found}
            for table in tables:
                values |= table.data or {table.title: [table.columns, *table.rows]}
            args.json.write_text(json.dumps(values, indent=1))
        if args.into and tables:
            write_into(args.into, args.what, tables, found)
    return 0


def _measure(args: argparse.Namespace) -> Iterable[Table]:
    module: Any = import_module(f"benchmarks.{args.what}")
    options = Options(args.rounds, args.peer_python, args.most_tiles)
    parts = {part.name: part for part in module.cases(quick=args.quick)}
    unknown = set(args.only or ()) - set(parts)
    if args.list or unknown:
        print(*parts, sep="\n")
        return []
    wanted = [part for name, part in parts.items() if not args.only or name in args.only]
    tables: Iterable[Table] = module.main(wanted, Data(args.data), options)
    return tables


def write_into(document: Path, what: str, tables: Sequence[Table], found: dict[str, Any]) -> None:
    """Replace what stands between ``<!-- WHAT -->`` and ``<!-- end of WHAT -->`` in a document.

    Raises
    ------
    SystemExit
        If the document has no such lines.
    """
    begin, end = f"<!-- {what} -->", f"<!-- end of {what} -->"
    before, opened, rest = document.read_text().partition(begin)
    _, closed, after = rest.partition(end)
    if not opened or not closed:
        sys.exit(f"{document} has no lines {begin} and {end} to put the tables between")
    measured = "Measured with " + ", ".join(f"{key} {value}" for key, value in found.items()) + "."
    body = "\n\n".join([measured, *(table.markdown() for table in tables)])
    document.write_text(f"{before}{begin}\n{body}\n{end}{after}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:  # what a user's dock remembers stays as it is
        os.environ["SEAMLABEL_CONFIG"] = str(Path(folder) / "seamlabel.json")
        sys.exit(main())
