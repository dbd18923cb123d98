"""A process that is suspended beyond its lease does no harm when it resumes."""

import time

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone

from instances.models import Instance, StateChange
from instances.provisioning.lifecycle.check import check_instance
from instances.provisioning.lifecycle.reconcile import reconcile_instance
from instances.provisioning.lifecycle.refresh import refresh_instance
from instances.provisioning.lifecycle.schedule import STALE_AFTER
from tests.support.connected import make_connected, token_requests, tokens_of
from tests.support.factories import make_instance, make_organization, make_organization_user
from tests.support.provider import ORGANIZATION_SECRET, USER_SECRET

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.xdist_group("lifecycle"),
]

PATIENCE_SECONDS = 10
HALT = ("-m", "tests.support.worker", "halt")
# Before the request is built, and just before the connection is made, the last moment that a test can reach.
BEFORE_SENDING = "instances.platforms.embedded.oauth2.refresh_token"
BEFORE_CONNECTING = "instances.platforms.transport.connections._checked_addresses"


@pytest.fixture
def freeze_refresh(run):
    """Start a refresh, stop its process at a function, and let its lease expire."""

    def freeze_refresh(instance, *, at):
        holder = run(*HALT, "refresh", str(instance.pk), "1", at)
        assert holder.hear() == "halted"
        holder.freeze()
        wait_until_the_lease_is_over(instance)
        return holder

    return freeze_refresh


@pytest.fixture
def freeze_waiting(run, provider):
    """Start a refresh, stop its process during the request, let its lease expire."""

    def freeze_waiting(instance, **environment):
        provider.delay_seconds = 0.5
        asked = len(token_requests(provider))
        holder = run(*HALT, "refresh", str(instance.pk), "1", "", **environment)
        assert holder.hear() == "begun"
        wait_until(lambda: len(token_requests(provider)) > asked)
        holder.freeze()
        wait_until_the_lease_is_over(instance)
        provider.delay_seconds = 0
        return holder

    return freeze_waiting


def wait_until(is_so):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline
        connection.close()
        time.sleep(0.02)


def wait_until_the_lease_is_over(instance):
    free = Instance.objects.filter(pk=instance.pk).exclude(leased_until__gt=Now())
    wait_until(free.exists)


@pytest.mark.parametrize("point", [BEFORE_SENDING, BEFORE_CONNECTING])
def test_it_does_not_send_a_refresh_token_that_another_process_has_used(
    far_sandbox, make_granted, freeze_refresh, point
):
    instance = make_granted()
    holder = freeze_refresh(instance, at=point)
    refresh_instance(Instance.objects.get(), actor="test")
    holder.say()
    holder.thaw()
    assert holder.hear() == 2
    refresh_token = tokens_of(instance)["refresh_token"]
    assert far_sandbox.tokens_given(refresh_token) == 2
    assert not far_sandbox.is_revoked(refresh_token)
    check_instance(Instance.objects.get(), actor="test")


@pytest.mark.parametrize("refusals", [0, 1])
def test_a_late_rejection_changes_nothing(provider, freeze_waiting, refusals):
    instance = make_connected(provider)
    Instance.objects.filter(pk=instance.pk).update(refresh_refusals=refusals)
    good = tokens_of(instance)["refresh_token"]
    provider.refresh_tokens.clear()
    holder = freeze_waiting(instance)
    provider.refresh_tokens.add(good)
    refresh_instance(Instance.objects.get(), actor="test")
    moves = StateChange.objects.count()
    holder.thaw()
    assert holder.hear() == 2
    row = Instance.objects.get()
    assert (row.state, row.refresh_refusals, row.cause) == ("connected", 0, "")
    assert StateChange.objects.count() == moves


def test_a_late_outage_does_not_delay_anything(provider, freeze_waiting):
    instance = make_connected(provider)
    good = tokens_of(instance)["refresh_token"]
    obedient = provider.answer

    def be_down(request):
        time.sleep(provider.delay_seconds)
        return 503, "down"

    provider.answer = be_down
    holder = freeze_waiting(instance)
    provider.answer = obedient
    provider.refresh_tokens.add(good)
    refresh_instance(Instance.objects.get(), actor="test")
    holder.thaw()
    assert holder.hear() == 2
    row = Instance.objects.get()
    assert (row.refresh_failures, row.cause) == (0, "")


@pytest.mark.parametrize("timeout_seconds", ["0.8", "10"])
def test_late_tokens_are_stored_unless_there_are_newer_ones(
    provider, freeze_waiting, timeout_seconds
):
    instance = make_connected(provider)
    holder = freeze_waiting(instance, REFRESH_TIMEOUT_SECONDS=timeout_seconds)
    holder.thaw()
    assert holder.hear() == 2
    assert tokens_of(instance)["refresh_token"] in provider.refresh_tokens
    assert len(token_requests(provider)) == 1


def test_late_tokens_reconnect_the_instance(provider, freeze_waiting):
    instance = make_connected(provider)
    holder = freeze_waiting(instance)
    for _ in range(2):
        with pytest.raises(Exception, match="rejected the refresh token"):
            refresh_instance(Instance.objects.get(), actor="test")
    assert Instance.objects.get().state == "needs_reauthorization"
    holder.thaw()
    assert holder.hear() == 2
    row = Instance.objects.get()
    assert (row.state, row.cause) == ("connected", "")
    assert row.next_action_at <= timezone.now()
    check_instance(row, actor="test")


def test_it_does_not_create_what_another_process_has_created(provider, run):
    organization = make_organization(platform_url=provider.url, secret=ORGANIZATION_SECRET)
    user = make_organization_user(organization=organization, secret=USER_SECRET)
    instance = make_instance(organization_user=user)
    creator = run(*HALT, "provision", str(instance.pk), "1", BEFORE_CONNECTING)
    assert creator.hear() == "halted"
    creator.freeze()
    # As if the process had been stopped for that long.
    Instance.objects.update(state_changed_at=timezone.now() - STALE_AFTER)
    time.sleep(1)
    reconcile_instance(Instance.objects.get(), actor="test")
    creator.say()
    creator.thaw()
    assert "was changed by another process" in creator.hear()
    assert list(provider.instances) == [Instance.objects.get().remote_id]
    assert Instance.objects.get().state == "connected"
