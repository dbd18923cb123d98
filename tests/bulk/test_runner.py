"""Bulk jobs on a platform that misbehaves: nothing is lost, and nothing is duplicated."""

import os
import random
import signal
import sqlite3
import threading
import time
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError, connection, connections
from django.utils import timezone

from instances.bulk.jobs import (
    cancel_bulk_job,
    pause_bulk_job,
    progress_of,
    recover_bulk_jobs,
    resume_bulk_job,
    retry_failures,
    start_bulk_job,
)
from instances.bulk.rows import MAX_ATTEMPTS, MAX_CRASHES
from instances.bulk.running import runner
from instances.bulk.running.inserting import Inserter
from instances.bulk.running.runner import run_bulk_job, run_chunk
from instances.crypto import sealing
from instances.errors import StateConflictError
from instances.models import BulkJob, BulkRow, Instance, Interaction, OAuthApp
from instances.provisioning.keys.rotation import rotate_encryption_keys
from tests.conftest import shipped
from tests.support.bulk import body, make_job, outcomes, pass_time
from tests.support.factories import make_organization, make_organization_user
from tests.support.provider import ORGANIZATION_SECRET, USER_SECRET, Provider, Request
from tests.support.server import Server

pytestmark = pytest.mark.django_db(transaction=True)


class FlakyProvider(Provider):
    """A remote platform that fails one request in five, in several ways."""

    flakiness = 0.05

    def __init__(self):
        self._dice = random.Random(5)  # noqa: S311  not for secrecy
        super().__init__()

    @property
    def mode(self):
        roll = self._dice.random()
        if roll < self.flakiness:
            return "cut after"
        return "cut before" if roll < 2 * self.flakiness else "obey"

    @mode.setter
    def mode(self, mode):
        pass

    def answer(self, request):
        roll = self._dice.random()
        if roll < self.flakiness:
            return 500, {"message": "Down"}
        if roll < 2 * self.flakiness:
            return 429, {"message": "Slowly"}
        return super().answer(request)


@pytest.fixture
def user(provider):
    return remote_user(provider)


def remote_user(provider):
    organization = make_organization(
        name="Remote", platform_url=provider.url, secret=ORGANIZATION_SECRET
    )
    return make_organization_user(organization=organization, secret=USER_SECRET)


def run(job):
    return list(run_bulk_job(job))


@pytest.mark.slow
def test_every_row_becomes_exactly_one_instance_at_a_platform_that_misbehaves(settings):
    with FlakyProvider() as provider:
        settings.PROVIDER_ALLOWED_PRIVATE_HOSTS = [provider.netloc]
        job = make_job(
            remote_user(provider), [body(f"Row {number}") for number in range(80)], concurrency=8
        )
        start_bulk_job(job)
        deadline = time.monotonic() + 60
        while job.state == BulkJob.State.RUNNING and time.monotonic() < deadline:
            run_chunk(job)
            pass_time()
        assert outcomes(job) == {"succeeded": 80}
        names = Counter(one["name"] for one in provider.instances.values())
        assert names == Counter(f"Row {number}" for number in range(80))
        assert job.state == BulkJob.State.FINISHED
        held = set(Instance.objects.values_list("remote_id", flat=True))
        assert held == set(provider.instances)
        assert not any(row.body for row in job.rows.all())


@pytest.mark.slow
def test_a_killed_worker_is_followed_by_another_and_nothing_is_doubled(provider, tmp_path):
    settled, deadly_counts = threading.Event(), [10, 30]
    answer = provider.answer

    def deadly_answer(request):
        """Create the instance, and let the worker die before it gets the response."""
        settled.wait(0.05)
        response = answer(request)
        if deadly_counts and len(provider.instances) >= deadly_counts[0]:
            deadly_counts.pop(0)
            os.killpg(process.pid, signal.SIGKILL)
        return response

    provider.answer = deadly_answer
    server = Server(tmp_path, PROVIDER_ALLOWED_PRIVATE_HOSTS=provider.netloc)
    server.manage("migrate")
    server.manage("sync_elements")
    secrets = ["--organization-secret", ORGANIZATION_SECRET, "--user-secret", USER_SECRET]
    user = ["--organization", "Far", "--user", "ada@example.com", "--platform-url", provider.url]
    server.manage("create_account", *user, *secrets)
    file = tmp_path / "rows.csv"
    rows = [f"Row {number},stripe,k3y-{number}" for number in range(60)]
    file.write_text("\n".join(["name,element,api.key", *rows]))
    command = ["provision_instances", str(file), "--user", "ada@example.com", "--concurrency", "4"]
    for _ in range(2):
        process = server.begin(*command)
        assert process.wait(timeout=60) == -signal.SIGKILL, server._log.read_text()
        with sqlite3.connect(server.database) as database:
            begun = database.execute(
                "select name from instances_instance where state = 'provisioning'"
            )
            at_platform = {one["name"] for one in provider.instances.values()}
            assert at_platform & {name for (name,) in begun}
            database.execute(
                "update instances_instance set state_changed_at = '2020-01-01 00:00:00' where state = 'provisioning'"
            )
            database.execute(
                "update instances_bulkrow set due_at = '2020-01-01 00:00:00' where due_at is not null"
            )
        database.close()
        command = ["resume_bulk_job", "--latest"]
    assert "60 of 60 provisioned." in server.manage("resume_bulk_job", "--latest")
    names = Counter(one["name"] for one in provider.instances.values())
    assert names == Counter(f"Row {number}" for number in range(60))


def test_rows_run_at_once_and_each_is_run_by_one_thread(provider, user):
    at_once: Counter[str] = Counter()
    lock = threading.Lock()
    answer = provider.answer

    def watched_answer(request):
        with lock:
            at_once["now"] += 1
            at_once["most"] = max(at_once["most"], at_once["now"])
        time.sleep(0.05)
        with lock:
            at_once["now"] -= 1
        return answer(request)

    provider.answer = watched_answer
    job = make_job(user, [body(f"Row {number}") for number in range(40)], concurrency=8)
    ended = run(start_bulk_job(job))
    assert len(ended) == len(provider.instances) == 40
    assert 4 < at_once["most"] <= 8


def test_a_platform_that_asks_to_wait_is_not_asked_before(provider, user):
    provider.override = (429, {"message": "Slowly"})
    provider.override_headers = {"Retry-After": "120"}
    job = start_bulk_job(make_job(user, [body("One")]))
    run_chunk(job)
    row = job.rows.get()
    assert (row.outcome, row.attempts) == ("pending", 1)
    assert row.due_at > timezone.now() + timedelta(seconds=110)
    provider.override, provider.override_headers = None, {}
    pass_time()
    run_chunk(job)
    assert outcomes(job) == {"succeeded": 1}


@pytest.mark.slow
def test_a_failure_that_lasts_is_given_up_and_a_refusal_at_once(provider, user):
    provider.override = (503, {"message": "Down"})
    job = start_bulk_job(make_job(user, [body("One"), body("Two", element={"key": "nosuch"})]))
    for _ in range(20):
        run_chunk(job)
        pass_time()
    failed, unknown = job.rows.all()
    assert (failed.outcome, failed.attempts) == ("failed", MAX_ATTEMPTS)
    assert "503" in failed.error or "failed" in failed.error
    assert (unknown.attempts, unknown.error) == (1, "No element found with key or ID nosuch")
    assert job.state == BulkJob.State.FINISHED


def test_a_row_whose_workers_always_end_is_given_up_with_a_sentence(provider, user):
    job = start_bulk_job(make_job(user, [body("One")]))
    job.rows.update(attempts=1, crashes=MAX_CRASHES - 1, outcome="running")
    (row,) = run(job)
    assert row.outcome == "failed"
    assert "The worker crashed 8 times" in row.error
    assert provider.requests == []


@pytest.mark.slow
def test_rows_that_killed_workers_held_lose_no_attempt(provider, user):
    job = start_bulk_job(make_job(user, [body("One"), body("Two")]))
    for _ in range(MAX_CRASHES - 1):
        claimed = BulkRow.objects.claim(
            job, holder=uuid4(), at=timezone.now(), lease=timedelta(0), limit=2
        )
        assert {row.attempts for row in claimed} == {1}
    assert set(job.rows.values_list("attempts", "crashes")) == {(1, MAX_CRASHES - 2)}
    provider.override = (503, {"message": "Down"})
    run_chunk(job)
    assert set(job.rows.values_list("crashes", "outcome")) == {(0, "pending")}
    provider.override = None
    pass_time()
    run_chunk(job)
    assert outcomes(job) == {"succeeded": 2}


def test_waiting_until_a_lost_create_is_certain_is_no_attempt(provider, user):
    answer = provider.answer
    lost: list[Request] = []

    def lose_the_first(request):
        if request.method == "POST" and not lost:
            lost.append(request)
            raise ConnectionError
        return answer(request)

    provider.answer = lose_the_first
    job = start_bulk_job(make_job(user, [body("One")]))
    run_chunk(job)
    row = job.rows.get()
    assert [one.method for one in provider.requests] == ["POST", "GET"]
    assert (row.outcome, row.attempts, row.instance.state) == ("pending", 1, "unknown")
    assert row.due_at > timezone.now() + timedelta(seconds=40)
    pass_time()
    run_chunk(job)
    assert outcomes(job) == {"succeeded": 1}
    assert len(provider.instances) == 1


def test_a_chunk_whose_time_is_up_leaves_the_rest_to_the_next(provider, user, monkeypatch):
    job = start_bulk_job(make_job(user, [body("One"), body("Two")]))
    job.rows.filter(number=2).update(outcome="running", attempts=3)  # its workers crashed
    monkeypatch.setattr(runner, "CHUNK_SECONDS", 0.0)
    assert run_chunk(job) == 0
    assert (outcomes(job), provider.requests) == ({"pending": 1, "running": 1}, [])
    monkeypatch.undo()
    assert run_chunk(job) == 2
    assert job.state == BulkJob.State.FINISHED


def test_failures_alone_are_retried(provider, user):
    provider.override = (401, {"message": "Who are you?"})
    job = make_job(user, [body("One"), body("Two")])
    run(start_bulk_job(job))
    assert outcomes(job) == {"failed": 2}
    job.rows.filter(number=1).update(outcome="succeeded")
    provider.override = None
    run(retry_failures(job))
    assert outcomes(job) == {"succeeded": 2}
    assert [one["name"] for one in provider.instances.values()] == ["Two"]
    assert Instance.objects.count() == 2


def test_a_paused_job_sends_nothing_until_it_is_resumed(provider, user):
    job = start_bulk_job(
        make_job(user, [body(f"Row {number}") for number in range(40)], concurrency=2)
    )
    for ended, _ in enumerate(run_bulk_job(job), start=1):
        if ended == 5:
            pause_bulk_job(job)
    assert 5 <= len(provider.instances) < 40
    assert BulkJob.objects.get().state == BulkJob.State.PAUSED
    before = len(provider.requests)
    assert run_chunk(job) == 0
    assert len(provider.requests) == before
    run(resume_bulk_job(job))
    assert outcomes(job) == {"succeeded": 40}
    assert len(provider.instances) == 40


def test_a_run_that_is_closed_gives_back_what_it_had_not_begun(provider, user):
    job = start_bulk_job(
        make_job(user, [body(f"Row {number}") for number in range(40)], concurrency=2)
    )
    rows = run_bulk_job(job)
    next(rows)
    rows.close()
    assert outcomes(job)["running"] == 0
    assert set(job.rows.filter(outcome="pending").values_list("attempts", flat=True)) == {0}
    assert outcomes(job)["succeeded"] == len(provider.instances)


def test_a_cancelled_job_keeps_no_secret_and_never_goes_on(provider, user):
    job = make_job(user, [body("One"), body("Two")])
    assert all(row.body for row in job.rows.all())
    start_bulk_job(job)
    job.rows.filter(number=2).update(outcome="running", due_at=timezone.now())
    cancel_bulk_job(job)
    recover_bulk_jobs()
    assert outcomes(job) == {"cancelled": 2}
    assert not any(row.body for row in job.rows.all())
    for verb in (start_bulk_job, pause_bulk_job, resume_bulk_job, retry_failures, cancel_bulk_job):
        with pytest.raises(
            StateConflictError, match="is cancelled, so this action is not available now"
        ):
            verb(job)
    assert run(job) == []
    assert provider.requests == []


def test_the_same_file_again_changes_nothing_when_it_skips_what_is_there(provider, user):
    bodies = [body("One"), body("Two"), body("One", element={"key": "keyed"})]
    run(start_bulk_job(make_job(user, bodies[:2])))
    before = Instance.objects.count(), Interaction.objects.count(), len(provider.requests)
    again = make_job(user, bodies, is_skipping_existing=True)
    run(start_bulk_job(again))
    assert outcomes(again) == {"skipped": 3}
    assert before == (Instance.objects.count(), Interaction.objects.count(), len(provider.requests))
    assert not any(row.body for row in again.rows.all())


def test_an_oauth_row_ends_awaiting_its_accounts_holder(provider, user, settings):
    element = shipped("hubspotcrm")
    OAuthApp.objects.create(organization=user.organization, element=element, client_id="client")
    job = make_job(user, [{"name": "Far", "element": {"key": "hubspotcrm"}}])
    run(start_bulk_job(job))
    row = job.rows.get()
    assert (row.outcome, row.error) == ("awaiting_authorization", "")
    assert row.instance.state == "awaiting_authorization"
    assert provider.requests == []


@pytest.mark.slow
def test_a_row_with_an_authorization_code_is_connected_with_it_when_it_is_retried_too(
    provider, user
):
    element = shipped("hubspotcrm")
    OAuthApp.objects.create(organization=user.organization, element=element, client_id="client")
    row = {"name": "Far", "element": {"key": "hubspotcrm"}, "providerData": {"code": "c0de"}}
    job = start_bulk_job(make_job(user, [row]))
    provider.override = (429, {"message": "Slowly"})
    run_chunk(job)
    assert outcomes(job) == {"pending": 1}
    provider.override = None
    pass_time()
    run(job)
    assert outcomes(job) == {"succeeded": 1}
    created = [one.json for one in provider.requests if one.method == "POST"]
    assert [one["providerData"]["code"] for one in created] == ["c0de"] * len(created)
    assert Instance.objects.get().code_digest in sealing.digests("c0de")
    assert not job.rows.get().body


def test_a_row_for_which_nothing_has_to_be_sent_is_connected_when_it_is_stored():
    job = start_bulk_job(make_job(make_organization_user(), [body("One"), body("Two")]))
    assert len(run(job)) == 2
    assert outcomes(job) == {"succeeded": 2}
    for row in job.rows.select_related("instance"):
        (change,) = row.instance.state_changes.all()
        assert (change.to_state, change.reason) == ("connected", "Provisioned.")
        assert row.instance.token
    assert not Interaction.objects.exists()


@pytest.mark.slow
def test_a_row_whose_instance_was_deleted_says_so_and_creates_no_other_one(provider, user):
    job = start_bulk_job(make_job(user, [body("One")]))
    provider.override = (429, {"message": "Slowly"})
    run_chunk(job)
    job.rows.get().instance.delete()
    provider.override = None
    pass_time()
    run(job)
    assert job.rows.get().error == "The instance was deleted in the meantime."
    assert outcomes(job) == {"failed": 1}
    assert not Instance.objects.exists()


def test_of_duplicates_in_a_file_one_is_created_and_the_others_are_skipped(provider, user):
    bodies = [body("One"), body("Two"), body("One")]
    job = start_bulk_job(make_job(user, bodies, is_skipping_existing=True))
    run(job)
    assert outcomes(job) == {"succeeded": 2, "skipped": 1}
    first, _, duplicate = job.rows.all()
    assert (first.instance, first.is_drafted) == (duplicate.instance, not duplicate.is_drafted)
    assert len(provider.instances) == Instance.objects.count() == 2


def test_progress_is_read_from_the_rows(provider, user):
    job = make_job(user, [body("One"), body("Two")])
    assert (progress_of(job).total, progress_of(job).percent, progress_of(job).seconds_left) == (
        2,
        0,
        None,
    )
    start_bulk_job(job)
    job.rows.filter(number=1).update(outcome="succeeded", due_at=None)
    progress = progress_of(job)
    assert (progress.ended, progress.left, progress.percent, progress.failed) == (1, 1, 50, 0)
    assert progress.seconds_left == 1


def test_what_a_running_job_gives_back_after_a_key_rotation_needs_the_new_key_alone(
    provider, user, settings
):
    """A row that it had read before is written when the rotation is over."""
    bodies = [body("Good"), body("Bad", configuration={"site": "acme"})]
    job = start_bulk_job(make_job(user, bodies, concurrency=1))
    answer = provider.answer

    def rotate():
        settings.ENCRYPTION_KEYS = [sealing.generate_key(), *settings.ENCRYPTION_KEYS]
        try:
            assert rotate_encryption_keys().is_complete
        finally:
            connection.close()

    def rotating_answer(request):
        provider.answer = answer
        rotation = threading.Thread(target=rotate)
        rotation.start()
        rotation.join()
        return answer(request)

    provider.answer = rotating_answer
    run(job)
    assert outcomes(job) == {"succeeded": 1, "failed": 1}
    settings.ENCRYPTION_KEYS = settings.ENCRYPTION_KEYS[:1]
    assert job.rows.get(outcome="failed").body.reveal() == bodies[1]


@pytest.fixture
def unheard(monkeypatch):
    """unheard(): the next commit of this thread is made, and the connection ends before its answer."""
    wrapper: Any = type(connections["default"])
    commit, own_thread = wrapper._commit, threading.current_thread()

    def commit_unheard(self):
        commit(self)
        if threading.current_thread() is own_thread:
            monkeypatch.setattr(wrapper, "_commit", commit)
            raise OperationalError("server closed the connection unexpectedly")

    return lambda: monkeypatch.setattr(wrapper, "_commit", commit_unheard)


def test_results_whose_commit_was_not_confirmed_are_stored_and_told_once(provider, user, unheard):
    job = start_bulk_job(make_job(user, [body(f"Row {number}") for number in range(6)]))
    answer = provider.answer

    def answer_and_break(request):
        provider.answer = answer
        unheard()
        return answer(request)

    provider.answer = answer_and_break
    ended = run(job)
    assert sorted(row.number for row in ended) == [1, 2, 3, 4, 5, 6]
    assert outcomes(job) == {"succeeded": 6}
    assert Interaction.objects.count() == len(provider.requests) == 6


def test_instances_whose_commit_was_not_confirmed_are_not_inserted_twice(
    provider, user, unheard, monkeypatch
):
    job = start_bulk_job(make_job(user, [body(f"Row {number}") for number in range(6)]))
    insert = Inserter.insert

    def insert_unheard(*arguments, **options):
        unheard()
        return insert(*arguments, **options)

    monkeypatch.setattr(Inserter, "insert", insert_unheard)
    chunk = run_chunk(job)
    monkeypatch.setattr(Inserter, "insert", insert)
    assert (chunk, Instance.objects.count()) == (0, 6)
    pass_time()
    run(job)
    assert outcomes(job) == {"succeeded": 6}
    assert len(provider.instances) == Instance.objects.count() == 6
