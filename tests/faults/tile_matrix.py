"""Every fault of a tile on every executor, and what came of it: ``python -m tests.faults.tile_matrix``.

What is to come of a fault: the run goes on, ends incomplete, names that tile and why, and writes no
labels; a retry with a mended method gives the labels of an undisturbed run. What ends the whole process
(a segfault in a thread), or cannot be ended (a hang that nobody may interrupt), is killed, and resumed.
`KeyboardInterrupt` raised by a method is taken for the user's: the run is cancelled, and goes on later.
Wrong labels are not tried again within a run: another try gives the same.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tests.faults.tile_faults import FAULTS, Fault, says
from tests.faults.tile_runs import SIDE, Bench, Told, numbers

if TYPE_CHECKING:
    from collections.abc import Sequence

EXECUTORS = ("serial", "threads", "processes", "dask")
TIMEOUT = 3.0
HANGS_AFTER = 8.0
"""Seconds after which a run that hangs for good is killed."""


def same(one: Sequence[Any], other: Sequence[Any]) -> bool:
    """Return whether all levels are equal, and there are some."""
    return len(one) == len(other) > 0 and all(map(np.array_equal, one, other))


def wrong(bench: Bench, told: Told, whole: Sequence[Any]) -> list[str]:
    """Return what is not as it should be after a run with faults that strike each time, untried again."""
    found = []
    bad = {tile: fault for tile, fault in numbers(bench.faults).items() if fault.kind != "harmless"}
    if told.end != ("incomplete" if bad else "complete"):
        return [f"ended {told.end}: {told.error[:300]}"]
    for tile in sorted(bad.keys() ^ told.failed.keys()):
        name = numbers(bench.faults)[tile].name if tile in numbers(bench.faults) else "no fault"
        found.append(f"tile {tile} ({name}): {told.failed.get(tile, 'is not told')[:200]}")
    for tile in bad.keys() & told.failed.keys():
        if not says(bad[tile], told.failed[tile]):
            found.append(f"{bad[tile].name}: said {told.failed[tile][:200]!r}")
        if bad[tile].kind == "error" and not re.search("(strikes|tile_faults).py", told.details[tile]):
            found.append(f"{bad[tile].name}: no traceback, but {told.details[tile][-200:]!r}")
    if sorted(told.done) != sorted(set(range(SIDE * SIDE)) - set(told.failed)):
        found.append("other tiles are not done, or twice")
    if bad and bench.labels():
        found.append("labels were written")
    if not bad and not same(bench.labels(), whole):
        found.append("other labels")
    return found


def mended(bench: Bench, executor: str, whole: Sequence[Any], failed: int, **how: Any) -> list[str]:
    """Return what is not as it should be once the method is mended and failed tiles are tried again."""
    bench.say("never")
    told = bench.run(executor, resume=True, **how)
    if told.end != "complete":
        return [f"a retry ended {told.end}: {told.error[:300]}"]
    again = sum(bench.strikes(fault) for fault in bench.faults)
    found = [] if again == failed else [f"a retry segmented {again} tiles, not {failed}"]
    return found if same(bench.labels(), whole) else [*found, "a retry gave other labels"]


def survives(fault: Fault, executor: str) -> bool:
    """Return whether a run on this executor outlives a fault.

    Serial and threads share their process with the method, so nothing outlives its end there. Nothing
    can interrupt a serial run, nor one on threads while somebody holds the interpreter's lock.
    """
    if fault.kind == "kill":
        return executor in ("processes", "dask")
    if fault.kind == "hang":
        return executor in ("processes", "dask") or (executor == "threads" and not fault.holds)
    return fault.kind != "stop"


def struck_each_time(bench: Bench, fault: Fault, executor: str, whole: Sequence[Any]) -> list[str]:
    """Return what went wrong with a fault that strikes each time, and when the run then goes on mended."""
    bench.say("always")
    how: dict[str, Any] = {"timeout": TIMEOUT} if fault.kind == "hang" else {}
    if survives(fault, executor):
        told = bench.run(executor, retries=0, **how)
        found = wrong(bench, told, whole)
        if fault.kind == "harmless":
            return found
        return found + mended(bench, executor, whole, 1)
    told = bench.run(executor, HANGS_AFTER, retries=0)
    end = "KeyboardInterrupt" if fault.kind == "stop" else "killed"
    found = [] if told.end == end else [f"ended {told.end}: {told.error[:300]}"]
    return found + mended(bench, executor, whole, 1)


def struck_once(bench: Bench, executor: str, whole: Sequence[Any], retries: int = 1) -> list[str]:
    """Return what went wrong with faults that strike once, where tiles are tried again."""
    bench.say("once")
    told = bench.run(executor, retries=retries, **({} if executor == "serial" else {"timeout": TIMEOUT}))
    if told.end != "complete":
        return [f"with a retry it ended {told.end}: {told.failed} {told.error[:300]}"]
    return [] if same(bench.labels(), whole) else ["with a retry other labels"]


def outcome(bench: Bench, fault: Fault, executor: str, whole: Sequence[Any]) -> str:
    """Return what came of a fault on an executor, in a word; all that is wrong if something is."""
    found = struck_each_time(bench, fault, executor, whole)
    bench.forget()
    again = fault.kind in ("error", "kill", "hang") and survives(fault, executor)
    if again:
        found += struck_once(bench, executor, whole)
        bench.forget()
    if found:
        return f"WRONG: {'; '.join(found)}"
    if fault.kind == "harmless":
        return "harmless"
    if fault.kind == "stop":
        return "cancelled, resumed"
    if not survives(fault, executor):
        return "process ended, resumed" if fault.kind == "kill" else "hung, killed, resumed"
    return "named, mended; tried again" if again else "named, mended"


def run_tile_faults(faults: Sequence[Fault] = FAULTS, executors: Sequence[str] = EXECUTORS) -> dict[str, Any]:
    """Have each fault strike alone on each executor; return a table of what came of it, and counts."""
    table: dict[str, dict[str, str]] = {fault.name: {} for fault in faults}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as root:
        folder = Path(root)
        benches = [Bench(folder / f"fault-{place}", [fault]) for place, fault in enumerate(faults)]
        benches[0].run("serial")
        whole = benches[0].labels()  # the same of all: marks are all as bright as cells
        benches[0].forget()
        for executor in executors:
            for fault, bench in zip(faults, benches, strict=True):
                table[fault.name][executor] = outcome(bench, fault, executor, whole)
                print(f"{fault.name:36} {executor:10} {table[fault.name][executor]}", flush=True)
    outcomes = [text for row in table.values() for text in row.values()]
    bad = [f"{n}, {e}: {t}" for n, row in table.items() for e, t in row.items() if t.startswith("WRONG")]
    return {"faults": len(faults), "runs": len(outcomes), "wrong": bad, "table": table}


def main() -> None:
    """Do all of them, or those named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="names that hold this")
    parser.add_argument("--executors", default=",".join(EXECUTORS))
    args = parser.parse_args()
    faults = [fault for fault in FAULTS if args.only is None or args.only in fault.name]
    found = run_tile_faults(faults, args.executors.split(","))
    print(json.dumps({key: value for key, value in found.items() if key != "table"}, indent=2))


if __name__ == "__main__":
    main()
