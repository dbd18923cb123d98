"""An error of the program at one instance: it is retried later and later, its cause is shown, and others go on."""

from datetime import timedelta

import pytest
from django.db import DataError, OperationalError
from django.utils import timezone

from instances.models import Instance
from instances.provisioning.lifecycle import refresh, sweeps
from instances.provisioning.lifecycle.check import check_instance
from instances.provisioning.lifecycle.sweeps import refresh_due_instances, work_due_instances
from instances.provisioning.status.explain import explain
from tests.support.connected import make_connected, make_due, token_requests

pytestmark = pytest.mark.django_db(transaction=True)

UNEXPECTED = [
    ValueError("NUL"),
    OverflowError("too large"),
    RecursionError("too deep"),
    DataError("value too long"),
    KeyError("missing"),
]
BROKEN, INTACT = "Broken", "Intact"


@pytest.fixture
def instances(provider):
    return [make_connected(provider, name=name) for name in (BROKEN, INTACT)]


def failing_at_one(verb, error):
    def run(instance, *args, **kwargs):
        if instance.name == BROKEN:
            raise error
        return verb(instance, *args, **kwargs)

    return run


def assert_retried_later(due_at, row):
    assert timedelta(minutes=1) < due_at - timezone.now() < timedelta(minutes=3)
    assert (row.state, row.cause) == ("connected", "unexpected")
    assert "unexpected error" in explain(row).cause


@pytest.mark.parametrize("error", UNEXPECTED, ids=lambda error: type(error).__name__)
def test_tokens_that_cannot_be_stored_are_not_asked_for_at_every_turn(
    provider, instances, monkeypatch, error
):
    monkeypatch.setattr(refresh, "store_tokens", failing_at_one(refresh.store_tokens, error))
    make_due(*instances)
    report = refresh_due_instances()
    assert (list(report.failures), report.succeeded) == ([instances[0].pk], 1)
    row = Instance.objects.get(name=BROKEN)
    assert_retried_later(row.refresh_due_at, row)
    # Its answer is lost, which the next refusal is explained by.
    assert (row.refresh_failures, row.refresh_started_at is None) == (1, False)
    assert refresh_due_instances().total == 0
    assert len(token_requests(provider)) == 2


@pytest.mark.parametrize("error", UNEXPECTED, ids=lambda error: type(error).__name__)
def test_a_check_that_fails_in_the_program_is_retried_later_with_its_cause(
    instances, monkeypatch, error
):
    monkeypatch.setattr(sweeps, "check_instance", failing_at_one(check_instance, error))
    Instance.objects.update(next_action_at=timezone.now())
    report = work_due_instances()
    assert (list(report.failures), report.succeeded) == ([instances[0].pk], 1)
    row = Instance.objects.get(name=BROKEN)
    assert_retried_later(row.next_action_at, row)
    assert row.consecutive_failures == 1


def test_an_outage_of_the_database_is_no_error_of_the_instance(instances, monkeypatch):
    outage = OperationalError("server closed the connection")
    monkeypatch.setattr(refresh, "store_tokens", failing_at_one(refresh.store_tokens, outage))
    make_due(*instances)
    report = refresh_due_instances()
    assert "database could not be reached" in report.failures[instances[0].pk]
    row = Instance.objects.get(name=BROKEN)
    assert (row.cause, row.refresh_failures, row.refresh_due_at < timezone.now()) == ("", 0, True)
