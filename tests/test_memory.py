"""The memory and the processors that a process may use, by every body that limits them."""

from __future__ import annotations

import subprocess
import sys

import psutil
import pytest

from seamlabel import memory

GIB = 1 << 30
NOTHING: dict[str, str] = {}


def groups(tmp_path, line, files):
    """Write what a system tells of control groups; return the arguments that point to it."""
    own = tmp_path / "cgroup"
    own.write_text(line + "\n")
    for name, text in files.items():
        path = tmp_path / "fs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return tmp_path / "fs", own


def alone(tmp_path):
    return tmp_path / "none", tmp_path / "none"


def test_without_limits_it_is_what_the_machine_has_free(tmp_path):
    free = psutil.virtual_memory().available
    assert memory.available(*alone(tmp_path), NOTHING) == pytest.approx(free, rel=0.2)


MEMORY = {
    "own group": {"a/b/memory.max": GIB, "a/b/memory.current": GIB - 1000},
    "group above": {
        "a/b/memory.max": "max",
        "a/b/memory.current": 5,
        "a/memory.max": 2000,
        "a/memory.current": 1000,
    },
    "root": {"memory.max": 2000, "memory.current": 1000},
}


@pytest.mark.parametrize("case", MEMORY)
def test_the_least_of_all_control_groups_counts(tmp_path, case):
    assert memory.available(*groups(tmp_path, "0::/a/b", MEMORY[case]), NOTHING) == 1000


def test_control_groups_of_version_1_count(tmp_path):
    files = {"memory/a/memory.limit_in_bytes": 7000, "memory/a/memory.usage_in_bytes": 6000}
    assert memory.available(*groups(tmp_path, "9:memory,hugetlb:/a/b", files), NOTHING) == 1000


def test_a_group_that_uses_more_than_it_may_leaves_nothing(tmp_path):
    files = {"memory.max": 1000, "memory.current": 2000}
    assert memory.available(*groups(tmp_path, "0::/", files), NOTHING) == 0


SLURM = {
    "per node": ({"SLURM_MEM_PER_NODE": "4096"}, 4 * GIB),
    "per node with a letter": ({"SLURM_MEM_PER_NODE": "4G"}, 4 * GIB),
    "kilobytes": ({"SLURM_MEM_PER_NODE": "2048k"}, 2 << 20),
    "per processor": ({"SLURM_MEM_PER_CPU": "512", "SLURM_CPUS_ON_NODE": "4"}, 2 * GIB),
    "per node goes first": (
        {"SLURM_MEM_PER_NODE": "1G", "SLURM_MEM_PER_CPU": "1", "SLURM_CPUS_ON_NODE": "4"},
        GIB,
    ),
    "all of the machine": ({"SLURM_MEM_PER_NODE": "0"}, None),
    "per processor, of how many is not known": ({"SLURM_MEM_PER_CPU": "512"}, None),
    "no number": ({"SLURM_MEM_PER_NODE": "lots"}, None),
    "an unknown letter": ({"SLURM_MEM_PER_NODE": "4X"}, None),
    "empty": ({"SLURM_MEM_PER_NODE": ""}, None),
    "no job": ({}, None),
}


@pytest.mark.parametrize("case", SLURM)
def test_what_slurm_gave_is_read(case):
    variables, expected = SLURM[case]
    assert memory.slurm_bytes(variables) == expected


def test_slurm_counts_less_what_this_process_uses(tmp_path):
    used = psutil.Process().memory_info().rss
    megabytes = used // (1 << 20) + 10
    found = memory.available(*alone(tmp_path), {"SLURM_MEM_PER_NODE": str(megabytes)})
    assert 0 < found <= 12 << 20


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not keep these limits")
@pytest.mark.parametrize("limit", ["RLIMIT_AS", "RLIMIT_DATA"])
def test_the_limits_of_the_process_count(limit):
    code = (
        "import psutil, resource; from seamlabel import memory; used = psutil.Process().memory_info()\n"
        f"now = used.vms if '{limit}' == 'RLIMIT_AS' else used.data\n"
        f"resource.setrlimit(resource.{limit}, (now + (64 << 20), resource.RLIM_INFINITY))\n"
        "print(memory.available())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert 0 < int(done.stdout) <= 64 << 20


CORES = {
    "quota, rounded up": ("0::/a", {"a/cpu.max": "150000 100000"}, {}, 2),
    "quota of the group above": (
        "0::/a/b",
        {"a/cpu.max": "100000 100000", "a/b/cpu.max": "max 100000"},
        {},
        1,
    ),
    "no quota": ("0::/a", {"a/cpu.max": "max 100000"}, {}, 64),
    "less than one": ("0::/a", {"a/cpu.max": "1000 100000"}, {}, 1),
    "version 1": (
        "4:cpu,cpuacct:/a",
        {"cpu,cpuacct/a/cpu.cfs_quota_us": 300000, "cpu,cpuacct/a/cpu.cfs_period_us": 100000},
        {},
        3,
    ),
    "version 1, no quota": (
        "4:cpu:/a",
        {"cpu/a/cpu.cfs_quota_us": -1, "cpu/a/cpu.cfs_period_us": 100000},
        {},
        64,
    ),
    "slurm, of the task": ("", {}, {"SLURM_CPUS_PER_TASK": "3", "SLURM_CPUS_ON_NODE": "16"}, 3),
    "slurm, of the node": ("", {}, {"SLURM_CPUS_ON_NODE": "16"}, 16),
    "slurm, no number": ("", {}, {"SLURM_CPUS_ON_NODE": "16(x2)"}, 64),
}


@pytest.mark.parametrize("case", CORES)
def test_the_least_of_all_limits_of_processors_counts(tmp_path, monkeypatch, case):
    line, files, variables, expected = CORES[case]
    monkeypatch.setattr(memory.os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    where = groups(tmp_path, line or "0::/", files)
    assert memory.cores(*where, variables) == expected


def test_without_affinity_all_processors_of_the_machine_count(tmp_path, monkeypatch):
    monkeypatch.delattr(memory.os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(memory.os, "cpu_count", lambda: 5)
    assert memory.cores(*alone(tmp_path), NOTHING) == 5


def test_without_the_systems_files_and_limits_nothing_fails(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "resource", None)  # as on Windows
    assert memory.available(*alone(tmp_path), NOTHING) > 0
