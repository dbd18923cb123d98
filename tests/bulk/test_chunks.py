"""Bulk jobs share the workers: a long one does not hold up a short one, and the queue stays short."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from instances import tasks
from instances.bulk import chunks
from instances.bulk.jobs import cancel_bulk_job, pause_bulk_job, start_bulk_job
from instances.bulk.running import runner
from instances.bulk.running.work import row_lease
from instances.bulk.tasks import MAX_WAITING, enqueue_bulk_job, run_bulk_chunk
from instances.models import BulkJob, Instance
from instances.models.bulk_jobs import BulkRowQuerySet
from tests.support.bulk import body, make_job, outcomes
from tests.support.factories import make_instance, make_organization_user

pytestmark = pytest.mark.django_db(transaction=True)

LONG = 40
CHUNK_ROWS = 4


@pytest.fixture(autouse=True)
def _tasks_in_the_database(settings, monkeypatch):
    settings.TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
    settings.TASKS_BACKEND = "database"
    monkeypatch.setattr(chunks, "CHUNK_ROWS", CHUNK_ROWS)
    monkeypatch.setattr(runner, "CHUNK_ROWS", CHUNK_ROWS)


def start(count, user=None):
    bodies = [body(f"Row {number}") for number in range(count)]
    job = start_bulk_job(make_job(user or make_organization_user(), bodies))
    enqueue_bulk_job(job)
    return job


def work(count=None):
    """Let a worker run this many tasks; all of them if None."""
    options = {"max_tasks": count} if count else {}
    call_command("db_worker", batch=True, startup_delay=False, interval=0, reload=False, **options)


def turn():
    call_command("scheduler", once=True)


def waiting():
    return DBTaskResult.objects.ready().count()


def test_a_short_job_does_not_wait_for_a_long_one():
    long = start(LONG)
    work(1)
    short = start(1)
    work(1)
    assert outcomes(short) == {"succeeded": 1}
    assert outcomes(long) == {"succeeded": CHUNK_ROWS, "pending": LONG - CHUNK_ROWS}


def test_rows_that_another_process_finishes_meanwhile_end_the_waiting(monkeypatch):
    job = start_bulk_job(make_job(make_organization_user(), [body("Of another process")]))
    later = timezone.now() + timedelta(seconds=5)
    job.rows.update(due_at=later)
    next_due_at = BulkRowQuerySet.next_due_at

    def looked_up_just_before(self):
        found = next_due_at(self)
        job.rows.update(outcome="succeeded", due_at=None)
        return found

    monkeypatch.setattr(BulkRowQuerySet, "next_due_at", looked_up_just_before)
    assert list(runner.run_bulk_job(job)) == []
    assert BulkJob.objects.get().state == BulkJob.State.FINISHED


def test_jobs_take_turns():
    jobs = [start(LONG), start(LONG), start(LONG)]
    work(6)
    assert [outcomes(job)["succeeded"] for job in jobs] == [2 * CHUNK_ROWS] * 3


def test_a_worker_that_is_at_one_job_leaves_the_next_chunk_to_another_job():
    first, second = start(LONG), start(LONG)
    BulkJob.objects.filter(pk=second.pk).update(served_at="2100-01-01T00:00Z")
    claimed = first.rows.first()
    type(claimed).objects.claim(
        first, holder="0" * 32, at=claimed.due_at, lease=row_lease(), limit=1
    )
    work(1)
    assert outcomes(second)["succeeded"] == CHUNK_ROWS
    assert "succeeded" not in outcomes(first)


@pytest.mark.slow
def test_the_queue_holds_a_few_tasks_however_many_rows_there_are():
    long = start(LONG)
    for _ in range(3):
        start(LONG)
        turn()
        assert waiting() == MAX_WAITING
    while outcomes(long)["pending"]:
        work(1)
        turn()
        assert waiting() <= MAX_WAITING
    work()
    assert set(BulkJob.objects.values_list("state", flat=True)) == {"finished"}
    assert Instance.objects.count() == 4 * LONG
    turn()
    assert waiting() == 0


@pytest.mark.parametrize("stop", [cancel_bulk_job, pause_bulk_job])
def test_a_stopped_job_holds_up_nobody(stop):
    stopped = start(LONG)
    work(1)
    stop(stopped)
    short = start(1)
    work(1)
    assert BulkJob.objects.get(pk=short.pk).state == "finished"
    work()
    assert outcomes(stopped)["succeeded"] == CHUNK_ROWS
    turn()
    assert waiting() == 0


def test_an_action_on_one_instance_comes_before_bulk_jobs():
    start(LONG)
    instance = make_instance(configuration={"api.key": "k3y", "site": "acme"})
    tasks.carry_out.enqueue("provision", instance.pk, "test")
    work(1)
    assert Instance.objects.get(pk=instance.pk).state == "connected"
    assert not Instance.objects.exclude(pk=instance.pk).exists()


def test_lost_tasks_are_enqueued_again_by_the_scheduler():
    long = start(LONG)
    DBTaskResult.objects.all().delete()
    turn()
    assert waiting() == MAX_WAITING
    work(2)
    # As if these workers had been killed while they ran.
    DBTaskResult.objects.ready().update(status="RUNNING")
    turn()
    assert waiting() == MAX_WAITING
    work()
    assert BulkJob.objects.get(pk=long.pk).state == "finished"
    assert Instance.objects.count() == LONG


def test_many_tasks_that_wait_already_do_the_same_work_and_add_none():
    """As an earlier version enqueued them: one for each chunk."""
    long = start(LONG)
    for _ in range(LONG):
        run_bulk_chunk.enqueue(long.pk)
    work(5)
    assert waiting() == MAX_WAITING + LONG - 5
    work()
    assert outcomes(long) == {"succeeded": LONG}


def test_a_job_that_runs_in_a_command_is_left_to_it():
    start_bulk_job(make_job(make_organization_user(), [body("One")]))
    turn()
    assert waiting() == 0
