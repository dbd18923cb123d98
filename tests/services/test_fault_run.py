"""A platform that loses and refuses, workers that are killed: each row becomes one instance, on every engine.

FAULT_RUN_ROWS=2000 takes so many rows, and the program's own waits: some minutes for each engine.
"""

import os
import re
import sys
import time
from collections import Counter

import pytest

from tests.services.far import SCHEDULER, FarPlatform, Installation, kill, kill_a_child

pytestmark = [
    pytest.mark.services,
    pytest.mark.slow,
    pytest.mark.xdist_group("lifecycle"),
]

IS_HURRIED = "FAULT_RUN_ROWS" not in os.environ
ROWS = int(os.environ.get("FAULT_RUN_ROWS", "300"))
CONCURRENCY = 8 if IS_HURRIED else 32
KILLS = 10
WORKERS = 2
# No longer between two kills, so that what one left behind does not keep the next from coming.
KILL_SECONDS = 4 if IS_HURRIED else 10
DELAY_SECONDS = 0.05
PATIENCE_SECONDS = 180 if IS_HURRIED else 900
POLL_SECONDS = 0.2
ENGINES = [
    ("sqlite", "database"),
    ("sqlite", "redis"),
    ("postgresql", "database"),
    ("postgresql", "redis"),
    ("postgresql", "rabbitmq"),
]


@pytest.fixture
def platform():
    platform = FarPlatform(DELAY_SECONDS)
    yield platform
    platform.stop()


@pytest.fixture(params=ENGINES, ids=" and ".join)
def installation(request, tmp_path, platform, database_url, broker_url):
    database, engine = request.param
    installation = Installation(
        tmp_path,
        database_url=database_url(database),
        broker_url=broker_url(engine),
        is_hurried=IS_HURRIED,
        PROVIDER_ALLOWED_PRIVATE_HOSTS=platform.netloc,
        HTTP_TIMEOUT_SECONDS="2",
        LOG_LEVEL="WARNING",
    )
    installation.connect(f"http://{platform.netloc}")
    yield installation
    installation.remove()


def enqueue(installation, folder):
    file = folder / "rows.csv"
    rows = [f"Row {number},stripe,k3y-{number}" for number in range(ROWS)]
    file.write_text("\n".join(["name,element,api.key", *rows]))
    options = ["--user", "ada@example.com", "--concurrency", str(CONCURRENCY), "--enqueue"]
    installation.program.manage("provision_instances", str(file), *options)


def wait_until(is_so, seconds):
    deadline = time.monotonic() + seconds
    while not (answer := is_so()) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return answer


def test_every_row_is_connected_once_whatever_the_platform_does_and_whoever_is_killed(
    installation, platform, tmp_path
):
    enqueue(installation, tmp_path)
    began = time.monotonic()
    scheduler = installation.begin(*SCHEDULER)
    workers = [installation.begin_worker() for _ in range(WORKERS)]
    for number in range(1, KILLS + 1):
        due = number * ROWS // (KILLS + 1)
        wait_until(lambda due=due: len(platform.look()["held"]) >= due, KILL_SECONDS)
        victim = workers.pop(0)
        assert victim.poll() is None, installation.program.log
        if number % 2 and kill_a_child(victim):
            workers.append(victim)
        else:
            kill(victim)
            workers.append(installation.begin_worker())
    state = "SELECT state FROM instances_bulkjob"
    wait_until(lambda: installation.query(state) == [("finished",)], PATIENCE_SECONDS)
    assert scheduler.poll() is None, installation.program.log
    sys.stderr.write(f"{time.monotonic() - began:.0f} s, {platform.look()['faults']}\n")

    outcomes = installation.query("SELECT outcome, error FROM instances_bulkrow")
    assert Counter(outcomes) == {("succeeded", ""): ROWS}
    connected = installation.query(
        "SELECT i.name, i.remote_id FROM instances_instance i "
        "JOIN instances_bulkrow r ON r.instance_id = i.id WHERE i.state = 'connected'"
    )
    held = platform.look()["held"]
    assert Counter(held.values()) == Counter(f"Row {number}" for number in range(ROWS))
    assert {str(remote_id): name for name, remote_id in connected} == held
