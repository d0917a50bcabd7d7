"""The dask executor, on real clusters whose workers, schedulers and clients are killed."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import wait
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from seamlabel.engine.cluster import DaskExecutor
from seamlabel.errors import SpecError, WorkerError

distributed = pytest.importorskip("distributed")
SCRIPT = """
from seamlabel.engine.cluster import DaskExecutor
import os, sys, time
def tile(job, number):
    return job, number * number
def stuck(job, folder):
    import ctypes, pathlib
    pathlib.Path(folder, str(os.getpid())).touch()
    ctypes.PyDLL(None).sleep(600)
"""


class Stubborn(Exception):
    """Pickles, and cannot be unpickled."""

    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


def square(job, number):
    return job, number * number


def slow_square(job, number):
    time.sleep(0.1)
    return number * number


def where(job, number):
    time.sleep(0.05)
    return os.getpid()


def fail(job, kind):
    if kind == "value":
        raise ValueError("the tile is odd")
    if kind == "exit":
        raise SystemExit(3)
    if kind == "stubborn":
        raise Stubborn(1, 2)
    if kind == "locked":
        error = ValueError("locked")
        error.lock = threading.Lock()
        raise error
    return threading.Lock()


def mark(job, folder, number):
    Path(folder, str(number)).touch()
    time.sleep(0.1)


def crash(job, number):
    os.kill(os.getpid(), signal.SIGKILL)


def hang(job, folder):
    """Hang in C with the interpreter's lock held."""
    Path(folder, str(os.getpid())).touch()
    ctypes.PyDLL(None).sleep(600)


def count_installs(payload):
    folder = Path(payload.decode())
    (folder / f"{os.getpid()}-{time.time_ns()}").touch()
    return folder


def bad_install(payload):
    raise ValueError("no weights in the payload")


def noise(caplog):
    """What dask would have written to standard error."""
    return [
        (record.name, record.getMessage(), str(record.exc_info))
        for record in caplog.records
        if record.levelname in ("WARNING", "ERROR")
    ]


def until(condition, seconds=20):
    """Wait for a condition; it must come true."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
    return value


@contextmanager
def executor(scheduler=None, payload=b"job", install=bytes.decode, timeout=None):
    pool = DaskExecutor(scheduler, 2, payload, install, timeout)
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def left_by_us(client):
    """Names of tasks and plugins that the scheduler of a user holds for us."""
    names = client.run_on_scheduler(
        lambda dask_scheduler: [*dask_scheduler.tasks, *dask_scheduler.worker_plugins]
    )
    return [name for name in names if name.startswith("seamlabel")]


@pytest.fixture(scope="module")
def cluster():
    """A cluster of the user, with nannies."""
    options = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0", "memory_limit": 0, "silence_logs": 50}
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, **options) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def pool():
    """Our own cluster, for tests that leave it whole."""
    with executor() as pool:
        yield pool


def family(pool):
    """Processes of our own cluster."""
    return psutil.Process(pool._link.host._process.pid).children(recursive=True)


def workers(pool):
    return [p for p in family(pool) if "spawn_main" in " ".join(p.cmdline())]


def test_tasks_get_the_job_and_their_numbers(pool):
    futures = [pool.submit(square, i) for i in range(20)]
    assert [f.result(30) for f in futures] == [("job", i * i) for i in range(20)]
    assert pool._open == {}
    assert pool.in_flight == 4


def test_an_error_of_a_task_comes_back_with_its_traceback(pool):
    error = pool.submit(fail, "value").exception(30)
    assert isinstance(error, ValueError)
    assert "in fail" in error.__notes__[0]
    assert isinstance(pool.submit(fail, "exit").exception(30), SystemExit)


def test_what_cannot_be_pickled_is_an_error_and_no_hang(pool):
    error = pool.submit(fail, "stubborn").exception(30)
    assert isinstance(error, WorkerError)
    assert "Stubborn: 1 and 2" in str(error)
    assert str(pool.submit(fail, "locked").exception(30)) == "ValueError: locked"
    assert "pickle" in str(pool.submit(fail, "lock").exception(30))


def test_the_payload_is_installed_once_on_each_worker_and_again_where_one_died(cluster, tmp_path):
    with executor(cluster, payload=str(tmp_path).encode(), install=count_installs) as pool:
        until(lambda: pool._threads == 2)
        pids = {f.result(30) for f in [pool.submit(where, i) for i in range(8)]}
        assert sorted(p.name.split("-")[0] for p in tmp_path.iterdir()) == sorted(map(str, pids))
        victim = pids.pop()
        os.kill(victim, signal.SIGKILL)
        futures = [pool.submit(where, i) for i in range(6)]
        assert victim not in {f.result(30) for f in futures}
        installed = [p.name.split("-")[0] for p in tmp_path.iterdir()]
        assert len(installed) == len(set(installed))


def test_an_error_of_the_install_is_the_error_of_the_task(cluster):
    with executor(cluster, install=bad_install) as pool:
        assert "no weights" in str(pool.submit(square, 1).exception(30))


def test_all_results_are_right_while_a_worker_is_killed_every_second(pool):
    stop = threading.Event()

    def kill():
        while not stop.wait(1.0):
            if pool._threads == 2:  # a worker may take longer than a second to come back
                workers(pool)[0].kill()

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        futures = [pool.submit(slow_square, i) for i in range(60)]
        assert [f.result(60) for f in futures] == [i * i for i in range(60)]
    finally:
        stop.set()
        thread.join()


def test_a_tile_that_kills_every_worker_is_named_and_the_others_go_on(pool):
    error = pool.submit(crash, 1).exception(60)
    assert isinstance(error, WorkerError)
    assert "workers died while they had it" in str(error)
    assert error.memory
    assert not error.fatal
    assert pool.submit(square, 3).result(30) == ("job", 9)


def test_a_tile_that_takes_too_long_fails_and_its_worker_is_replaced(tmp_path):
    with executor(timeout=1.0) as pool:
        stuck = pool.submit(hang, str(tmp_path))
        futures = [pool.submit(slow_square, i) for i in range(30)]
        until(stuck.running)
        assert "took longer than 1 s" in str(stuck.exception(30))
        assert [f.result(30) for f in futures] == [i * i for i in range(30)]
        [pid] = [int(p.name) for p in tmp_path.iterdir()]
        until(lambda: not psutil.pid_exists(pid))
        until(lambda: len({f.result(30) for f in [pool.submit(where, i) for i in range(4)]}) == 2)


def test_a_hanging_worker_of_the_user_is_restarted_by_its_nanny(cluster, tmp_path):
    with executor(cluster, timeout=0.5) as pool:
        assert "took longer" in str(pool.submit(hang, str(tmp_path)).exception(30))
        [pid] = [int(p.name) for p in tmp_path.iterdir()]
        until(lambda: not psutil.pid_exists(pid))
        assert pool.submit(square, 2).result(30) == ("job", 4)
        until(lambda: pool._threads == 2)


def test_shutdown_kills_our_workers_whatever_they_do(tmp_path):
    pool = DaskExecutor(None, 2, b"job", bytes.decode)
    future = pool.submit(hang, str(tmp_path))
    until(lambda: list(tmp_path.iterdir()))
    begun = [*family(pool), psutil.Process(pool._link.host._process.pid)]
    start = time.monotonic()
    pool.shutdown(wait=False, cancel_futures=True)
    assert time.monotonic() - start < 1
    assert not psutil.wait_procs(begun, timeout=2)[1]
    assert future.cancelled()
    assert not wait([future], timeout=1).not_done


def test_a_client_of_the_user_and_its_workers_live_on(cluster, tmp_path):
    with distributed.Client(cluster) as client:
        pool = DaskExecutor(client, 2, b"job", bytes.decode)
        futures = [pool.submit(mark, str(tmp_path), i) for i in range(40)]
        until(lambda: any(f.done() for f in futures))
        pids = client.run(os.getpid)
        start = time.monotonic()
        pool.shutdown(wait=False, cancel_futures=True)
        assert time.monotonic() - start < 1
        assert not wait(futures, timeout=1).not_done
        until(lambda: not left_by_us(client))
        assert len(list(tmp_path.iterdir())) < 40
        assert client.run(os.getpid) == pids
        assert client.submit(abs, -1).result(timeout=10) == 1


def test_two_runs_on_one_cluster_do_not_mix(cluster):
    with executor(cluster, payload=b"one") as one, executor(cluster, payload=b"two") as two:
        pairs = [(one.submit(square, i), two.submit(square, i)) for i in range(10)]
        assert {(a.result(30)[0], b.result(30)[0]) for a, b in pairs} == {("one", "two")}


def test_an_adaptive_cluster_without_workers_scales_up():
    options = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0", "silence_logs": 50}
    with distributed.LocalCluster(n_workers=0, threads_per_worker=1, **options) as cluster:
        cluster.adapt(minimum=0, maximum=2, interval="100ms")
        with executor(cluster) as pool:
            assert pool.in_flight == 4
            assert not pool.submit(square, 0).running()
            assert [pool.submit(square, i).result(60) for i in range(3)] == [("job", i * i) for i in range(3)]


def test_shutdown_waits_for_the_tasks_when_asked(cluster):
    pool = DaskExecutor(cluster.scheduler_address, 2, b"job", bytes.decode)
    futures = [pool.submit(slow_square, i) for i in range(5)]
    pool.shutdown()
    assert [f.result(0) for f in futures] == [i * i for i in range(5)]
    assert pool._client.status == "closed"
    with pytest.raises(WorkerError, match="shut down"):
        pool.submit(square, 1)


@pytest.fixture
def scheduler(tmp_path):
    """A scheduler and a worker as a user starts them, in processes of their own."""
    file = tmp_path / "scheduler.json"
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    command += ["--no-dashboard", "--scheduler-file", str(file)]
    log = (tmp_path / "log").open("w")
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    options = {"stdout": log, "stderr": log, "env": {**os.environ, "PYTHONPATH": path}}
    processes = [subprocess.Popen(command, **options)]
    until(file.exists)
    command = [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", str(file)]
    processes.append(subprocess.Popen([*command, "--no-nanny", "--nthreads", "1"], **options))
    yield file, processes[0]
    for process in processes:
        process.kill()
        process.wait()
    log.close()


def test_a_lost_scheduler_ends_everything_with_a_clear_error(scheduler, caplog):
    file, process = scheduler
    with executor(file) as pool:
        assert pool.submit(square, 2).result(60) == ("job", 4)
        futures = [pool.submit(slow_square, i) for i in range(100)]
        until(lambda: futures[3].done())
        process.kill()
        errors = [f.exception(10) for f in futures]
        lost = [e for e in errors if e is not None]
        assert lost
        assert all(e.fatal and "is gone" in str(e) and "resume" in e.hint for e in lost)
        assert pool.submit(square, 1).exception(1).fatal
        until(lambda: pool._client.status == "closed", 5)
    assert noise(caplog) == []


def test_a_worker_without_a_nanny_is_told_of(scheduler, tmp_path):
    with executor(scheduler[0], timeout=0.3) as pool:
        error = pool.submit(slow_square, 0).result(60)
        error = pool.submit(hang, str(tmp_path)).exception(30)
        assert "no nanny" in error.hint
    for path in tmp_path.glob("[0-9]*"):
        os.kill(int(path.name), signal.SIGKILL)


def test_our_own_scheduler_may_be_lost_too():
    with executor() as pool:
        futures = [pool.submit(slow_square, i) for i in range(100)]
        until(lambda: futures[3].done())
        begun = family(pool)
        psutil.Process(pool._link.host._process.pid).kill()
        assert all(e is None or e.fatal for e in [f.exception(10) for f in futures])
    assert not psutil.wait_procs(begun, timeout=2)[1]


def test_a_client_that_the_user_closes_ends_the_run(cluster):
    client = distributed.Client(cluster)
    with executor(client) as pool:
        futures = [pool.submit(slow_square, i) for i in range(40)]
        client.close()
        assert futures[-1].exception(10).fatal


def test_a_script_needs_no_main_guard(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        f"{SCRIPT}\npool = DaskExecutor(None, 2, b'x', bytes.decode)\n"
        "print([f.result(30) for f in [pool.submit(tile, i) for i in range(3)]])\n"
        "pool.shutdown()\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("[('x', 0), ('x', 1), ('x', 4)]\n", "")


def test_nothing_survives_a_client_that_is_killed(tmp_path):
    script = tmp_path / "script.py"
    folder = tmp_path / "pids"
    folder.mkdir()
    script.write_text(
        f"{SCRIPT}\npool = DaskExecutor(None, 2, b'x', bytes.decode)\n"
        f"pool.submit(stuck, {str(folder)!r})\n"
        "time.sleep(600)\n"
    )
    process = subprocess.Popen([sys.executable, script])
    until(lambda: list(folder.iterdir()))
    begun = psutil.Process(process.pid).children(recursive=True)
    assert {int(p.name) for p in folder.iterdir()} < {p.pid for p in begun}
    process.kill()
    process.wait()
    assert not psutil.wait_procs(begun, timeout=3)[1]


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch, caplog):
    monkeypatch.setattr("seamlabel.engine.cluster_link.CONNECT_SECONDS", 0.5)
    with pytest.raises(SpecError, match=r"tcp://127\.0\.0\.1:9") as caught:
        DaskExecutor("tcp://127.0.0.1:9", 2, b"job", bytes.decode)
    assert caught.value.problems[0].field == "scheduler"
    with pytest.raises(SpecError, match=r"no scheduler file nowhere\.json"):
        DaskExecutor("nowhere.json", 2, b"job", bytes.decode)
    assert noise(caplog) == []


def test_a_worker_of_another_version_is_refused(cluster, monkeypatch):
    monkeypatch.setattr("seamlabel.engine.cluster_link.__version__", "99")
    with pytest.raises(SpecError, match="has seamlabel"):
        DaskExecutor(cluster, 2, b"job", bytes.decode)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr("seamlabel.engine.cluster_link.importlib.util.find_spec", lambda name: None)
    with pytest.raises(SpecError, match=r"pip install 'seamlabel\[dask\]'"):
        DaskExecutor(None, 2, b"job", bytes.decode)
