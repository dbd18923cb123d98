"""Rows of a bulk job wait for those who asked them to, and for nobody else."""

import threading
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from instances.bulk.jobs import start_bulk_job
from instances.bulk.rows import end_or_put_off_row
from instances.bulk.running import runner, work
from instances.bulk.running.runner import run_bulk_job, run_chunk
from instances.bulk.tasks import enqueue_bulk_job
from instances.models import BulkJob, Instance
from tests.bulk.test_runner import remote_user
from tests.support.bulk import body, make_job, outcomes, pass_time
from tests.support.factories import make_element, make_organization_user
from tests.support.keyed import keyed_definition
from tests.support.provider import API_KEY, Provider

pytestmark = pytest.mark.django_db(transaction=True)

SLOWLY = (429, {"message": "Slowly"})
WAIT_SECONDS = 60


def probed(name, key=API_KEY, **configuration):
    return {
        "name": name,
        "element": {"key": "probed"},
        "configuration": {"api.key": key} | configuration,
    }


def start(provider, bodies, **options):
    make_element(keyed_definition(provider.url))
    return start_bulk_job(make_job(make_organization_user(), bodies, **options))


def limit(provider, *, only=None):
    """Ask for a wait of two minutes: all requests, or those with this key."""
    answer = provider.answer
    provider.override_headers = {"Retry-After": "120"}
    provider.answer = lambda request: (
        SLOWLY if only in {None, request.headers.get("x-api-key")} else answer(request)
    )


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_rate_limit_of_one_account_does_not_delay_the_others(provider, concurrency):
    limit(provider, only="limited-key")
    rows = [probed("Limited", "limited-key"), *(probed(f"Row {number}") for number in range(20))]
    job = start(provider, rows, concurrency=concurrency)
    run_chunk(job)
    assert outcomes(job) == {"succeeded": 20, "pending": 1}
    row = job.rows.get(outcome="pending")
    assert (row.name, row.attempts) == ("Limited", 1)
    assert row.due_at > timezone.now() + timedelta(seconds=110)


def test_a_provider_that_limits_everybody_is_left_alone_after_a_second_row(provider):
    limit(provider)
    job = start(provider, [probed(f"Row {number}") for number in range(20)], concurrency=1)
    run_chunk(job)
    assert len(provider.requests) == 2
    assert job.rows.filter(attempts=1).count() == 2
    assert not job.rows.exclude(outcome="pending").exists()


def test_accounts_at_another_host_are_not_delayed(provider, settings):
    limit(provider)
    definition = keyed_definition("http://{site}")
    site = {"key": "site", "label": "Site", "required": True}
    definition["authentication"][0]["fields"].append(site)
    make_element(definition)
    with Provider() as other:
        settings.PROVIDER_ALLOWED_PRIVATE_HOSTS = [provider.netloc, other.netloc]
        rows = [
            probed(f"Row {number}", site=(provider if number < 10 else other).netloc)
            for number in range(20)
        ]
        job = start_bulk_job(make_job(make_organization_user(), rows, concurrency=1))
        run_chunk(job)
        assert len(provider.requests) == 2
        assert len(other.requests) == 10
    assert outcomes(job) == {"succeeded": 10, "pending": 10}
    soon = timezone.now() + timedelta(seconds=100)
    assert not job.rows.filter(outcome="pending", due_at__lt=soon).exists()


def test_a_wait_is_at_most_five_minutes_for_other_rows(provider):
    user = remote_user(provider)
    provider.override, provider.override_headers = SLOWLY, {"Retry-After": "80000"}
    job = start_bulk_job(make_job(user, [body("One"), body("Two")], concurrency=1))
    run_chunk(job)
    asked, other = job.rows.all()
    assert asked.due_at > timezone.now() + timedelta(hours=20)
    assert (other.attempts, other.due_at < timezone.now() + timedelta(minutes=6)) == (0, True)
    assert len(provider.requests) == 1


@pytest.mark.slow
def test_workers_leave_a_job_alone_whose_platform_asked_to_wait(provider, settings):
    settings.TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
    settings.TASKS_BACKEND = "database"
    provider.override, provider.override_headers = SLOWLY, {"Retry-After": "120"}
    bodies = [body(f"Row {number}") for number in range(450)]
    job = start_bulk_job(make_job(remote_user(provider), bodies, concurrency=4))

    def work():
        call_command("scheduler", once=True)
        call_command("db_worker", batch=True, startup_delay=False, interval=0, reload=False)

    enqueue_bulk_job(job)
    work()
    asked = len(provider.requests)
    assert asked <= 4
    work()
    assert len(provider.requests) == asked
    assert not DBTaskResult.objects.ready().exists()
    pass_time()
    BulkJob.objects.update(rests_until=timezone.now())
    work()
    assert len(provider.requests) == asked + 1, "a single row tries again"
    provider.override, provider.override_headers = None, {}
    pass_time()
    BulkJob.objects.update(rests_until=timezone.now())
    work()
    assert outcomes(job) == {"succeeded": 450}
    assert BulkJob.objects.get().rests_until is None


def test_a_host_that_hangs_holds_a_part_of_the_threads(provider, settings):
    settings.HTTP_TIMEOUT_SECONDS = 2 * WAIT_SECONDS
    definition = keyed_definition("http://{site}")
    site = {"key": "site", "label": "Site", "required": True}
    definition["authentication"][0]["fields"].append(site)
    make_element(definition)
    with Provider() as hanging:
        settings.PROVIDER_ALLOWED_PRIVATE_HOSTS = [provider.netloc, hanging.netloc]
        hanging.mode = "hang"
        rows = [
            probed(f"Row {number}", site=(hanging if number < 12 else provider).netloc)
            for number in range(18)
        ]
        job = start_bulk_job(make_job(make_organization_user(), rows, concurrency=4))

        def run():
            try:
                list(run_bulk_job(job))
            finally:
                connection.close()

        thread = threading.Thread(target=run)
        thread.start()
        connected = Instance.objects.filter(state="connected")
        for _ in range(20 * WAIT_SECONDS):
            if connected.count() == 6:
                break
            threading.Event().wait(0.05)
        assert connected.count() == 6
        assert 0 < len(hanging.requests) < 4
        hanging.mode = "obey"
        hanging.released.set()
        BulkJob.objects.update(state="paused")
        thread.join()


@pytest.mark.slow
def test_an_error_of_the_program_in_a_thread_fails_its_row_and_not_the_job(provider, monkeypatch):
    job = start(provider, [probed(f"Row {number}") for number in range(4)], concurrency=2)
    provider.override = (503, {"message": "Down"})
    run_chunk(job)
    assert outcomes(job) == {"pending": 4}
    pass_time()
    end = end_or_put_off_row

    def end_with_an_error(row, error):
        if row.name == "Row 2":
            raise OverflowError("date value out of range")
        end(row, error)

    monkeypatch.setattr(work, "end_or_put_off_row", end_with_an_error)
    monkeypatch.setattr(runner, "CHUNK_PATIENCE_SECONDS", 0)
    run_chunk(job)
    assert outcomes(job) == {"pending": 3, "failed": 1}
    failed = job.rows.get(outcome="failed")
    assert failed.error == "An unexpected error occurred. See the log for details."
    provider.override = None
    pass_time()
    run_chunk(job)
    assert BulkJob.objects.get().state == "finished"
