"""Rows of a bulk job that are drafted and stored together: few statements, and no row affects another."""

import threading
import time

import pytest
from django.db import connection
from django.db.backends.signals import connection_created
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from instances.bulk.jobs import pause_bulk_job, resume_bulk_job, start_bulk_job
from instances.bulk.running import claiming, storing
from instances.bulk.running.inserting import Inserter
from instances.bulk.running.runner import run_bulk_job, run_chunk
from instances.models import BulkJob, Instance, Interaction
from instances.provisioning.lifecycle.states import State, insert_in_state, move_instance
from tests.bulk.test_runner import remote_user
from tests.conftest import shipped
from tests.support.bulk import body, make_job, outcomes, pass_time
from tests.support.factories import make_element

pytestmark = pytest.mark.django_db(transaction=True)
NAMES = [f"Row {number}" for number in range(1, 11)]


@pytest.fixture
def user(provider):
    return remote_user(provider)


@pytest.fixture
def job(user):
    return start_bulk_job(make_job(user, [body(name) for name in NAMES]))


def names_at(provider):
    return sorted(one["name"] for one in provider.instances.values())


def on_create(provider, name, act):
    """Call something while the platform creates the instance of this name, before it responds."""
    answer = provider.answer

    def acting_answer(request):
        response = answer(request)
        if request.method == "POST" and request.json["name"] == name:
            response = act(response) or response
            connection.close()
        return response

    provider.answer = acting_answer


def test_two_hundred_rows_need_few_statements_and_their_threads_none(user, monkeypatch):
    # Every batch is full, and a run that waited for more than there is would not end.
    monkeypatch.setattr(storing, "STORE_EVERY_SECONDS", 3600)
    job = start_bulk_job(make_job(user, [body(f"Row {number}") for number in range(200)]))
    opened = []
    connection_created.connect(
        lambda **_: opened.append(threading.current_thread()), weak=False, dispatch_uid="opened"
    )
    try:
        with CaptureQueriesContext(connection) as queries:
            assert run_chunk(job) == 200
    finally:
        connection_created.disconnect(dispatch_uid="opened")
    assert outcomes(job) == {"succeeded": 200}
    assert Interaction.objects.count() == 200
    assert len(queries) <= 160
    assert opened == []


def test_what_is_stored_with_many_is_what_one_alone_would_have(provider, user, job):
    list(run_bulk_job(job))
    for row in job.rows.select_related("instance"):
        instance = row.instance
        at_platform = provider.instances[instance.remote_id]
        assert (instance.name, instance.state) == (at_platform["name"], "connected")
        assert not row.body
        assert instance.token.reveal() == at_platform["token"]
        assert list(Instance.objects.with_token(at_platform["token"])) == [instance]
        assert instance.full_configuration()["api.key"] == f"k3y-of-{row.name}"
        assert at_platform["tags"] == [row.name, f"im-{instance.uid}"]
        changes = instance.state_changes.order_by("pk").values_list("from_state", "to_state")
        assert list(changes) == [("", "provisioning"), ("provisioning", "connected")]
        (interaction,) = instance.interactions.all()
        assert (interaction.status, interaction.operation) == (200, "Create")
        assert f"k3y-of-{row.name}" not in f"{vars(interaction)}"
        assert instance.next_action_at > timezone.now()


def test_a_row_that_somebody_else_moved_is_told_so_and_the_others_go_on(provider, job):
    def move_it(_response):
        instance = Instance.objects.get(name="Row 4")
        move_instance(instance, State.FAILED, expect={State.PROVISIONING}, actor="b", why="c")

    on_create(provider, "Row 4", move_it)
    run_chunk(job)
    assert outcomes(job) == {"succeeded": 9, "pending": 1}
    row = job.rows.get(outcome="pending")
    assert row.name == "Row 4"
    assert "was changed by another process" in row.error
    assert (row.instance.state, row.instance.token.reveal()) == ("failed", "")


def test_an_answer_that_cannot_be_stored_does_not_spoil_those_of_other_rows(provider, job, user):
    other = Instance(organization_user=user, element=make_element(), name="Other", remote_id=77)
    other.token, other.tag_names = "token-of-the-other", []
    insert_in_state([other], "connected", actor="test", why="Imported.")
    on_create(provider, "Row 4", lambda response: (response[0], response[1] | {"id": 77}))
    list(run_bulk_job(job))
    # The row's instance on the platform is found by its tag.
    assert outcomes(job) == {"succeeded": 10}
    row = job.rows.get(name="Row 4")
    assert provider.instances[row.instance.remote_id]["name"] == "Row 4"
    assert Instance.objects.get(remote_id=77) == other


def test_a_row_that_cannot_be_drafted_does_not_spoil_the_others(provider, user):
    bodies = [body(name, tags=["\ud800"] if name == "Row 4" else ["eu"]) for name in NAMES]
    job = start_bulk_job(make_job(user, bodies))
    list(run_bulk_job(job))
    assert outcomes(job) == {"succeeded": 9, "failed": 1}
    assert job.rows.get(outcome="failed").name == "Row 4"
    assert names_at(provider) == sorted(set(NAMES) - {"Row 4"})


def test_a_refusal_is_stored_with_the_exchange_that_shows_it(provider, job):
    refusal = 400, {"message": "No", "requestId": "1"}
    on_create(provider, "Row 4", lambda _: refusal)
    list(run_bulk_job(job))
    row = job.rows.get(outcome="failed")
    assert row.instance.state == "failed"
    assert row.instance.cause_interaction.status == 400
    assert row.instance.cause_message == row.error


def test_what_was_not_sent_when_a_job_is_paused_is_a_draft_again(provider, user, settings):
    settings.HTTP_TIMEOUT_SECONDS = 10
    sent = threading.Event()
    answer = provider.answer

    def pausing_answer(request):
        if not sent.is_set():
            sent.set()
            pause_bulk_job(BulkJob.objects.get())
            connection.close()
        time.sleep(2 * claiming.POLL_SECONDS)
        return answer(request)

    provider.answer = pausing_answer
    job = start_bulk_job(make_job(user, [body(name) for name in NAMES], concurrency=1))
    list(run_bulk_job(job))
    assert outcomes(job) == {"succeeded": 1, "pending": 9}
    assert set(job.rows.filter(outcome="pending").values_list("attempts", flat=True)) == {0}
    drafted = Instance.objects.exclude(state="connected")
    assert {instance.state for instance in drafted} == {"draft"}
    assert len(drafted) == claiming.ROWS_PER_THREAD - 1
    provider.answer = answer
    list(run_bulk_job(resume_bulk_job(job)))
    assert names_at(provider) == sorted(NAMES)
    assert outcomes(job) == {"succeeded": 10}


def test_an_element_that_asked_to_wait_is_left_alone_and_another_is_not(provider, user):
    shipped("stripe")
    bodies = [body(name) for name in NAMES] + [body("Other", element={"key": "stripe"})]
    job = start_bulk_job(make_job(user, bodies, concurrency=1))
    provider.override = (429, {"message": "Slowly"})
    provider.override_headers = {"Retry-After": "120"}
    run_chunk(job)
    assert [one.json["element"]["key"] for one in provider.requests] == ["keyed", "stripe"]
    assert job.rows.filter(element_key="keyed", attempts=0).count() == len(NAMES) - 1
    provider.override, provider.override_headers = None, {}
    pass_time()
    run_chunk(job)
    assert outcomes(job) == {"succeeded": len(NAMES) + 1}
    assert names_at(provider) == sorted(["Other", *NAMES])


def test_a_worker_that_stops_beyond_its_lease_sends_nothing_again(provider, job, monkeypatch):
    go_on = Inserter.insert

    def stop_and_go_on(inserter, rows, **options):
        """The worker holds its rows, and sleeps while another one takes them over and finishes the job."""
        monkeypatch.undo()
        pass_time()
        assert run_chunk(job) == len(NAMES)
        return go_on(inserter, rows, **options)

    monkeypatch.setattr(Inserter, "insert", stop_and_go_on)
    assert run_chunk(job) == 0
    assert outcomes(job) == {"succeeded": len(NAMES)}
    assert names_at(provider) == sorted(NAMES)
    assert Instance.objects.count() == len(NAMES)
