"""Every operation that a run does on files fails, or is the last before a crash; what is left is judged.

A run replaces an old label of the same name, so there is something to lose. ``python -m
tests.faults.write_errors`` does all and prints figures; ``--every 9`` every ninth operation.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zarr
from tests.faults.inject import AWAY, armed, full_disk, short_files
from tests.faults.labels import CASES, PART, Case, checksums, litter, same, write_image

from seamlabel.errors import OutputError, SeamlabelError

if TYPE_CHECKING:
    from collections.abc import Iterator


ERRORS = (("ENOSPC", True), ("EACCES", True), ("EIO", False))
"""Errors, and whether they last: a disk stays full, a store stays read-only."""
SIZES = (0, 1, 50, 150, 200, 250, 300, 400, 600, 800, 1200, 1600, 2400, 5000)
"""Bytes at which files are cut: some of a run's files are longer, some are not."""
PAGES, PAGE = tuple(range(20)), 4096
"""What is left of a disk: from nothing to enough."""
DISK = 1 << 22
OLD, NEW = 3000, 9000


@dataclass
class Findings:
    """What came of all faults."""

    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return figures."""
        return {**dict(sorted(self.counts.items())), "wrong": self.wrong}


class Bench:
    """A folder with an image and an old label, made once for a case and copied for every fault."""

    def __init__(self, case: Case, root: Path) -> None:
        self.case, self.root = case, root
        self.pristine = root / "pristine"
        self.pristine.mkdir(parents=True)
        write_image(self.pristine / "image.zarr", case.version)
        case.run(self.pristine, OLD)
        shutil.rmtree(self.pristine / "image.zarr.seamlabel", ignore_errors=True)
        shutil.rmtree(self.pristine / "own.zarr.seamlabel", ignore_errors=True)
        if case.consolidated:
            zarr.consolidate_metadata(str(self.pristine / "image.zarr"))
        self.old = case.labels(self.pristine)
        self.image = checksums(self.pristine)
        whole = self.copy()
        with armed(whole, 0, "count") as counted:
            case.run(whole, NEW)
        self.operations = list(counted.seen)
        self.new = case.labels(whole)
        assert not same(self.old, self.new)

    def copy(self) -> Path:
        """Return a fresh copy."""
        work = self.root / "work"
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(self.pristine, work)
        return work

    def fail(self, at: int, kind: str, lasting: bool, findings: Findings) -> None:
        """Let one operation (and later ones, if lasting) fail, and judge."""
        work = self.copy()
        with armed(work, at, kind, lasting=lasting) as fault:
            error = self._attempt(work)
        what = f"{self.case.name}: {kind}{' lasting' * lasting} at {at} ({fault.happened})"
        findings.counts["write errors"] += bool(fault.happened)
        self._told(error, what, findings)
        self.judge(work, what, findings, told=error is not None)

    def fill(self, left: int, findings: Findings) -> None:
        """Let a disk of its own have so many bytes left, and judge."""
        work, ballast = self.copy(), self.root / "ballast"
        with ballast.open("wb") as file, suppress(OSError):
            while (free := shutil.disk_usage(self.root).free) > left:
                file.write(bytes(min(free - left, 1 << 16)))
                file.flush()
        error = self._attempt(work)
        ballast.unlink()
        what = f"{self.case.name}: {left} bytes left on the disk"
        findings.counts["full disks"] += error is not None
        self._told(error, what, findings)
        self.judge(work, what, findings, told=error is not None)

    def cut(self, size: int, findings: Findings) -> None:
        """Let every file end at so many bytes, and judge."""
        work = self.copy()
        with short_files(size):
            error = self._attempt(work)
        what = f"{self.case.name}: files cut at {size} bytes"
        findings.counts["files cut short"] += error is not None
        self._told(error, what, findings)
        self.judge(work, what, findings, told=error is not None)

    def _attempt(self, work: Path) -> BaseException | None:
        try:
            self.case.run(work, NEW)
        except Exception as caught:  # noqa: BLE001 - what it is is judged
            return caught
        return None

    def _told(self, error: BaseException | None, what: str, findings: Findings) -> None:
        findings.counts["runs that succeeded all the same"] += error is None
        if error is not None and not isinstance(error, OutputError):
            findings.wrong.append(f"{what}: {type(error).__name__} instead of OutputError: {error}")

    def vanish(self, at: int, findings: Findings) -> None:
        """Let the whole folder go away before one operation, image and all, bring it back, and judge."""
        work = self.copy()
        with armed(work, at, "vanish") as fault:
            error = self._attempt(work)
        away = Path(f"{work}{AWAY}")
        while away.exists():
            shutil.rmtree(work, ignore_errors=True)  # made anew, maybe by a thread of zarr that is late
            with suppress(OSError):
                away.rename(work)
        what = f"{self.case.name}: vanished at {at} ({fault.happened})"
        findings.counts["vanished folders"] += bool(fault.happened)
        if error is not None and not isinstance(error, SeamlabelError):
            findings.wrong.append(f"{what}: {type(error).__name__}: {error}")
        self.judge(work, what, findings, told=error is not None)

    def crash(self, at: int, findings: Findings) -> None:
        """Let the process die before one operation, and judge."""
        work = self.copy()
        child = os.fork()
        if not child:
            with suppress(BaseException), armed(work, at, "exit"):
                self.case.run(work, NEW)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        findings.counts["crashes"] += os.waitstatus_to_exitcode(status) == 3
        before = self.operations[min(at, len(self.operations)) - 1]
        self.judge(work, f"{self.case.name}: crash at {at} ({before})", findings, told=False)

    def judge(self, work: Path, what: str, findings: Findings, *, told: bool) -> None:
        """Note what is wrong now, and after the next run."""
        try:
            for trouble in self._troubles(work, findings, told):
                findings.wrong.append(f"{what}: {trouble}")
            self.case.run(work, NEW)
        except Exception as error:  # noqa: BLE001 - what it is is reported
            findings.wrong.append(f"{what}: afterwards {type(error).__name__}: {error}")
            return
        if not same(self.case.labels(work), self.new):
            findings.wrong.append(f"{what}: the next run gave other labels")
        if checksums(work) != self.image:
            findings.wrong.append(f"{what}: the next run changed the image")
        findings.counts["parts of files left by crashes"] += len(list(work.rglob(f"*{PART}")))
        findings.wrong += [f"{what}: left {name}" for name in litter(work)]

    def _troubles(self, work: Path, findings: Findings, told: bool) -> Iterator[str]:
        if checksums(work) != self.image:
            yield "the image changed"
        found = self.case.labels(work)
        is_old, is_new = same(found, self.old), same(found, self.new)
        findings.counts["old label kept"] += is_old
        findings.counts["new label whole"] += is_new
        if not (is_old or is_new):
            yield "neither the old label nor the new one is whole"
        if told and is_new:
            findings.counts["told of an error after the labels were whole"] += 1


def run_write_errors(every: int = 1) -> dict[str, Any]:
    """Let every `every`-th operation of every case fail in every way, and crash there; fill disks, cut files.

    Returns
    -------
    dict
        Figures; ``"wrong"`` lists what was lost or left, and is empty.
    """
    findings = Findings()
    for shift, case in enumerate(CASES):
        with tempfile.TemporaryDirectory(prefix="faults-") as root:
            bench = Bench(case, Path(root) / "bench")
            findings.counts["operations"] += len(bench.operations)
            for at in range(1 + shift % every, len(bench.operations) + 1, every):
                for kind, lasting in ERRORS:
                    bench.fail(at, kind, lasting, findings)
                bench.vanish(at, findings)
                if hasattr(os, "fork"):
                    bench.crash(at, findings)
            for size in SIZES[shift % every :: every] if os.name == "posix" else ():
                bench.cut(size, findings)
            with full_disk(Path(root) / "disk", DISK) as mounted:
                if mounted:
                    small = Bench(case, Path(root) / "disk" / "bench")
                    for pages in PAGES[shift % every :: every]:
                        small.fill(pages * PAGE, findings)
    return findings.as_dict()


def main() -> int:
    """Print figures as JSON; 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description="Every write of a run fails in turn.")
    parser.add_argument("--every", type=int, default=1)
    figures = run_write_errors(parser.parse_args().every)
    print(json.dumps(figures, indent=1))
    return bool(figures["wrong"])


if __name__ == "__main__":
    raise SystemExit(main())
