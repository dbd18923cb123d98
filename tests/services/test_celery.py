"""Celery on a real broker: its messages, the logs of its workers, and a task that kills its worker."""

import json
import pickle
import time

import pytest
from kombu.connection import Connection

from tests.services.far import Installation, kill
from tests.support.provider import ORGANIZATION_SECRET, USER_SECRET

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


TASK = "instances.bulk.tasks.run_bulk_chunk"
MARK = "m4rk-of-a-stranger"
JSON = {"content_type": "application/json", "content_encoding": "utf-8"}
GOOD_HEADERS = {"task": "run", "id": "1", "lang": "py"}
EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


def sent(*arguments, **changes):
    """A message in Celery's format, with these changes."""
    body = json.dumps([arguments, {}, EMBED])
    return {"body": body, "headers": GOOD_HEADERS} | JSON | changes


# By what is wrong with each. All contain MARK. None may crash a worker or appear in its log.
MALFORMED = {
    "not JSON": sent(body=MARK),
    "half of it": sent(body='[["' + MARK),
    "no list": sent(body=json.dumps(MARK)),
    "an object": sent(body=json.dumps({"args": MARK})),
    "too few parts": sent(body=json.dumps([[MARK]])),
    "nothing": sent(body="", headers=GOOD_HEADERS | {"x": MARK}),
    "bytes": sent(body=b"\xff\xfe\x00" + MARK.encode()),
    "deep": sent(body="[" * 100_000 + MARK),
    "huge": sent(TASK, ["x" * 3_000_000 + MARK], {}),
    "no headers": sent(TASK, [MARK], {}, headers=None),
    "headers of no task": sent(TASK, [MARK], {}, headers={"id": MARK}),
    "an old task's form": sent(body=json.dumps({"task": "run", "id": MARK}), headers=None),
    "unknown task": sent(TASK, [MARK], {}, headers=GOOD_HEADERS | {"task": MARK}),
    "a task that is a list": sent(TASK, [MARK], {}, headers=GOOD_HEADERS | {"task": [MARK]}),
    "no id": sent(TASK, [MARK], {}, headers={"task": "run"}),
    "an id that is a number": sent(TASK, [MARK], {}, headers=GOOD_HEADERS | {"id": 7}),
    "wrong arguments": sent(MARK),
    "too many arguments": sent(TASK, [MARK], {}, MARK),
    "arguments of other types": sent(TASK, MARK, {}),
    "a path to no task": sent("os." + MARK, [MARK], {}),
    "a path to something else": sent("os.path.join", [MARK], {}),
    "no path": sent(MARK, [MARK], {}),
    "arguments that the task has not": sent(TASK, [1, MARK], {"also": MARK}),
    "a time that is none": sent(TASK, [1], {}, headers=GOOD_HEADERS | {"eta": MARK}),
    "an end that is none": sent(TASK, [1], {}, headers=GOOD_HEADERS | {"expires": MARK}),
    "limits that are none": sent(TASK, [1], {}, headers=GOOD_HEADERS | {"timelimit": MARK}),
    "pickle": sent(
        body=pickle.dumps([TASK, [MARK], {}]),
        content_type="application/x-python-serialize",
        content_encoding="binary",
    ),
    "plain text": sent(TASK, [MARK], {}, content_type="text/plain"),
    "an unknown content type": sent(TASK, [MARK], {}, content_type="x/" + MARK),
    "an unknown encoding": sent(TASK, [MARK], {}, content_encoding=MARK),
    "no content type": sent(TASK, [MARK], {}, content_type=None),
    "compressed, but not": sent(TASK, [MARK], {}, headers=GOOD_HEADERS | {"compression": "zlib"}),
    "unknown compression": sent(TASK, [MARK], {}, headers=GOOD_HEADERS | {"compression": MARK}),
}
# Raw Redis values that Kombu takes for an envelope.
RAW = [
    MARK.encode(),
    b"\xff\xfe" + MARK.encode(),
    b"",
    b"[]",
    b"null",
    b"7",
    b"[" * 100_000,
    json.dumps({"body": MARK}).encode(),
    json.dumps({"body": MARK, "properties": {}}).encode(),
    json.dumps({"body": MARK, "properties": MARK}).encode(),
    json.dumps({"body": MARK, "properties": {"delivery_tag": "1"}}).encode(),
    json.dumps({"body": MARK, "properties": {"delivery_tag": [1]}}).encode(),
    json.dumps({"body": MARK, "headers": [MARK], "properties": {"delivery_tag": MARK}}).encode(),
    json.dumps(
        {"body": MARK, "properties": {"delivery_tag": "2", "body_encoding": "base64"}}
    ).encode(),
    json.dumps(
        {"body": {"a": MARK}, "properties": {"delivery_tag": "3", "body_encoding": MARK}}
    ).encode(),
    json.dumps(
        {"body": "W10=", "properties": {"delivery_tag": "4", "delivery_info": MARK}}
    ).encode(),
]


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
        queue = broker.SimpleQueue(installation.bulk_queue)
        message = queue.get(timeout=5)
        assert message.payload[:2] == [["instances.bulk.tasks.run_bulk_chunk", [1], {}], {}]
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


def send_malformed(broker_url, queue):
    """Send all of them directly to the broker; returns how many there are."""
    with Connection(broker_url) as broker:
        channel = broker.default_channel
        for message in MALFORMED.values():
            body = message["body"]
            content = body.encode() if isinstance(body, str) else body
            prepared = channel.prepare_message(**message | {"body": content})
            channel.basic_publish(prepared, exchange="", routing_key=queue)
        if broker.transport.driver_type != "redis":
            return len(MALFORMED)
        for entry in RAW:
            channel.client.lpush(queue, entry)
        return len(MALFORMED) + len(RAW)


def rejections(installation):
    lines = [json.loads(line) for line in installation.program.log.splitlines() if line[:1] == "{"]
    return [one for one in lines if "rejected" in one["event"]]


def test_malformed_messages_are_rejected_with_a_line_each_and_the_worker_goes_on(
    installation, provider, tmp_path
):
    worker = installation.begin_worker()
    with Connection(installation.broker_url) as broker:
        wait_until(lambda: "ready" in installation.program.log, lambda: installation.program.log)
        count = send_malformed(installation.broker_url, installation.queue)
        enqueue(installation, tmp_path)
        wait_until(lambda: is_finished(installation), lambda: installation.program.log)
        wait_until(lambda: len(rejections(installation)) >= count, lambda: installation.program.log)
        for queue in (installation.queue, installation.bulk_queue):
            left = broker.SimpleQueue(queue)
            with pytest.raises(left.Empty):
                left.get(timeout=1)
            left.close()
    assert worker.poll() is None
    kill(worker)
    log = installation.program.log
    assert len(rejections(installation)) == count
    assert MARK not in log
    assert "Traceback" not in log
    assert len(provider.instances) == ROWS
