from datetime import timedelta

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from instances import tasks
from instances.crypto import sealing
from instances.models import Instance, ProcessBeat
from instances.taskqueue.health import background_health
from tests.support.factories import make_instance

pytestmark = pytest.mark.django_db


def test_it_is_alive_without_asking_the_database(client, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert client.get("/healthz").content == b"ok\n"


def test_it_is_ready_when_database_migrations_keys_and_clock_are(client, settings):
    ready = client.get("/readyz")
    assert (ready.status_code, set(ready.json().values())) == (200, {True})
    make_instance()
    assert client.get("/readyz").status_code == 200
    settings.ENCRYPTION_KEYS = [sealing.generate_key()]
    unready = client.get("/readyz")
    assert (unready.status_code, unready.json()["encryption_keys"]) == (503, False)


def test_a_missing_migration_makes_it_unready(client):
    MigrationRecorder(connection).Migration.objects.filter(app="instances").latest("id").delete()
    unready = client.get("/readyz")
    assert (unready.status_code, unready.json()["migrations"]) == (503, False)


def test_a_database_that_accepts_no_writes_makes_it_unready(client):
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA query_only = ON")
        else:
            cursor.execute("SET transaction_read_only = on")
        try:
            unready = client.get("/readyz")
        finally:
            if connection.vendor == "sqlite":
                cursor.execute("PRAGMA query_only = OFF")
    assert (unready.status_code, unready.json()["database"]) == (503, False)


def test_its_statements_do_not_depend_on_the_number_of_secrets(
    client, django_assert_max_num_queries
):
    for _ in range(3):
        make_instance()
    with django_assert_max_num_queries(8):
        assert client.get("/readyz").status_code == 200


@pytest.mark.parametrize("address", ["/healthz", "/readyz", "/metrics"])
@pytest.mark.parametrize("host", ["10.1.2.3:8000", "[fd00::1]", "balancer.internal"])
def test_a_probe_is_answered_whatever_host_it_names(address, host, client, settings):
    settings.ALLOWED_HOSTS, settings.SECURE_SSL_REDIRECT = ["instances.example.com"], True
    settings.METRICS_TOKEN = "m3trics-token"
    token = {"Authorization": "Bearer m3trics-token"}
    assert client.get(address, headers=token | {"Host": host}).status_code == 200
    assert client.get("/connect/", headers={"Host": host}).status_code == 400


@pytest.mark.parametrize("kind", ["scheduler", "worker", "wrong_clock"])
def test_other_processes_do_not_make_a_web_process_unready(kind, client, settings):
    settings.TASKS_BACKEND = "celery"
    ProcessBeat.objects.beat(kind, at=timezone.now() - timedelta(days=1))
    assert client.get("/readyz").status_code == 200


def test_a_task_that_waits_for_a_minute_makes_the_worker_missing(client, settings):
    settings.TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
    settings.METRICS_TOKEN = "m3trics-token"
    tasks.carry_out.enqueue("check", 1, "test")
    assert background_health()["worker"] is True
    DBTaskResult.objects.update(enqueued_at=timezone.now() - timedelta(minutes=2))
    assert background_health()["worker"] is False
    text = client.get("/metrics", headers={"Authorization": "Bearer m3trics-token"}).text
    assert "oldest_waiting_task_seconds 12" in text
    tasks.carry_out.enqueue("check", 2, "test")
    busy = DBTaskResult.objects.filter(enqueued_at__gte=timezone.now() - timedelta(minutes=1))
    busy.update(status="RUNNING", started_at=timezone.now())
    assert background_health()["worker"] is True, "it is at another task"


def test_a_celery_worker_without_a_heartbeat_for_a_minute_is_missing(client, settings):
    settings.TASKS_BACKEND, settings.METRICS_TOKEN = "celery", "m3trics-token"
    ProcessBeat.objects.beat("scheduler", at=timezone.now())
    assert background_health()["worker"] is False
    ProcessBeat.objects.beat("worker", at=timezone.now())
    assert set(background_health().values()) == {True}
    ProcessBeat.objects.beat("worker", at=timezone.now() - timedelta(minutes=2))
    health = background_health()
    assert (health["worker"], health["scheduler"]) == (False, True)
    text = client.get("/metrics", headers={"Authorization": "Bearer m3trics-token"}).text
    assert "worker_beat_age_seconds 12" in text
    assert "scheduler_beat_age_seconds 12" not in text


def test_metrics_require_the_token(client, settings):
    assert client.get("/metrics").status_code == 404
    settings.METRICS_TOKEN = "m3trics-token"
    assert client.get("/metrics").status_code == 404
    wrong = client.get("/metrics", headers={"Authorization": "Bearer wrong"})
    assert wrong.status_code == 404
    instance = make_instance()
    Instance.objects.filter(pk=instance.pk).update(cause="unreachable")
    text = client.get(
        "/metrics", headers={"Authorization": "Bearer m3trics-token"}
    ).content.decode()
    assert 'instances{state="draft"} 1.0' in text
    assert 'instances_failing{cause="unreachable"} 1.0' in text
    assert "refreshes_due 0.0" in text
    assert "scheduler_beat_age_seconds" in text
