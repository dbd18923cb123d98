"""Work that is due is done: checks, lost responses, interrupted deletions."""

import threading
from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone

from instances.causes import WhoActs
from instances.errors import GrantRejectedError, StateConflictError
from instances.models import Instance, Interaction
from instances.provisioning.lifecycle.check import check_instance
from instances.provisioning.lifecycle.delete import delete_instance
from instances.provisioning.lifecycle.provision import provision_instance
from instances.provisioning.lifecycle.states import State, move_instance
from instances.provisioning.lifecycle.sweeps import work_due_instances, work_instance
from instances.provisioning.status.explain import explain
from tests.support.connected import make_connected
from tests.support.factories import (
    make_element,
    make_instance,
    make_organization,
    make_organization_user,
)
from tests.support.keyed import keyed_definition
from tests.support.provider import API_KEY, ORGANIZATION_SECRET, USER_SECRET, Provider

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def instance(provider):
    row = make_instance(
        element=make_element(keyed_definition(provider.url)), configuration={"api.key": API_KEY}
    )
    return provision_instance(row, actor="test")


@pytest.fixture
def remote_user(provider):
    organization = make_organization(
        name="Remote", platform_url=provider.url, secret=ORGANIZATION_SECRET
    )
    return make_organization_user(organization=organization, secret=USER_SECRET)


@pytest.fixture
def remote_instance(remote_user):
    return make_instance(organization_user=remote_user, name="Far")


def make_due(at=None):
    Instance.objects.update(next_action_at=at or timezone.now() - timedelta(seconds=1))


def age(instance, **by):
    """Make the instance look as if it had been in its state for this long."""
    Instance.objects.filter(pk=instance.pk).update(
        state_changed_at=timezone.now() - timedelta(**by)
    )


def test_a_connected_instance_is_checked_once_a_day(provider, instance):
    wait = instance.next_action_at - timezone.now()
    assert timedelta(hours=19) < wait < timedelta(hours=29)
    make_due()
    assert work_due_instances().succeeded == 1
    row = Instance.objects.get()
    assert row.last_checked_at > instance.last_checked_at
    assert row.next_action_at > timezone.now() + timedelta(hours=19)
    assert work_due_instances().succeeded == 0


def test_credentials_that_are_rejected_twice_are_not_checked_again(provider, instance):
    provider.override = (401, {"message": "Unauthorized"})
    make_due()
    assert list(work_due_instances().failures) == [instance.pk]
    row = Instance.objects.get()
    assert (row.state, row.cause) == ("connected", "credentials_rejected")
    assert row.next_action_at < timezone.now() + timedelta(minutes=2)
    make_due()
    assert list(work_due_instances().failures) == [instance.pk]
    row = Instance.objects.get()
    assert (row.state, row.next_action_at) == ("needs_reauthorization", None)
    assert explain(row).who_acts == WhoActs.ACCOUNT_OWNER


def test_retries_during_an_outage_wait_longer_each_time(provider, instance):
    provider.override = (503, "down")
    waits = []
    for _ in range(4):
        make_due()
        work_due_instances()
        row = Instance.objects.get()
        waits.append(row.next_action_at - timezone.now())
    assert row.state == "connected"
    assert waits == sorted(waits)
    assert timedelta(minutes=1) < waits[0] < timedelta(minutes=3)


def test_tokens_of_a_code_survive_an_outage_of_the_probe(provider, settings):
    with Provider() as probed:
        settings.PROVIDER_ALLOWED_PRIVATE_HOSTS = [provider.netloc, probed.netloc]
        probed.override = (503, "down")
        instance = make_connected(provider, probe_url=f"{probed.url}/probe")
        assert (instance.state, instance.last_succeeded_at) == ("connected", None)
        assert instance.tokens.reveal()["access_token"] in provider.access_tokens
        assert instance.next_action_at < timezone.now() + timedelta(minutes=3)
        probed.override = (200, {})
        make_due()
        assert work_due_instances().succeeded == 1
        assert Instance.objects.get().last_succeeded_at


def test_a_code_whose_tokens_the_probe_rejects_creates_no_instance(provider, settings):
    with Provider() as probed:
        settings.PROVIDER_ALLOWED_PRIVATE_HOSTS = [provider.netloc, probed.netloc]
        with pytest.raises(GrantRejectedError):
            make_connected(provider, probe_url=f"{probed.url}/probe")
        assert Instance.objects.get().state == "failed"


def test_an_instance_that_is_deleted_during_its_check_stays_deleted(provider, instance):
    obedient = provider.answer

    def delete_first(request):
        Instance.objects.all().delete()
        connection.close()
        return obedient(request)

    provider.answer = delete_first
    with pytest.raises(StateConflictError, match="deleted by another process"):
        check_instance(instance, actor="test")
    last = Interaction.objects.first()
    assert (last.instance, last.status, last.subject) == (None, 200, instance.label)


def test_two_schedulers_check_an_instance_once(provider, instance):
    make_due()
    stale = Instance.objects.get()
    before = len(provider.requests)
    work_due_instances()
    Instance.objects.filter(pk=stale.pk).update(next_action_at=timezone.now() + timedelta(days=1))
    work_instance(stale, at=timezone.now())
    assert len(provider.requests) == before + 1


def test_at_most_four_checks_run_at_once_at_one_provider(provider, instance):
    for _number in range(11):
        copy = make_instance(
            organization_user=instance.organization_user,
            element=instance.element,
            configuration={"api.key": API_KEY},
        )
        provision_instance(copy, actor="test")
    under_way, too_many = Counter[str](), threading.Event()
    lock, obedient = threading.Lock(), provider.answer

    def watched_answer(request):
        with lock:
            under_way["now"] += 1
            under_way["most"] = max(under_way["most"], under_way["now"])
            if under_way["now"] > 4:
                too_many.set()
        # As long as nothing is wrong, slow enough for all threads to come.
        too_many.wait(0.1)
        with lock:
            under_way["now"] -= 1
        return obedient(request)

    provider.answer = watched_answer
    make_due()
    assert work_due_instances(concurrency=12).succeeded == 12
    assert 1 < under_way["most"] <= 4


def test_a_lost_response_is_reconciled_automatically_without_duplicates(provider, remote_instance):
    provider.mode = "cut after"
    with pytest.raises(Exception, match="not known"):
        provision_instance(remote_instance, actor="test")
    assert Instance.objects.get().state == "unknown"
    provider.mode = "obey"
    make_due()
    assert work_due_instances().succeeded == 1
    row = Instance.objects.get()
    assert (row.state, row.remote_id) == ("connected", next(iter(provider.instances)))
    assert len(provider.instances) == 1


def test_a_create_that_never_arrived_is_sent_again_once_that_is_certain(provider, remote_instance):
    provider.mode = "cut before"
    with pytest.raises(Exception, match="not known"):
        provision_instance(remote_instance, actor="test")
    provider.mode = "obey"
    make_due()
    assert "may still be in progress" in work_due_instances().failures[remote_instance.pk]
    assert provider.instances == {}
    age(remote_instance, minutes=5)
    make_due()
    assert work_due_instances().succeeded == 1
    assert len(provider.instances) == 1
    assert Instance.objects.get().state == "connected"


def test_interrupted_provisioning_is_reconciled(provider, remote_instance):
    move_instance(
        remote_instance, State.PROVISIONING, expect={State.DRAFT}, actor="killed", why="Began."
    )
    age(remote_instance, minutes=10)
    make_due()
    assert work_due_instances().succeeded == 1
    assert Instance.objects.get().state == "connected"
    assert len(provider.instances) == 1


def test_duplicates_of_the_adopted_instance_are_deleted(provider, remote_instance):
    provider.mode = "cut after"
    for _ in range(2):
        with pytest.raises(Exception, match="not known"):
            provision_instance(remote_instance, actor="test")
        Instance.objects.get()
        QuerySet.update(Instance.objects.all(), state="failed")
        remote_instance.refresh_from_db()
    QuerySet.update(Instance.objects.all(), state="unknown")
    assert len(provider.instances) == 2
    provider.mode = "obey"
    make_due()
    work_due_instances()
    assert list(provider.instances) == [Instance.objects.get().remote_id]


@pytest.mark.parametrize("mode", ["cut before", "cut after", "html"])
def test_an_unfinished_deletion_is_finished_automatically(provider, remote_instance, mode):
    provision_instance(remote_instance, actor="test")
    provider.mode = mode
    with pytest.raises(Exception, match="Far"):
        delete_instance(remote_instance, actor="test")
    row = Instance.objects.get()
    assert (row.state, explain(row).action.name) == ("deleting", "delete")
    assert row.next_action_at < timezone.now() + timedelta(seconds=60)
    provider.mode = "obey"
    make_due()
    work_due_instances()
    assert not Instance.objects.exists()
    assert provider.instances == {}
    assert Interaction.objects.filter(subject__startswith="Far (").exists()


def test_the_cause_that_prevents_reconciliation_is_shown(provider, remote_instance):
    provider.mode = "cut after"
    with pytest.raises(Exception, match="not known"):
        provision_instance(remote_instance, actor="test")
    provider.mode = "obey"
    provider.override = (401, {"message": "Invalid Organization or User secret"})
    make_due()
    work_due_instances()
    row = Instance.objects.get()
    assert (row.state, explain(row).who_acts) == ("unknown", WhoActs.OPERATOR)
    assert "organization's secrets" in explain(row).cause
