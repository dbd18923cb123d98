"""Cancelling a bulk job removes only what has not started, also while its file is being read, or was."""

import threading
import time
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from instances.bulk.files.lines import FileRow
from instances.bulk.jobs import (
    cancel_bulk_job,
    delete_bulk_job,
    pause_bulk_job,
    recover_bulk_jobs,
    start_bulk_job,
)
from instances.bulk.reading import READING_STALLED_AFTER, is_reading_stalled, read_bulk_job
from instances.bulk.running import claiming
from instances.bulk.running.runner import run_bulk_job
from instances.errors import StateConflictError
from instances.models import BulkJob, BulkRow, Instance, StateChange
from tests.support.factories import (
    make_element,
    make_instance,
    make_organization,
    make_organization_user,
)
from tests.support.provider import ORGANIZATION_SECRET, USER_SECRET

pytestmark = pytest.mark.django_db(transaction=True)

ROWS = 200


@pytest.fixture
def user(provider, monkeypatch):
    """A user of an organization whose platform is slow enough to interrupt a run, which polls often."""
    answer = provider.answer

    def slow_answer(request):
        time.sleep(0.15)
        return answer(request)

    provider.answer = slow_answer
    monkeypatch.setattr(claiming, "POLL_SECONDS", 0.05)
    make_element()
    organization = make_organization(
        name="Remote", platform_url=provider.url, secret=ORGANIZATION_SECRET
    )
    return make_organization_user(organization=organization, secret=USER_SECRET)


def file_row(number):
    configuration = {"api.key": f"k3y-{number}", "site": "acme"}
    return FileRow(
        number,
        {"name": f"Row {number}", "element": {"key": "keyed"}, "configuration": configuration},
    )


def make_job(user, rows=ROWS, **options):
    return read_bulk_job(user, map(file_row, range(1, rows + 1)), actor="test", **options)


def end_after(count, job, verb):
    """Run the job, and apply the action once this many rows are finished."""
    for ended, _ in enumerate(run_bulk_job(job), start=1):
        if ended == count:
            verb(BulkJob.objects.get(pk=job.pk))


def assert_cleared(job, provider):
    """Assert that exactly what was sent is left."""
    left = job.rows.filter(outcome="cancelled")
    assert left.exists()
    assert not left.exclude(instance=None).exists()
    assert not any(row.body for row in job.rows.all())
    assert not Instance.objects.exclude(state="connected").exists()
    there = {one["name"] for one in provider.instances.values()}
    assert set(Instance.objects.values_list("name", flat=True)) == there
    assert job.rows.filter(outcome="succeeded").count() == len(there)
    assert StateChange.objects.values("instance").distinct().count() == len(there)


def test_cancelling_while_it_runs_leaves_no_draft_and_loses_nothing_that_was_sent(provider, user):
    job = start_bulk_job(make_job(user, concurrency=16))
    end_after(20, job, cancel_bulk_job)
    assert_cleared(job, provider)


def test_cancelling_what_was_paused_removes_the_drafts_that_were_given_back(provider, user):
    job = start_bulk_job(make_job(user, concurrency=16))
    end_after(20, job, pause_bulk_job)
    assert Instance.objects.filter(state="draft").exists()
    cancel_bulk_job(job)
    assert_cleared(job, provider)


def test_what_a_killed_worker_drafted_is_removed_by_the_scheduler(provider, user):
    job = start_bulk_job(make_job(user, concurrency=16))
    end_after(20, job, pause_bulk_job)
    job.rows.filter(outcome="pending").update(
        outcome="running", due_at=timezone.now() + timedelta(seconds=1)
    )
    cancel_bulk_job(job)
    assert Instance.objects.filter(state="draft").exists()
    job.rows.filter(outcome="running").update(due_at=timezone.now())
    recover_bulk_jobs()
    assert_cleared(job, provider)


def test_an_instance_that_the_job_found_or_somebody_took_up_stays(provider, user):
    found = make_instance(organization_user=user, name="Row 1")
    job = start_bulk_job(make_job(user, rows=30, concurrency=2, is_skipping_existing=True))
    end_after(1, job, pause_bulk_job)
    drafts = Instance.objects.filter(state="draft").exclude(pk=found.pk)
    job.rows.filter(number=1).update(
        outcome="pending", due_at=timezone.now(), instance=found, is_drafted=False
    )
    taken_up = drafts.last()
    taken_up.authorizations.create(
        state_digest="s", browser_digest="b", expires_at=timezone.now(), redirect_uri="https://a.b"
    )
    cancel_bulk_job(job)
    left = Instance.objects.filter(state="draft")
    assert set(left.values_list("pk", flat=True)) == {found.pk, taken_up.pk}


def test_what_failed_can_no_longer_be_retried_and_keeps_no_secret(provider, user):
    job = start_bulk_job(make_job(user, rows=2))
    job.rows.filter(number=1).update(outcome="failed", due_at=None, error="Refused.")
    cancel_bulk_job(job)
    assert not any(row.body for row in job.rows.all())
    assert job.rows.get(number=1).error == "Refused."


def test_a_cancelled_job_is_not_deleted_under_a_worker_that_ends_its_rows(provider, user):
    job = start_bulk_job(make_job(user, rows=2))
    job.rows.filter(number=1).update(
        outcome="running", due_at=timezone.now() + timedelta(minutes=1)
    )
    cancel_bulk_job(job)
    with pytest.raises(StateConflictError, match="still in progress"):
        delete_bulk_job(job)
    job.rows.update(outcome="cancelled", due_at=None)
    delete_bulk_job(job)
    assert not BulkJob.objects.exists()


@pytest.mark.parametrize("stop_at", [1, 499, 500, 501, 1000, 1100])
def test_a_job_that_is_cancelled_while_its_file_is_read_takes_no_row_more(user, stop_at):
    def rows():
        for number in range(1, 1101):
            if number == stop_at:
                cancel_bulk_job(BulkJob.objects.get())
            yield file_row(number)

    with pytest.raises(StateConflictError, match="was cancelled while its file was being read"):
        read_bulk_job(user, rows(), actor="test")
    assert BulkJob.objects.get().state == "cancelled"
    assert not any(row.body for row in BulkRow.objects.all())
    assert set(BulkRow.objects.values_list("outcome", flat=True)) <= {"cancelled"}


def test_a_job_is_cancelled_at_any_moment_of_its_reading(user):
    """Another process cancels the job while rows are being inserted."""
    begun = threading.Event()

    def rows():
        for number in range(1, 3001):
            if number == 600:
                begun.set()
            yield file_row(number)

    def cancel():
        begun.wait()
        time.sleep(0.01)
        cancel_bulk_job(BulkJob.objects.get())
        connection.close()

    thread = threading.Thread(target=cancel)
    thread.start()
    with pytest.raises(StateConflictError):
        read_bulk_job(user, rows(), actor="test")
    thread.join()
    assert set(BulkRow.objects.values_list("outcome", flat=True)) == {"cancelled"}
    assert not any(row.body for row in BulkRow.objects.all())


def test_a_job_whose_file_is_not_read_on_is_told_apart_from_one_that_is(user):
    job = make_job(user, rows=2)
    BulkJob.objects.update(state="reading", reading_at=timezone.now())
    job.refresh_from_db()
    assert not is_reading_stalled(job)
    job.reading_at = timezone.now() - READING_STALLED_AFTER - timedelta(seconds=1)
    assert is_reading_stalled(job)
