"""Celery on a real broker: what goes over it, what its workers say, and a task that kills them."""

import json
import time

import pytest
from kombu.connection import Connection

from tests.provider import ORGANIZATION_SECRET, USER_SECRET
from tests.services.far import Installation, kill

pytestmark = [
    pytest.mark.services,
    pytest.mark.slow,
    pytest.mark.xdist_group("services"),
]

PATIENCE_SECONDS = 60
ROWS = 3
# Enqueues a task of tests.services.killing.
KILLER = """
import django, sys
django.setup()
from tests.services import killing
killing.kill_worker.enqueue(sys.argv[1])
killing.say.enqueue(sys.argv[1])
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


def wait_until(is_so, told):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, told()
        time.sleep(0.2)


def enqueue(installation, folder):
    file = folder / "rows.csv"
    rows = [f"Row {number},stripe,s3cr3t-k3y-{number}" for number in range(ROWS)]
    file.write_text("\n".join(["name,element,api.key", *rows]))
    installation.program.manage(
        "provision_instances", str(file), "--user", "ada@example.com", "--enqueue"
    )


def is_finished(installation):
    return installation.query("SELECT state FROM instances_bulkjob") == [("finished",)]


def test_a_message_holds_ids_alone_and_a_worker_logs_lines_without_secrets(
    installation, provider, tmp_path
):
    enqueue(installation, tmp_path)
    with Connection(installation.broker_url) as broker:
        queue = broker.SimpleQueue(installation.queue)
        message = queue.get(timeout=5)
        assert message.payload[:2] == [["instances.tasks.run_bulk_chunk", [1], {}], {}]
        message.requeue()
        queue.close()
    worker = installation.begin_worker()
    wait_until(lambda: is_finished(installation), lambda: installation.program.log)
    kill(worker)
    assert len(provider.instances) == ROWS
    assert installation.query("SELECT kind FROM instances_processbeat") == [("worker",)]
    log = installation.program.log
    events = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert any(one["logger"] == "celery.app.trace" for one in events)
    for secret in {ORGANIZATION_SECRET, USER_SECRET, "s3cr3t-k3y-", *provider.secrets}:
        assert secret not in log


def test_a_task_that_kills_its_worker_is_run_twice_and_no_more(installation, tmp_path):
    told = tmp_path / "told"
    told.touch()
    installation.begin_worker()
    installation.begin("-c", KILLER, str(told)).wait()
    wait_until(lambda: "said" in told.read_text(), lambda: installation.program.log)
    wait_until(lambda: told.read_text().count("killed") == 2, lambda: installation.program.log)
    installation.begin("-c", KILLER, str(told)).wait()
    wait_until(lambda: told.read_text().count("said") == 2, lambda: installation.program.log)
    wait_until(lambda: told.read_text().count("killed") == 4, lambda: installation.program.log)
    time.sleep(2)
    assert told.read_text().count("killed") == 4
