from datetime import timedelta

import pytest
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from instances import crypto, tasks
from instances.models import Instance, ProcessBeat
from tests.support.factories import make_instance

pytestmark = pytest.mark.django_db


def test_it_is_alive_without_asking_the_database(client, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert client.get("/healthz").content == b"ok\n"


def test_it_is_ready_when_database_migrations_keys_and_scheduler_are(client, settings):
    assert client.get("/readyz").status_code == 503
    ProcessBeat.objects.beat("scheduler", at=timezone.now())
    ready = client.get("/readyz")
    assert (ready.status_code, set(ready.json().values())) == (200, {True})
    make_instance()
    settings.ENCRYPTION_KEYS = [crypto.generate_key()]
    unready = client.get("/readyz")
    assert (unready.status_code, unready.json()["encryption_keys"]) == (503, False)


def test_a_task_that_waits_for_a_minute_makes_the_worker_unready(client, settings):
    ProcessBeat.objects.beat("scheduler", at=timezone.now())
    settings.TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
    settings.METRICS_TOKEN = "m3trics-token"
    tasks.check_instance.enqueue(1, "test")
    assert client.get("/readyz").json()["worker"] is True
    DBTaskResult.objects.update(enqueued_at=timezone.now() - timedelta(minutes=2))
    unready = client.get("/readyz")
    assert (unready.status_code, unready.json()["worker"]) == (503, False)
    text = client.get("/metrics", headers={"Authorization": "Bearer m3trics-token"}).text
    assert "oldest_waiting_task_seconds 12" in text


def test_a_celery_worker_without_a_heartbeat_for_a_minute_is_missing(client, settings):
    settings.TASKS_BACKEND, settings.METRICS_TOKEN = "celery", "m3trics-token"
    ProcessBeat.objects.beat("scheduler", at=timezone.now())
    unready = client.get("/readyz")
    assert (unready.status_code, unready.json()["worker"]) == (503, False)
    ProcessBeat.objects.beat("worker", at=timezone.now())
    assert client.get("/readyz").status_code == 200
    ProcessBeat.objects.beat("worker", at=timezone.now() - timedelta(minutes=2))
    unready = client.get("/readyz").json()
    assert (unready["worker"], unready["scheduler"]) == (False, True)
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
