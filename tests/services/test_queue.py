"""Bulk jobs on a real broker: the queue stays short, and no job or action waits behind the rows of another job."""

import time

import pytest
from kombu.connection import Connection

from tests.services.far import Installation

pytestmark = [
    pytest.mark.services,
    pytest.mark.slow,
    pytest.mark.xdist_group("services"),
]

PATIENCE_SECONDS = 60
MAX_WAITING = 4
LONG = 3000
# Enqueues an action on an instance that does not exist, which is soon done.
ACTION = """
import django
django.setup()
from instances import tasks
tasks.carry_out.enqueue("check", 0, "test")
"""


@pytest.fixture(params=["redis", "rabbitmq"])
def installation(request, tmp_path, provider, broker_url):
    installation = Installation(
        tmp_path,
        database_url="",
        broker_url=broker_url(request.param),
        is_hurried=False,
        PROVIDER_ALLOWED_PRIVATE_HOSTS=provider.netloc,
        DJANGO_SETTINGS_MODULE="config.settings",
    )
    installation.connect(provider.url)
    yield installation
    installation.remove()


def enqueue(installation, folder, name, count):
    file = folder / "rows.csv"
    rows = [f"{name} {number},stripe,k3y-{number}" for number in range(count)]
    file.write_text("\n".join(["name,element,api.key", *rows]))
    options = ["--user", "ada@example.com", "--enqueue"]
    installation.program.manage("provision_instances", str(file), *options)


def waiting(installation, queue):
    with Connection(installation.broker_url) as broker:
        try:
            return broker.default_channel.queue_declare(queue, passive=True).message_count
        except broker.channel_errors:
            # Redis has no empty queues.
            return 0


def state_of(installation, number):
    return installation.query(f"SELECT state FROM instances_bulkjob WHERE id = {number}")[0][0]  # noqa: S608


def wait_until(is_so, installation):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, installation.program.log
        time.sleep(0.1)


def test_a_short_job_and_an_action_overtake_a_long_job_whose_messages_stay_few(
    installation, tmp_path
):
    enqueue(installation, tmp_path, "Long", LONG)
    for _ in range(3):
        installation.program.manage("scheduler", "--once")
    assert waiting(installation, installation.bulk_queue) == MAX_WAITING
    enqueue(installation, tmp_path, "Short", 1)
    installation.begin("-c", ACTION).wait()
    assert waiting(installation, installation.queue) == 1
    installation.begin_worker()
    wait_until(lambda: state_of(installation, 2) == "finished", installation)
    wait_until(lambda: waiting(installation, installation.queue) == 0, installation)
    assert waiting(installation, installation.bulk_queue) <= MAX_WAITING
    assert state_of(installation, 1) == "running"
    installation.program.manage("bulk_jobs", "1", "--cancel")
    enqueue(installation, tmp_path, "Shorter", 1)
    wait_until(lambda: state_of(installation, 3) == "finished", installation)


def test_a_broker_that_lost_its_messages_is_asked_again(installation, tmp_path):
    enqueue(installation, tmp_path, "Long", 300)
    with Connection(installation.broker_url) as broker:
        broker.default_channel.queue_purge(installation.bulk_queue)
    installation.program.manage("scheduler", "--once")
    assert waiting(installation, installation.bulk_queue) == 2
    installation.begin_worker()
    wait_until(lambda: state_of(installation, 1) == "finished", installation)
