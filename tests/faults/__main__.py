"""All faults: ``python -m tests.faults`` does everything and prints what came of it; it takes an hour.

``--parts`` does some of it, ``--quick`` a sample; ``--into docs/reliability.md`` writes the figures there.
What each part found is kept in ``--results``, so that the parts can be done one by one.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- figures -->", "<!-- end -->"
ROOT = Path(__file__).parents[2]


def kills(quick: bool) -> dict[str, Any]:
    from tests.faults.kills import run_kills

    return run_kills(12 if quick else 216)


def crashes(quick: bool) -> dict[str, Any]:
    from tests.faults.crash_points import run_crash_points

    return run_crash_points(every=25 if quick else 1)


def cancels(quick: bool) -> dict[str, Any]:
    from tests.faults.cancels import run_cancels

    return run_cancels(ways="close" if quick else "")


def tiles(quick: bool) -> dict[str, Any]:
    from tests.faults.tile_faults import FAULTS
    from tests.faults.tile_matrix import EXECUTORS, run_tile_faults

    return run_tile_faults(FAULTS[:6] if quick else FAULTS, EXECUTORS)


def memory(quick: bool) -> dict[str, Any]:
    from tests.faults.memory_peaks import run_memory_peaks

    return run_memory_peaks(("threads",) if quick else ("serial", "threads", "processes", "dask"))


def writes(quick: bool) -> dict[str, Any]:
    from tests.faults.write_errors import run_write_errors

    return run_write_errors(every=29 if quick else 1)


def strangers(quick: bool) -> dict[str, Any]:
    """Run the tests of hostile stores and run directories, and of damaged input."""
    found = {}
    for what, pattern in (
        ("hostile stores and run directories", "tests/io/test_untrusted*.py"),
        ("damaged input chunks", "tests/engine/test_damaged_input.py"),
    ):
        files = [str(file) for file in sorted(ROOT.glob(pattern))][: 1 if quick else None]
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files]
        told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
        found[what] = told.strip().splitlines()[-1]
    return found


PARTS = {
    "kills": kills,
    "crashes": crashes,
    "cancels": cancels,
    "tiles": tiles,
    "memory": memory,
    "writes": writes,
    "strangers": strangers,
}
TITLES = {
    "kills": "Killed -9 at random instants: coordinator, worker, whole group; on threads, processes and dask",
    "crashes": "Crashed before every operation on files, once and twice; last file torn; power lost",
    "cancels": "Cancelled while tiles would take minutes",
    "tiles": "Tiles that fail, hang, crash",
    "memory": "Memory measured and planned, all processes together",
    "writes": "Write errors and crashes at every operation on files, over old labels; disks full",
    "strangers": "Strangers' stores, damaged chunks",
}


def tell(name: str, found: dict[str, Any]) -> str:
    """Return what a part found, as Markdown."""
    lines = [f"### {TITLES[name]}", ""]
    table = found.get("table")
    rest = {key: value for key, value in found.items() if key != "table"}
    cases = {key: value for key, value in rest.items() if isinstance(value, dict) and "ended after" in value}
    if cases:  # cancels: one row each
        rest = {key: value for key, value in rest.items() if key not in cases}
        table = {key: _cancelled(value) for key, value in cases.items()}
    lines += ["| what | figure |", "|---|---|"]
    lines += [f"| {key} | {_text(value)} |" for key, value in rest.items()]
    if table:
        columns = list(next(iter(table.values())))
        lines += ["", f"| case | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
        lines += [f"| {fault} | {' | '.join(row.values())} |" for fault, row in table.items()]
    return "\n".join([*lines, ""])


def _cancelled(found: dict[str, Any]) -> dict[str, str]:
    """Return what came of a cancel, in columns."""
    return {
        "let go after": f"{found['let go after']} s" if "let go after" in found else "",
        "process ended after": f"{found['ended after']} s",
        "left after 2 s": str(found["left after 2 s"]),
        "resumed identical": "yes" if found["identical"] else "NO",
    }


def _text(value: Any) -> str:
    if isinstance(value, dict) and set(value) == {"measured", "planned"}:
        return f"{value['measured'] / 1e6:.0f} of {value['planned'] / 1e6:.0f} MB"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(part)}" for key, part in value.items())
    if isinstance(value, list):
        return "; ".join(map(_text, value)) or "none"
    return str(value).replace("|", "\\|")


def write_into(file: Path, text: str) -> None:
    """Put figures between the marks of a document."""
    before, _, rest = file.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    file.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


def main() -> int:
    """Do what is asked for; 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--parts", default=",".join(PARTS), help="some of them, with commas between")
    parser.add_argument("--quick", action="store_true", help="a sample of each")
    parser.add_argument("--results", type=Path, help="folder to keep what each part found")
    parser.add_argument("--into", type=Path, help="document to write the figures into")
    parser.add_argument("--only-tell", action="store_true", help="tell of the results that are there")
    args = parser.parse_args()
    found: dict[str, dict[str, Any]] = {}
    for name in args.parts.split(","):
        file = args.results / f"{name}.json" if args.results else None
        if args.only_tell and file is not None and file.exists():
            found[name] = json.loads(file.read_text())
            continue
        start = time.monotonic()
        found[name] = PARTS[name](args.quick)
        found[name].setdefault("seconds", round(time.monotonic() - start, 1))
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(found[name], indent=1))
    text = "\n".join(tell(name, each) for name, each in found.items())
    print(text)
    if args.into:
        where = f"`python -m tests.faults` with Python {platform.python_version()} on {platform.system()}."
        write_into(args.into, f"{where}\n\n{text}")
    return int(any(each.get("wrong") for each in found.values()))


if __name__ == "__main__":
    sys.exit(main())
