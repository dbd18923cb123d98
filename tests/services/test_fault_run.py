"""Each row becomes exactly one instance, on every task engine, whatever fails.

The platform loses and rejects requests, workers are killed or stopped, databases restart, and clocks are wrong.

FAULT_RUN_ROWS=2000: run with this many rows and the program's real waits, which takes some minutes per engine.
"""

import os
import sys
import threading
import time
from collections import Counter

import pytest

from tests.services.cluster import Cluster
from tests.services.far import (
    SCHEDULER,
    FarPlatform,
    Installation,
    freeze,
    kill,
    kill_a_child,
    thaw,
)

pytestmark = [
    pytest.mark.services,
    pytest.mark.slow,
    pytest.mark.xdist_group("services"),
]

IS_HURRIED = "FAULT_RUN_ROWS" not in os.environ
ROWS = int(os.environ.get("FAULT_RUN_ROWS", "300"))
CONCURRENCY = 8 if IS_HURRIED else 32
# A row may be under way at several kills, and has 8 attempts: it must not use them up in a short run.
KILLS = 5 if IS_HURRIED else 10
WORKERS = 2
# The longest time between two kills, so that the effects of one do not delay the next.
KILL_SECONDS = 2 if IS_HURRIED else 10
DELAY_SECONDS = 0.05
PATIENCE_SECONDS = 180 if IS_HURRIED else 900
POLL_SECONDS = 0.2
# Longer than a row's lease: 15 seconds with short waits, else 41.
FROZEN_SECONDS = 18 if IS_HURRIED else 45
AWAY_SECONDS = 2.0
DAY_SECONDS = 24 * 60 * 60
# Longer than it takes to kill a process that waits for a response.
HOLD_SECONDS = 0.6
ENGINES = [
    ("sqlite", "database"),
    ("postgresql", "database"),
    ("postgresql", "redis"),
    ("postgresql", "rabbitmq"),
    # SQLite means one machine, which needs Celery least: only in a long run.
    *([] if IS_HURRIED else [("sqlite", "redis"), ("sqlite", "rabbitmq")]),
]


@pytest.fixture
def platform():
    platform = FarPlatform(DELAY_SECONDS)
    yield platform
    platform.stop()


@pytest.fixture(params=ENGINES, ids=" and ".join)
def install(request, tmp_path, database_url, broker_url):
    """Return a function that installs the program with one platform and one engine, or on another database server."""
    database, engine = request.param
    installed = []

    def install(netloc, server_url=None):
        addresses = server_url or database_url(database), broker_url(engine)
        installation = Installation(
            tmp_path,
            database_url=addresses[0],
            broker_url=addresses[1],
            is_hurried=IS_HURRIED,
            PROVIDER_ALLOWED_PRIVATE_HOSTS=netloc,
            HTTP_TIMEOUT_SECONDS="2",
            LOG_LEVEL="WARNING",
        )
        installed.append(installation)
        installation.connect(f"http://{netloc}")
        return installation

    yield install
    for installation in installed:
        installation.remove()


def enqueue(installation, folder, names, concurrency):
    file = folder / "rows.csv"
    rows = [f"{name},stripe,k3y-of-{name}" for name in names]
    file.write_text("\n".join(["name,element,api.key", *rows]))
    options = ["--user", "ada@example.com", "--concurrency", str(concurrency), "--enqueue"]
    installation.program.manage("provision_instances", str(file), *options)


def is_finished(installation):
    return installation.query("SELECT state FROM instances_bulkjob") == [("finished",)]


def wait_until(is_so, seconds):
    deadline = time.monotonic() + seconds
    while not (answer := is_so()) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return answer


class Poison:
    """Let the row of this name kill each worker that processes it, before any other row is answered."""

    name = "Poison"

    def __init__(self, provider):
        self.is_met = threading.Event()
        self._answer = provider.answer
        self._tag = ""
        provider.answer = self.answer

    def answer(self, request):
        tags = request.json["tags"] if request.method == "POST" else [request.query.get("tags[]")]
        if request.method == "POST" and request.json["name"] == self.name:
            self._tag = next(tag for tag in tags if tag.startswith("im-"))
        if self._tag in tags:
            self.is_met.set()
            time.sleep(HOLD_SECONDS)
            return 500, {"message": "Nobody hears this."}
        time.sleep(HOLD_SECONDS)
        return self._answer(request)


@pytest.mark.parametrize(
    "install", [("sqlite", "database"), ("postgresql", "redis")], ids=" and ".join, indirect=True
)
@pytest.mark.skipif(not IS_HURRIED, reason="It takes no more rows.")
def test_a_row_that_ends_its_workers_is_given_up_and_the_others_are_not(
    install, provider, tmp_path
):
    installation, poison = install(provider.netloc), Poison(provider)
    others = [f"Row {number}" for number in range(16)]
    enqueue(installation, tmp_path, [poison.name, *others], concurrency=4)
    installation.begin(*SCHEDULER)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_finished(installation) and time.monotonic() < deadline:
        worker = installation.begin_worker()
        wait_until(lambda: poison.is_met.is_set() or is_finished(installation), PATIENCE_SECONDS)
        kill(worker)
        time.sleep(HOLD_SECONDS)
        poison.is_met.clear()
        installation.run_out_leases()
    rows = installation.query("SELECT name, outcome, error FROM instances_bulkrow")
    given_up = [(name, error) for name, outcome, error in rows if outcome != "succeeded"]
    assert [name for name, _ in given_up] == [poison.name]
    assert "The worker crashed 8 times on this row" in given_up[0][1]
    assert Counter(one["name"] for one in provider.instances.values()) == Counter(others)


def require_one_instance_a_row(installation, platform):
    outcomes = installation.query("SELECT outcome, error FROM instances_bulkrow")
    assert Counter(outcomes) == {("succeeded", ""): ROWS}
    connected = installation.query(
        "SELECT i.name, i.remote_id FROM instances_instance i "
        "JOIN instances_bulkrow r ON r.instance_id = i.id WHERE i.state = 'connected'"
    )
    held = platform.look()["held"]
    assert Counter(held.values()) == Counter(f"Row {number}" for number in range(ROWS))
    assert {str(remote_id): name for name, remote_id in connected} == held


def test_every_row_is_connected_once_whatever_the_platform_does_and_whoever_is_killed(
    install, platform, tmp_path
):
    installation = install(platform.netloc)
    enqueue(installation, tmp_path, [f"Row {number}" for number in range(ROWS)], CONCURRENCY)
    began = time.monotonic()
    installation.begin(*SCHEDULER)
    workers = [installation.begin_worker() for _ in range(WORKERS)]
    for number in range(1, KILLS + 1):
        due = number * ROWS // (KILLS + 1)
        wait_until(lambda due=due: len(platform.look()["held"]) >= due, KILL_SECONDS)
        victim = workers.pop(0)
        # A Celery worker exits if its child dies before it is ready; a process supervisor would restart it.
        if victim.poll() is None and number % 2 and kill_a_child(victim):
            workers.append(victim)
        else:
            kill(victim)
            workers.append(installation.begin_worker())
    wait_until(lambda: is_finished(installation), PATIENCE_SECONDS)
    assert is_finished(installation), installation.program.log
    sys.stderr.write(f"{time.monotonic() - began:.0f} s, {platform.look()['faults']}\n")

    require_one_instance_a_row(installation, platform)


@pytest.fixture
def cluster():
    with Cluster() as cluster:
        yield cluster


class Thaw:
    """Stopped workers, each of which continues after FROZEN_SECONDS."""

    def __init__(self):
        self._due = []

    def add(self, worker):
        freeze(worker)
        self._due.append((time.monotonic() + FROZEN_SECONDS, worker))

    def turn(self, *, is_last=False):
        for due_at, worker in list(self._due):
            if is_last or time.monotonic() > due_at:
                thaw(worker)
                self._due.remove((due_at, worker))


@pytest.mark.parametrize(
    "install",
    [("postgresql", "database"), *([] if IS_HURRIED else [("postgresql", "redis")])],
    ids=" and ".join,
    indirect=True,
)
def test_every_row_is_connected_once_though_databases_restart_workers_stop_and_clocks_are_wrong(
    cluster, install, platform, tmp_path
):
    installation = install(platform.netloc, cluster.url)
    enqueue(installation, tmp_path, [f"Row {number}" for number in range(ROWS)], CONCURRENCY)
    schedulers = [installation.begin(*SCHEDULER)]
    for skew in (-20, DAY_SECONDS):
        installation.begin(*SCHEDULER, CLOCK_SKEW_SECONDS=str(skew))
        installation.begin_worker(CLOCK_SKEW_SECONDS=str(skew))
    workers = [installation.begin_worker() for _ in range(WORKERS)]
    frozen = Thaw()

    def is_over():
        frozen.turn()
        installation.keep_workers(workers)
        if schedulers[0].poll() is not None:
            schedulers[0] = installation.begin(*SCHEDULER)
        return is_finished(installation)

    try:
        for number in range(1, KILLS + 1):
            due = number * ROWS // (KILLS + 1)
            wait_until(lambda due=due: len(platform.look()["held"]) >= due, KILL_SECONDS)
            victim = workers.pop(0)
            match number % 3:
                case 0:
                    kill(victim)
                case 1:
                    frozen.add(victim)
                case 2:
                    workers.insert(0, victim)
                    cluster.restart(away_seconds=AWAY_SECONDS if number % 2 else 0.0)
            while len(workers) < WORKERS:
                workers.append(installation.begin_worker())
            is_over()
        wait_until(is_over, 2 * PATIENCE_SECONDS)
    finally:
        frozen.turn(is_last=True)
    assert is_finished(installation), installation.program.log
    # Workers that were stopped when the last row finished continue now: they must change nothing.
    time.sleep(2)
    require_one_instance_a_row(installation, platform)
