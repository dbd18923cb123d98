"""A process with a wrong clock does no work, and health endpoints say so."""

import io
from datetime import timedelta
from unittest.mock import Mock
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import OperationalError, connection
from django.db.models.functions import Now
from django.utils import timezone

from instances import tasks
from instances.bulk import tasks as bulk_tasks
from instances.bulk.files.lines import FileRow
from instances.bulk.jobs import cancel_bulk_job, delete_bulk_job, start_bulk_job
from instances.bulk.reading import read_bulk_job
from instances.crypto import sealing
from instances.errors import ClockSkewError, CredentialsRefusedError, StateConflictError
from instances.models import BulkJob, BulkRow, IdempotencyKey, Instance, Interaction, ProcessBeat
from instances.models.idempotency_keys import LIFETIME
from instances.provisioning.keys.rotation import rotate_encryption_keys
from instances.provisioning.lifecycle.check import check_instance
from instances.provisioning.lifecycle.leases import leased
from instances.provisioning.lifecycle.provision import provision_instance
from instances.provisioning.lifecycle.refresh import refresh_instance
from instances.provisioning.oauth.authorize import begin_authorization
from instances.provisioning.oauth.callback import complete_authorization
from instances.queries.database_clock import database_now, require_right_clock
from instances.taskqueue.health import background_health
from tests.api.conftest import KEYED_BODY, make_api_client
from tests.support.connected import make_connected, make_due, token_requests
from tests.support.factories import (
    make_element,
    make_instance,
    make_interaction,
    make_organization_user,
    make_user,
)
from tests.support.keyed import keyed_definition
from tests.support.provider import API_KEY

pytestmark = pytest.mark.django_db(transaction=True)

has_clock = pytest.mark.skipif(
    connection.vendor == "sqlite", reason="SQLite has no clock but this machine's"
)
DAY = timedelta(days=1)


@pytest.fixture
def set_clock(monkeypatch):
    """set_clock(timedelta(days=1)) sets this process's clock ahead by that time."""
    real_now = timezone.now

    def set_clock(skew):
        monkeypatch.setattr(timezone, "now", lambda: real_now() + skew)

    yield set_clock
    monkeypatch.setattr(timezone, "now", real_now)


def skews(*seconds):
    return pytest.mark.parametrize("skew", [timedelta(seconds=one) for one in seconds])


def ready(client):
    return client.get("/readyz").json()


def scheduler_turn():
    call_command("scheduler", once=True, stdout=io.StringIO())


def test_a_clock_that_is_behind_does_not_make_a_live_lease_look_free(provider, set_clock):
    instance = make_connected(provider)
    set_clock(timedelta(seconds=-1.5 if connection.vendor == "postgresql" else -20))
    with leased(instance.pk) as first:
        set_clock(timedelta(0))
        with leased(instance.pk) as second:
            assert (bool(first), second) == (True, None)


def test_a_clock_that_is_ahead_does_not_take_over_a_live_lease(provider, set_clock):
    instance = make_connected(provider)
    with leased(instance.pk) as first:
        set_clock(timedelta(seconds=1.5 if connection.vendor == "postgresql" else 3600))
        with leased(instance.pk) as second:
            assert (bool(first), second) == (True, None)


def test_an_idempotency_key_lives_for_a_day_by_the_databases_clock(set_clock, provider):
    """Whatever the clocks of the web processes, the same key creates one instance."""
    make_element()
    api = make_api_client()
    key = {"Idempotency-Key": "the-same-key"}
    set_clock(-DAY)
    first = api.post("instances", KEYED_BODY, **key).json()
    set_clock(DAY + timedelta(minutes=1))
    second = api.post("instances", KEYED_BODY, **key).json()
    assert first["id"] == second["id"]
    assert Instance.objects.count() == 1
    old = Now() - LIFETIME - timedelta(minutes=1)
    IdempotencyKey.objects.update(created_at=old)
    set_clock(timedelta(0))
    assert api.post("instances", KEYED_BODY, **key).json()["id"] != first["id"]


def test_a_heartbeat_from_the_future_does_not_count():
    ProcessBeat.objects.beat("scheduler", at=timezone.now() + DAY)
    assert background_health()["scheduler"] is False
    ProcessBeat.objects.beat("scheduler")
    assert background_health()["scheduler"] is True


def test_a_schedulers_heartbeat_uses_the_databases_clock(set_clock):
    set_clock(timedelta(seconds=1.5) if connection.vendor == "postgresql" else DAY)
    scheduler_turn()
    set_clock(timedelta(0))
    assert abs(ProcessBeat.objects.get(kind="scheduler").at - timezone.now()) < timedelta(seconds=5)
    assert background_health()["scheduler"] is True


@has_clock
@skews(-DAY.total_seconds(), -20, -3, 3, 20, DAY.total_seconds())
def test_a_scheduler_with_a_wrong_clock_does_nothing_and_health_says_so(
    provider, set_clock, client, settings, skew
):
    settings.METRICS_TOKEN = "m3trics-token"
    instance = make_connected(provider)
    make_due(instance)
    Instance.objects.update(refresh_due_at=Now() - 2 * DAY, next_action_at=Now() - 2 * DAY)
    make_interaction(started_at=timezone.now() - timedelta(days=89, hours=23))
    requests, interactions = len(provider.requests), Interaction.objects.count()
    set_clock(skew)
    scheduler_turn()
    assert len(provider.requests) == requests
    assert Interaction.objects.count() == interactions
    assert not ProcessBeat.objects.filter(kind="scheduler").exists()
    set_clock(timedelta(0))
    health = background_health()
    assert (health["clock"], health["scheduler"]) == (False, False)
    assert client.get("/readyz").status_code == 200
    text = client.get("/metrics", headers={"Authorization": "Bearer m3trics-token"}).text
    [told] = [line for line in text.splitlines() if 'process="wrong_clock"' in line]
    assert float(told.split()[1]) == pytest.approx(skew.total_seconds(), abs=0.5)
    scheduler_turn()
    assert Instance.objects.get().tokens_version == 2
    assert background_health()["scheduler"] is True
    ProcessBeat.objects.filter(kind="wrong_clock").update(at=Now() - timedelta(minutes=2))
    assert background_health()["clock"] is True


def test_the_console_says_that_a_clock_is_wrong(admin_client):
    page = admin_client.get("/admin/").content.decode()
    assert "A machine's clock is wrong" not in page
    ProcessBeat.objects.beat("wrong_clock", skew=DAY)
    page = admin_client.get("/admin/").content.decode()
    assert "A machine's clock is wrong" in page
    assert "The scheduler is not running" in page


@has_clock
@skews(-20, 20)
def test_a_web_process_with_a_wrong_clock_does_no_work(provider, set_clock, client, skew):
    connected = make_connected(provider)
    draft = make_instance(
        element=make_element(keyed_definition(provider.url)), configuration={"api.key": API_KEY}
    )
    asked = len(provider.requests)
    set_clock(skew)
    with pytest.raises(ClockSkewError, match=r"20 seconds .* Correct the clock"):
        refresh_instance(connected, actor="test")
    with pytest.raises(ClockSkewError):
        provision_instance(draft, actor="test")
    Instance.objects.filter(pk=connected.pk).update(expires_at=timezone.now() - DAY)
    with pytest.raises(ClockSkewError):
        check_instance(Instance.objects.get(pk=connected.pk), actor="test")
    assert len(provider.requests) == asked
    assert token_requests(provider) == []
    assert Instance.objects.get(pk=draft.pk).state == "draft"
    assert ready(client)["clock"] is False


@has_clock
def test_a_call_to_a_process_with_a_wrong_clock_returns_503_and_can_be_repeated(
    provider, set_clock
):
    make_element(keyed_definition(provider.url))
    api = make_api_client()
    body = {"element": {"key": "probed"}, "name": "P", "configuration": {"api.key": API_KEY}}
    set_clock(-DAY)
    refused = api.post("instances", body, **{"Idempotency-Key": "k"})
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "60")
    assert "clock" in refused.json()["message"]
    assert not Instance.objects.exists()
    set_clock(timedelta(0))
    assert api.post("instances", body, **{"Idempotency-Key": "k"}).status_code == 200


@has_clock
def test_a_callback_to_a_process_with_a_wrong_clock_uses_up_neither_state_nor_code(
    provider, set_clock
):
    instance = make_connected(provider)
    user = make_user(is_superuser=True)
    begun = begin_authorization(instance, user=user, browser_secret="b")
    parameters = provider.authorize(begun.url)
    set_clock(timedelta(seconds=20))
    with pytest.raises(ClockSkewError):
        complete_authorization(parameters, user=user, browser_secret="b")
    set_clock(timedelta(0))
    complete_authorization(parameters, user=user, browser_secret="b")
    assert Instance.objects.get().tokens_version == 2


@has_clock
def test_a_bulk_job_waits_for_a_process_whose_clock_is_right(provider, set_clock):
    make_element(keyed_definition(provider.url))
    body = {"name": "R", "element": {"key": "probed"}, "configuration": {"api.key": API_KEY}}
    job = start_bulk_job(read_bulk_job(make_organization_user(), [FileRow(1, body)], actor="test"))
    set_clock(DAY)
    assert "takes no work" in bulk_tasks.run_bulk_chunk.call(job.pk)
    with pytest.raises(CommandError, match=rf"Correct the clock.*resume_bulk_job {job.pk}"):
        call_command("resume_bulk_job", str(job.pk), stdout=io.StringIO())
    assert provider.requests == []
    assert BulkRow.objects.get().outcome == "pending"
    set_clock(timedelta(0))
    assert bulk_tasks.run_bulk_chunk.call(job.pk) == "1 rows."
    assert BulkJob.objects.get().state == "finished"


@has_clock
def test_a_task_is_held_until_the_clock_of_its_worker_is_right(
    provider, set_clock, settings, monkeypatch
):
    settings.TASKS_BACKEND = "database"
    monkeypatch.setattr("instances.tasks.time.sleep", lambda _: set_clock(timedelta(0)))
    instance = make_instance(
        element=make_element(keyed_definition(provider.url)), configuration={"api.key": API_KEY}
    )
    set_clock(DAY)
    assert tasks.carry_out.call("provision", instance.pk, "test") == "Done."
    assert Instance.objects.get().state == "connected"


@has_clock
@pytest.mark.parametrize("command", ["refresh_tokens", "check_instances", "prune_interactions"])
def test_a_command_with_a_wrong_clock_says_so_and_does_nothing(set_clock, command):
    set_clock(DAY)
    with pytest.raises(CommandError, match="86400 seconds ahead of the database's"):
        call_command(command, stdout=io.StringIO())


@has_clock
def test_a_corrected_clock_is_noticed_at_once(provider, set_clock):
    instance = make_connected(provider)
    set_clock(timedelta(seconds=20))
    with pytest.raises(ClockSkewError):
        refresh_instance(instance, actor="test")
    set_clock(timedelta(0))
    assert refresh_instance(instance, actor="test").tokens_version == 2


@has_clock
@skews(-86400, 86400)
def test_a_file_that_a_process_with_a_wrong_clock_read_is_worked_on_at_once(
    provider, set_clock, skew
):
    make_element(keyed_definition(provider.url))
    body = {"name": "R", "element": {"key": "probed"}, "configuration": {"api.key": API_KEY}}
    set_clock(skew)
    job = start_bulk_job(read_bulk_job(make_organization_user(), [FileRow(1, body)], actor="test"))
    set_clock(timedelta(0))
    assert bulk_tasks.run_bulk_chunk.call(job.pk) == "1 rows."
    assert abs(BulkJob.objects.get().started_at - timezone.now()) < timedelta(minutes=1)


@has_clock
def test_a_process_whose_clock_is_ahead_cancels_no_row_under_its_worker(provider, set_clock):
    make_element()
    user = make_organization_user()
    job = start_bulk_job(read_bulk_job(user, [FileRow(1, KEYED_BODY)], actor="test"))
    in_a_minute = timezone.now() + timedelta(minutes=1)
    job.rows.update(outcome="running", due_at=in_a_minute, holder=uuid4())
    set_clock(DAY)
    cancel_bulk_job(job)
    assert job.rows.get().outcome == "running"
    with pytest.raises(StateConflictError, match="still in progress"):
        delete_bulk_job(job)


@has_clock
@skews(-86400, 86400)
def test_a_check_by_a_process_with_a_wrong_clock_is_dated_and_followed_by_the_databases(
    provider, set_clock, skew
):
    element = make_element(keyed_definition(provider.url))
    instance = make_instance(element=element, configuration={"api.key": API_KEY})
    provision_instance(instance, actor="test")
    provider.override = (401, {})
    set_clock(skew)
    for _ in range(2):
        # The second refusal counts.
        with pytest.raises(CredentialsRefusedError):
            check_instance(Instance.objects.get(), actor="test")
    provider.override = None
    check_instance(Instance.objects.get(), actor="test")
    set_clock(timedelta(0))
    row, now = Instance.objects.get(), timezone.now()
    assert abs(row.state_changed_at - now) < timedelta(minutes=1)
    assert abs(row.last_checked_at - now) < timedelta(minutes=1)
    assert timedelta(hours=19) < row.next_action_at - now < timedelta(hours=29)


@has_clock
def test_a_rotation_with_a_wrong_clock_knows_which_keys_still_need_the_old_one(
    api_key_row, settings, set_clock
):
    settings.ENCRYPTION_KEYS = [sealing.generate_key(), *settings.ENCRYPTION_KEYS]
    set_clock(2 * DAY)
    assert not rotate_encryption_keys().is_complete
    set_clock(timedelta(0))
    IdempotencyKey.objects.update(created_at=timezone.now() - LIFETIME)
    assert rotate_encryption_keys().is_complete


@has_clock
def test_while_the_database_is_away_its_time_is_as_it_was_measured_last(db, monkeypatch):
    """Or else what a provider answered could not be stored when it is back."""
    require_right_clock()
    monkeypatch.setattr("instances.queries.database_clock._measured.is_fresh_until", None)
    monkeypatch.setattr(
        "instances.queries.database_clock._measure", Mock(side_effect=OperationalError)
    )
    assert abs(database_now() - timezone.now()) < timedelta(seconds=2)


@pytest.fixture
def api_key_row():
    user = make_organization_user()
    return IdempotencyKey.objects.create(
        organization_user=user,
        key_digest=sealing.digest("k"),
        body_digest=sealing.digest("b"),
        digest_key_id=sealing.first_key_id(),
        created_at=timezone.now(),
    )
