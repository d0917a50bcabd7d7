from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import wait
from pathlib import Path

import process_tasks as tasks
import psutil
import pytest

from seamlabel.engine import workers
from seamlabel.engine.processes import ProcessExecutor
from seamlabel.engine.tasks import TaskQueue
from seamlabel.errors import WorkerError

HERE = Path(__file__).parent
PATIENCE = 20
linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's way of dying with a parent")
posix = pytest.mark.skipif(os.name != "posix", reason="needs signals")


@pytest.fixture
def make():
    made = []

    def executor(workers=1, payload=b"payload", install=tasks.install, timeout=None):
        made.append(ProcessExecutor(workers, payload, install, timeout))
        return made[-1]

    yield executor
    for one in made:
        one.shutdown(wait=False, cancel_futures=True)
        one.shutdown(wait=True)


def until(condition, seconds=PATIENCE):
    """Return what the condition gave, as soon as it is true."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.005)
    return value


def lives(pid):
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def error_of(future):
    return future.exception(PATIENCE)


def lines(path):
    return path.read_text().split() if path.exists() else []


def test_results_come_back_and_the_payload_goes_once_to_each_worker(make):
    pool = make(2)
    assert [f.result(PATIENCE) for f in [pool.submit(tasks.double, i) for i in range(20)]] == list(
        range(0, 40, 2)
    )
    seen = [f.result(PATIENCE) for f in [pool.submit(tasks.payloads) for _ in range(10)]]
    assert seen == [[b"payload"]] * 10
    assert 1 <= len(pool.pids) <= 2


def test_a_payload_larger_than_a_pipe_arrives(make):
    payload = bytes(5_000_000)
    assert make(payload=payload).submit(tasks.payloads).result(PATIENCE) == [payload]


def test_no_process_starts_before_there_is_a_task(make):
    assert make(2).pids == []


DEATHS = [
    (tasks.end_with, (3,), "ended with exit code 3"),
    (tasks.end_with, (0,), "ended with exit code 0"),
    (tasks.end_in_c, (4,), "ended with exit code 4"),
    pytest.param(tasks.segfault, (), "signal 11: SIGSEGV", marks=posix),
    pytest.param(tasks.abort, (), "signal 6: SIGABRT", marks=posix),
    pytest.param(tasks.kill_myself, (9,), "signal 9: SIGKILL", marks=posix),
    pytest.param(tasks.kill_myself, (15,), "signal 15: SIGTERM", marks=posix),
]


@pytest.mark.parametrize(("fault", "args", "told"), DEATHS)
def test_a_process_that_dies_fails_its_own_task_only(make, tmp_path, fault, args, told):
    pool = make(2)
    door = tmp_path / "door"
    beside = pool.submit(tasks.wait_for, str(door))
    until(beside.running)
    deadly = pool.submit(fault, *args)
    queued = [pool.submit(tasks.double, i) for i in range(4)]
    error = error_of(deadly)
    assert isinstance(error, WorkerError)
    assert told in str(error)
    assert error.memory == ("SIGKILL" in told)
    assert [f.result(PATIENCE) for f in queued] == [0, 2, 4, 6]
    door.touch()
    assert beside.result(PATIENCE) == str(door)
    assert len(lines(tmp_path / "door.begun")) == 1


@posix
def test_workers_killed_while_they_wait_for_work_cost_nothing(make):
    pool = make(2)
    wait([pool.submit(tasks.my_pid) for _ in range(4)], PATIENCE)
    for _ in range(3):
        dead = pool.pids
        for pid in dead:
            os.kill(pid, signal.SIGKILL)
        alive = [pool.submit(tasks.my_pid).result(PATIENCE) for _ in range(4)]
        assert not set(alive) & set(dead)


@posix
def test_a_worker_killed_while_it_starts_costs_nothing(make):
    pool = make(1)
    future = pool.submit(tasks.double, 4)
    os.kill(until(lambda: pool.pids)[0], signal.SIGKILL)
    assert future.result(PATIENCE) == 8


@posix
def test_random_kills_lose_no_task_but_the_one_worked_on(make):
    pool = make(2)
    kills = 0
    queue = TaskQueue(pool, 6)
    failed = []
    chance = random.Random(7)
    for number, end in enumerate(queue.drain((i, tasks.double, (i,)) for i in range(1000))):
        if end is not None and error_of(end[1]):
            failed.append(error_of(end[1]))
        elif end is not None:
            assert end[1].result() == 2 * end[0]
        if number % 100 == 50 and pool.pids:
            os.kill(chance.choice(pool.pids), signal.SIGKILL)
            kills += 1
    assert number >= 999
    assert kills >= 8
    assert len(failed) <= kills
    assert all(isinstance(error, WorkerError) and error.memory for error in failed)


@pytest.mark.parametrize("hang", [tasks.hang_in_python, tasks.hang_in_c, tasks.hang_deaf])
def test_a_task_that_takes_too_long_is_stopped(make, hang):
    pool = make(1, timeout=0.3)
    assert pool.submit(tasks.double, 1).result(PATIENCE) == 2
    stuck, after = pool.submit(hang), pool.submit(tasks.double, 3)
    error = error_of(stuck)
    assert isinstance(error, WorkerError)
    assert str(error) == "took longer than 0.3 s"
    assert not error.memory
    assert after.result(PATIENCE) == 6


def test_the_time_out_counts_neither_waiting_nor_making_ready(make):
    pool = make(1, b"0.5", tasks.install_slowly, timeout=0.3)
    futures = [pool.submit(time.sleep, 0.1) for _ in range(5)]
    assert [f.result(PATIENCE) for f in futures] == [None] * 5


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (tasks.raise_unpicklable, "UnpicklableError: it holds a lambda"),
        (tasks.raise_one_way, "OneWayError: this and that"),
        (tasks.give_a_lambda, "a function, cannot be passed on"),
        (tasks.give_one_way, "its outcome cannot be read"),
    ],
)
def test_what_cannot_be_passed_on_is_told_as_text(make, fault, told):
    pool = make(1)
    error = error_of(pool.submit(fault))
    assert isinstance(error, WorkerError)
    assert told in str(error)
    pid = pool.pids
    assert pool.submit(tasks.double, 1).result(PATIENCE) == 2
    assert pool.pids == pid


def test_errors_arrive_as_they_are_with_the_workers_traceback(make):
    pool = make(1)
    error = error_of(pool.submit(tasks.fail_plainly))
    assert (type(error), error.args) == (KeyError, ("no such channel",))
    assert "in fail_plainly" in error.__notes__[0]
    assert isinstance(error_of(pool.submit(tasks.leave, 5)), SystemExit)
    assert isinstance(error_of(pool.submit(tasks.interrupt)), KeyboardInterrupt)
    assert pool.submit(tasks.double, 1).result(PATIENCE) == 2


def test_a_function_that_cannot_be_sent_fails_its_future(make):
    pool = make(1)
    assert "lambda" in str(error_of(pool.submit(lambda: 1)))
    assert pool.submit(tasks.double, 1).result(PATIENCE) == 2


def test_an_error_while_making_ready_is_the_outcome_of_every_task(make, tmp_path):
    log = tmp_path / "log"
    pool = make(1, str(log).encode(), tasks.install_badly)
    errors = [error_of(pool.submit(tasks.double, i)) for i in range(3)]
    assert [str(error) for error in errors] == ["no such model"] * 3
    assert lines(log) == ["installed"]


def test_a_process_that_always_dies_while_making_ready_ends_in_errors(make, tmp_path):
    log = tmp_path / "log"
    pool = make(1, str(log).encode(), tasks.install_and_die)
    errors = [error_of(f) for f in [pool.submit(tasks.double, i) for i in range(2)]]
    assert all("exit code 9" in str(error) for error in errors)
    assert len(lines(log)) <= 6


def test_a_system_that_gives_no_more_processes_ends_in_errors(make, monkeypatch):
    def refuse(process):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(workers.SpawnProcess, "start", refuse)
    pool = make(1)
    assert "Resource temporarily unavailable" in str(error_of(pool.submit(tasks.double, 1)))
    monkeypatch.undo()
    assert pool.submit(tasks.double, 1).result(PATIENCE) == 2


def test_running_means_begun_and_what_has_not_begun_can_be_cancelled(make, tmp_path):
    pool = make(1)
    door = tmp_path / "door"
    first, second, third = (
        pool.submit(tasks.wait_for, str(door)),
        pool.submit(tasks.double, 1),
        pool.submit(my_double),
    )
    assert not first.running()
    until(first.running)
    assert not second.running()
    assert second.cancel()
    assert not first.cancel()
    door.touch()
    assert first.result(PATIENCE) == str(door)
    assert third.result(PATIENCE) == 2
    assert second.cancelled()


def my_double():
    return tasks.double(1)


@pytest.mark.parametrize("hang", [tasks.hang_in_python, tasks.hang_in_c, tasks.hang_deaf])
def test_stopping_leaves_no_process_no_thread_and_nobody_waiting(make, tmp_path, hang):
    threads = set(threading.enumerate())
    pool = make(2)
    begun = [tmp_path / "0", tmp_path / "1"]
    stuck = [pool.submit(hang, str(path)) for path in begun]
    queued = [pool.submit(tasks.double, i) for i in range(5)]
    pids = [int(until(lambda path=path: path.exists() and path.read_text())) for path in begun]
    pool.shutdown(wait=False, cancel_futures=True)
    assert not any(psutil.pid_exists(pid) for pid in pids)  # nor as a zombie
    assert all(isinstance(error_of(f), WorkerError) for f in stuck)
    until(lambda: all(f.cancelled() for f in queued))
    wait(queued, PATIENCE)
    until(lambda: set(threading.enumerate()) <= threads)
    with pytest.raises(RuntimeError, match="after shutdown"):
        pool.submit(tasks.double, 1)


def test_stopping_while_workers_start_leaves_none(make):
    pool = make(2)
    futures = [pool.submit(tasks.double, i) for i in range(5)]
    pids = until(lambda: pool.pids)
    pool.shutdown(wait=False, cancel_futures=True)
    assert len(wait(futures, PATIENCE).done) == 5
    pool.shutdown(wait=True)
    assert pool.pids == []
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_an_orderly_end_finishes_what_was_submitted(make):
    with make(2) as pool:
        futures = [pool.submit(tasks.double, i) for i in range(10)]
    assert [f.result(0) for f in futures] == list(range(0, 20, 2))
    assert pool.pids == []


def test_it_can_be_made_and_used_in_any_thread(make):
    results = []

    def use():
        results.append(make(1))
        results.append(results[0].submit(tasks.double, 2).result(PATIENCE))

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()  # the thread that made it is gone, the workers stay
    pid = results[0].pids
    assert results[1] == 4
    assert results[0].submit(tasks.my_pid).result(PATIENCE) == pid[0]


def script(tmp_path, text):
    path = tmp_path / "script.py"
    head = f"import sys; sys.path.insert(0, {str(HERE)!r})\n"
    path.write_text(head + "import process_tasks as tasks\n" + text)
    return [sys.executable, str(path)]


USE = """
from seamlabel.engine.processes import ProcessExecutor
print("once", flush=True)
pool = ProcessExecutor(2, b"payload", tasks.install)
"""


@pytest.mark.parametrize(
    "end", ["pool.shutdown()", "", "f = pool.submit(tasks.hang_in_c); import time; time.sleep(0.2)"]
)
def test_a_script_without_guard_runs_once_and_ends(tmp_path, end):
    text = USE + "print(pool.submit(tasks.double, 21).result())\n" + end
    done = subprocess.run(script(tmp_path, text), capture_output=True, text=True, timeout=PATIENCE)
    assert (done.stdout.split(), done.stderr, done.returncode) == (["once", "42"], "", 0)


def test_other_processes_of_the_script_still_know_its_functions(tmp_path):
    text = (
        "import multiprocessing\ndef mine():\n    print('mine')\n"
        "if __name__ == '__main__':\n    from seamlabel.engine.processes import ProcessExecutor\n"
        "    ProcessExecutor(1, b'', tasks.install).submit(tasks.double, 1).result()\n"
        "    p = multiprocessing.get_context('spawn').Process(target=mine)\n    p.start(); p.join()\n"
    )
    done = subprocess.run(script(tmp_path, text), capture_output=True, text=True, timeout=PATIENCE)
    assert (done.stdout.split(), done.stderr) == (["mine"], "")


HANGING = (
    USE
    + "fs = [pool.submit(getattr(tasks, sys.argv[1]), f'{sys.argv[2]}/{i}') for i in range(2)]\n"
    + "[f.result() for f in fs]\n"
)


@linux
@pytest.mark.parametrize("task", ["hang_in_c", "sleep_as_on_other_systems"])
def test_workers_die_with_their_coordinator(tmp_path, task):
    command = [*script(tmp_path, HANGING), task, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as coordinator:
        begun = [tmp_path / "0", tmp_path / "1"]
        until(lambda: all(path.exists() and path.read_text() for path in begun))
        family = [p.pid for p in psutil.Process(coordinator.pid).children(recursive=True)]
        assert len(family) >= 2
        coordinator.kill()
        until(lambda: not any(lives(pid) for pid in family), 1.0)
        assert coordinator.stderr.read() == b""


@posix
def test_ctrl_c_leaves_the_decision_to_the_coordinator_and_prints_nothing(tmp_path):
    text = (
        "import signal; signal.signal(signal.SIGINT, lambda *_: None)\n"
        + USE
        + "print(*[f.result() for f in [pool.submit(tasks.wait_for, sys.argv[1]) for _ in range(2)]])\n"
        "pool.shutdown()\n"
    )
    door = tmp_path / "door"
    with subprocess.Popen(
        [*script(tmp_path, text), str(door)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as coordinator:
        assert coordinator.stdout.readline() == "once\n"
        while len(lines(tmp_path / "door.begun")) < 2:  # while the workers start, too
            os.killpg(coordinator.pid, signal.SIGINT)
            time.sleep(0.01)
        os.killpg(coordinator.pid, signal.SIGINT)
        door.touch()
        assert coordinator.stdout.read().split() == [str(door)] * 2
    assert coordinator.returncode == 0
