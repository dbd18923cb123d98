"""What is kept of data calls, and for how long."""

import threading
from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from instances.models import Instance, Interaction
from instances.platforms.transport import batching
from instances.platforms.transport.recording import write_interaction
from instances.provisioning.lifecycle.pruning import prune
from tests.support.factories import make_interaction
from tests.support.provider_api import Reply

SECRET_BODY = b'{"name": "Ada", "password": "hunter2hunter2", "key": "access-token-0"}'


def trace(program, **body):
    path = f"instances/{program.instance.pk}/trace-logging"
    assert program.api.put(path, body or None).status_code == 200


def record():
    return Interaction.objects.get(kind="data")


def test_a_traced_call_is_recorded_with_redacted_bodies(program, provider_api):
    trace(program)
    provider_api.replies["things"] = lambda _: Reply(201, SECRET_BODY)
    program.call(
        "POST", "things?a=1&token=t0ken-of-somebody", SECRET_BODY, content_type="application/json"
    )
    one = record()
    assert one.url.endswith("/things?a=1&token=[redacted]")
    assert one.request_body == one.response_body
    assert one.request_body.startswith('{"name": "Ada"')
    assert one.request_headers["Content-Type"] == "application/json"
    recorded = f"{one.url}{one.request_headers}{one.request_body}{one.response_headers}"
    for secret in ("hunter2", "access-token-0", "t0ken-of-somebody", program.token):
        assert secret not in recorded


def test_a_trace_keeps_the_beginning_and_no_half_of_a_secret(program, provider_api):
    trace(program)
    body = b"x" * 65_530 + b" access-token-0 and more"
    provider_api.replies["things"] = lambda _: Reply(200, body, {"Content-Type": "text/plain"})
    assert program.call("POST", "things", body, content_type="text/plain").body == body
    one = record()
    assert one.response_bytes == len(body)
    for text in (one.request_body, one.response_body):
        assert 60_000 < len(text) <= 65_536
        assert set(text) == {"x"}


def test_a_compressed_body_is_not_kept(program, provider_api):
    trace(program)
    headers = {"Content-Encoding": "br", "Content-Type": "text/plain"}
    provider_api.replies["things"] = lambda _: Reply(200, b"\x8b\x00", headers)
    program.get("things")
    assert record().response_body == "[2 bytes, br]"


@pytest.mark.parametrize("how", ["switched off", "its time ended"])
def test_a_trace_ends(how, program, provider_api):
    trace(program, duration=1)
    if how == "switched off":
        path = f"instances/{program.instance.pk}/trace-logging"
        assert program.api.delete(path).status_code == 200
    else:
        Instance.objects.update(trace_logging_until=timezone.now() - timedelta(seconds=1))
    document = program.api.get(f"instances/{program.instance.pk}").json()
    assert document["traceLoggingEnabled"] is False
    program.call("POST", "things?q=1", b"body")
    assert (record().request_body, record().request_headers) == ("", {})
    assert record().url.endswith("/things")


@pytest.mark.parametrize(
    ("body", "minutes"), [({}, 60), ({"duration": 5}, 5), ({"duration": 100_000}, 1440)]
)
def test_a_trace_lasts_as_long_as_it_is_asked_for(body, minutes, program):
    trace(program, **body)
    ends = program.stored().trace_logging_until - timezone.now()
    assert abs(ends - timedelta(minutes=minutes)) < timedelta(minutes=1)


@pytest.mark.parametrize("duration", [0, -1, "soon", 1.5])
def test_an_invalid_duration_is_400(duration, program):
    path = f"instances/{program.instance.pk}/trace-logging"
    assert program.api.put(path, {"duration": duration}).status_code == 400
    assert program.stored().trace_logging_until is None


def test_each_kind_is_kept_as_long_as_its_setting_says(program, settings):
    settings.KEEP_EXCHANGES_DAYS, settings.KEEP_DATA_CALLS_DAYS = 90, 30
    for kind in ("exchange", "data"):
        for days in (29, 31, 91):
            make_interaction(kind=kind, started_at=timezone.now() - timedelta(days=days))
    assert prune(is_dry_run=True) == 3
    assert prune() == 3
    kinds = Interaction.objects.filter(subject="somebody's account").order_by("id")
    assert [one.kind for one in kinds] == ["exchange", "exchange", "data"]


def test_the_history_of_an_instance_does_not_drown_in_data_calls(program, client, admin_user):
    for _ in range(60):
        make_interaction(kind="data", instance=program.instance, operation="Proxy call")
    make_interaction(instance=program.instance, operation="Refresh token")
    client.force_login(admin_user)
    page = client.get(f"/connect/{program.instance.pk}/").content.decode()
    assert "Refresh token" in page
    assert "Proxy call" not in page


def test_the_api_lists_data_calls_with_their_sizes(program):
    program.call("POST", "things", b"body")
    [one, *_] = program.api.get(f"instances/{program.instance.pk}/interactions").json()
    assert (one["step"], one["requestBytes"], one["responseBytes"]) == ("Proxy call", 4, 12)


@pytest.mark.django_db(transaction=True)
def test_records_are_written_together_and_soon(program, settings):
    """With the writer of a real process: another thread, which nobody waits for."""
    settings.DATA_CALL_BATCH_SECONDS = 0.05
    is_written = threading.Event()
    wrote = batching._write

    def write(batch):
        wrote(batch)
        connection.close()
        is_written.set()

    batching._write, before = write, batching._write
    try:
        assert program.get("things").status_code == 200
        assert is_written.wait(10)
    finally:
        batching._write = before
    assert Interaction.objects.filter(kind="data").count() == 1


@pytest.mark.django_db(transaction=True)
def test_after_an_outage_only_the_rest_of_a_batch_is_written(program, monkeypatch):
    """The database goes away while the records of a batch are written one by one."""
    rows = [data_record(instance_id=pk) for pk in (4_711_000, program.instance.pk, 4_711_001)]
    batches = batching._Batches()
    batches._waiting = rows
    calls, write = [], write_interaction

    def break_at_the_second(interaction):
        calls.append(interaction)
        if len(calls) == 2:
            raise OperationalError
        write(interaction)

    monkeypatch.setattr(batching, "write_interaction", break_at_the_second)
    batches.write()
    assert Interaction.objects.filter(kind="data").count() == 1
    batches.write()
    assert Interaction.objects.filter(kind="data").count() == 3


def test_a_long_url_is_recorded_in_part(program):
    assert program.get("x" * 30_000).status_code == 200
    assert len(Interaction.objects.get(kind="data").url) == 4000


@pytest.mark.django_db(transaction=True)
def test_a_record_outlives_its_instance(program):
    batching._write([data_record(instance_id=pk) for pk in (program.instance.pk, 4_711_000)])
    assert Interaction.objects.filter(kind="data").count() == 2


def data_record(**columns):
    return Interaction(
        kind="data", operation="Proxy call", direction="out", method="GET", url="https://x.example",
        started_at=timezone.now(), **columns,
    )  # fmt: skip
