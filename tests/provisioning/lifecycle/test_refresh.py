"""Refreshing tokens: one refresh at a time, no token lost, outages survived."""

import threading
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone

from instances.errors import GrantRejectedError, PlatformError, StateConflictError
from instances.models import Instance, Interaction
from instances.platforms.base import TokenSet
from instances.provisioning.lifecycle import schedule
from instances.provisioning.lifecycle.check import check_instance
from instances.provisioning.lifecycle.delete import delete_instance
from instances.provisioning.lifecycle.leases import leased
from instances.provisioning.lifecycle.provision import provision_instance
from instances.provisioning.lifecycle.refresh import refresh_instance, store_tokens
from instances.provisioning.lifecycle.sweeps import refresh_due_instances
from instances.provisioning.lifecycle.switches import set_enabled
from instances.provisioning.oauth.authorize import begin_authorization
from instances.provisioning.oauth.callback import complete_authorization
from instances.provisioning.status.explain import explain
from tests.support.connected import make_connected, make_due, token_requests, tokens_of
from tests.support.factories import CUSTOM_CONFIGURATION, make_instance, make_user
from tests.support.provider import Request

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def instance(provider):
    return make_connected(provider)


def test_tokens_are_refreshed_at_half_of_their_life(instance):
    life = instance.expires_at - timezone.now()
    wait = instance.refresh_due_at - timezone.now()
    assert life / 2 - timedelta(seconds=5) < wait <= life / 2


@pytest.mark.parametrize(
    ("life_minutes", "due_minutes"), [(60, 30), (1440, 720), (40, 20), (20, 10), (0, 0.5)]
)
def test_the_refresh_is_due_at_half_of_the_life(instance, life_minutes, due_minutes):
    at = timezone.now()
    tokens = TokenSet("a", "r", expires_at=at + timedelta(minutes=life_minutes))
    due = schedule.refresh_due_at(instance.authentication, tokens, at=at)
    assert due == at + timedelta(minutes=due_minutes)


def test_a_due_instance_gets_new_tokens_and_a_new_due_time(provider, instance):
    before = tokens_of(instance)
    make_due(instance)
    report = refresh_due_instances()
    after = tokens_of(instance)
    assert (report.succeeded, report.failures) == (1, {})
    assert after["access_token"] != before["access_token"]
    assert after["refresh_token"] != before["refresh_token"]
    stored = Instance.objects.get()
    assert stored.refresh_due_at > timezone.now()
    assert (stored.lease_holder, stored.refresh_started_at) == (None, None)
    assert refresh_due_instances().succeeded == 0


def test_many_callers_on_one_expiring_token_make_one_refresh(provider, instance):
    barrier = threading.Barrier(20)
    seen, errors = [], []

    def call():
        row = Instance.objects.get(pk=instance.pk)
        barrier.wait()
        try:
            seen.append(refresh_instance(row, actor="caller").tokens.reveal()["access_token"])
        except Exception as error:  # noqa: BLE001  asserted below
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=call) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(token_requests(provider)) == 1
    assert set(seen) == {tokens_of(instance)["access_token"]}


def test_a_provider_slower_than_the_lease_still_gets_one_request(
    provider, instance, monkeypatch, settings
):
    settings.HTTP_TIMEOUT_SECONDS = 10
    monkeypatch.setattr(
        "instances.provisioning.lifecycle.leases.lease_duration", lambda: timedelta(seconds=0.3)
    )
    provider.delay_seconds = 1.5
    outcomes = []

    def call():
        row = Instance.objects.get(pk=instance.pk)
        outcomes.append(refresh_instance(row, actor="caller").tokens_version)
        connection.close()

    stale = Instance.objects.get(pk=instance.pk)
    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(token_requests(provider)) == 1
    assert outcomes == [stale.tokens_version + 1] * 3


def test_a_refresh_waits_longer_for_its_answer_than_other_calls(provider, instance, settings):
    settings.HTTP_TIMEOUT_SECONDS, settings.REFRESH_TIMEOUT_SECONDS = 0.3, 3
    provider.delay_seconds = 0.6
    make_due(instance)
    assert refresh_due_instances().succeeded == 1
    assert tokens_of(instance)["refresh_token"] in provider.refresh_tokens


def test_a_refresh_that_times_out_says_so(provider, instance, settings):
    settings.HTTP_TIMEOUT_SECONDS, settings.REFRESH_TIMEOUT_SECONDS = 0.1, 0.3
    provider.delay_seconds = 0.6
    with pytest.raises(PlatformError, match=r"did not answer within 0\.3 seconds"):
        refresh_instance(instance, actor="test")


def test_an_outage_backs_off_and_never_disconnects(provider, instance):
    provider.override = (503, "<html>down</html>")
    at = timezone.now()
    waits = []
    for _ in range(8):
        make_due(instance)
        refresh_due_instances()
        row = Instance.objects.get()
        waits.append((row.refresh_due_at - timezone.now()).total_seconds() / 60)
    assert row.state == "connected"
    assert 1.5 <= waits[0] <= 2.5
    assert waits == sorted(waits[:5]) + waits[5:]
    assert all(45 <= wait <= 75 for wait in waits[6:])
    assert explain(row).action.name == "check"
    provider.override = None
    make_due(instance)
    refresh_due_instances()
    row = Instance.objects.get()
    assert (row.refresh_failures, row.cause, explain(row)) == (0, "", None)
    assert row.last_succeeded_at >= at


def test_a_retry_after_is_respected(provider, instance):
    provider.override = (429, {"error": "slow_down"})
    provider.override_headers = {"Retry-After": "7200"}
    make_due(instance)
    refresh_due_instances()
    row = Instance.objects.get()
    assert row.state == "connected"
    assert row.refresh_due_at > timezone.now() + timedelta(minutes=119)


def test_a_rejected_grant_is_tried_twice_and_never_again(provider, instance):
    provider.refresh_tokens.clear()
    make_due(instance)
    refresh_due_instances()
    row = Instance.objects.get()
    assert (row.state, row.refresh_refusals) == ("connected", 1)
    make_due(instance)
    refresh_due_instances()
    row = Instance.objects.get()
    assert (row.state, row.cause) == ("needs_reauthorization", "grant_rejected")
    assert row.cause_interaction.operation == "Refresh token"
    assert explain(row).action.name == "authorize"
    make_due(instance)
    assert refresh_due_instances().failures == {}
    assert len(token_requests(provider)) == 2
    with pytest.raises(StateConflictError):
        refresh_instance(Instance.objects.get(), actor="x")


def test_a_lost_response_stays_on_record_and_the_token_is_tried_again(provider, instance):
    provider.mode = "cut before"
    make_due(instance)
    refresh_due_instances()
    row = Instance.objects.get()
    assert row.refresh_started_at is not None
    assert "closed the connection" in row.cause_message
    provider.mode = "obey"
    make_due(instance)
    assert refresh_due_instances().succeeded == 1
    assert Instance.objects.get().refresh_started_at is None


def test_the_lease_of_a_killed_process_expires(provider, instance):
    make_due(instance)
    now = timezone.now()
    Instance.objects.update(
        lease_holder="6b1f8f3e-0000-0000-0000-000000000000",
        leased_until=now + schedule.lease_duration(),
        refresh_started_at=now,
    )
    assert refresh_due_instances().succeeded == 0
    later = now + schedule.lease_duration() + timedelta(seconds=1)
    assert schedule.lease_duration() < timedelta(seconds=50)
    assert refresh_due_instances(at=later).succeeded == 1


def test_a_lease_has_one_holder_and_is_released(instance):
    with leased(instance.pk) as first, leased(instance.pk) as second:
        assert (bool(first), second) == (True, None)
    with leased(instance.pk) as third:
        assert third not in (None, first)


def test_a_lease_that_another_took_over_is_not_given_back_by_who_lost_it(instance):
    other = uuid4()
    with leased(instance.pk):
        Instance.objects.update(lease_holder=other)
    assert Instance.objects.get().lease_holder == other


def test_a_late_refusal_is_not_recorded_once_another_holds_the_lease(provider, instance):
    obedient = provider.answer
    refused: list[Request] = []

    def refuse_the_first(request):
        if refused:
            return obedient(request)
        refused.append(request)
        Instance.objects.update(lease_holder=uuid4(), leased_until=timezone.now())
        connection.close()
        return 400, {"error": "invalid_grant"}

    provider.answer = refuse_the_first
    current = refresh_instance(instance, actor="test")
    assert (current.state, current.refresh_refusals, current.cause) == ("connected", 0, "")
    assert current.tokens_version == 2
    assert len(token_requests(provider)) == 2


def test_tokens_that_arrive_after_newer_ones_were_stored_are_dropped(provider, instance):
    stale = Instance.objects.get(pk=instance.pk)
    refresh_instance(instance, actor="x")
    newest = tokens_of(instance)
    assert store_tokens(stale, TokenSet("late", "late"), at=timezone.now()) is False
    assert tokens_of(instance) == newest


def test_a_disabled_instance_is_neither_refreshed_nor_checked(provider, instance):
    set_enabled(instance, is_enabled=False, actor="ada")
    make_due(instance)
    assert refresh_due_instances().succeeded == 0
    assert token_requests(provider) == []


def test_a_check_that_gets_a_401_refreshes_once_and_succeeds(provider, instance):
    provider.access_tokens.clear()
    check_instance(instance, actor="ada")
    row = Instance.objects.get()
    assert row.state == "connected"
    assert len(token_requests(provider)) == 1


def test_a_check_of_a_revoked_grant_says_so(provider, instance):
    provider.access_tokens.clear()
    provider.refresh_tokens.clear()
    for _ in range(2):
        with pytest.raises(GrantRejectedError, match="Authorize again"):
            check_instance(Instance.objects.get(), actor="ada")
    assert Instance.objects.get().state == "needs_reauthorization"


def test_no_token_is_in_any_record_of_a_refresh(provider, instance):
    make_due(instance)
    refresh_due_instances()
    provider.override = (400, {"error": "invalid_request", "refresh_token": "echoed"})
    make_due(instance)
    refresh_due_instances()
    recorded = "".join(str(vars(one)) for one in instance.interactions.all())
    assert not any(secret in recorded for secret in provider.secrets)


def test_a_password_grant_is_renewed_with_the_password(sandbox, dynamics):
    instance = make_instance(
        organization_user=sandbox, element=dynamics, configuration=CUSTOM_CONFIGURATION
    )
    provision_instance(instance, actor="test")
    assert instance.refresh_due_at is not None
    before = tokens_of(instance)
    refresh_instance(instance, actor="test")
    assert tokens_of(instance)["access_token"] != before["access_token"]


def test_an_unexpected_rejection_is_retried_and_does_not_disconnect(provider, instance):
    provider.override = (400, {"error": "invalid_request"})
    make_due(instance)
    with pytest.raises(PlatformError):
        refresh_instance(instance, actor="x")
    row = Instance.objects.get()
    assert (row.state, row.refresh_failures) == ("connected", 1)


@pytest.mark.parametrize("override", [None, (503, "down"), (400, {"error": "unsupported"})])
def test_a_deletion_revokes_the_grant_and_no_rejection_blocks_it(provider, instance, override):
    refresh_token = tokens_of(instance)["refresh_token"]
    provider.override = override
    delete_instance(instance, actor="ada")
    assert not Instance.objects.exists()
    assert provider.last.form["token"] == refresh_token
    exchange = Interaction.objects.get(operation="Revoke token")
    assert (exchange.status, exchange.instance_id) == (override[0] if override else 200, None)
    assert refresh_token not in str(vars(exchange))


def test_an_authorization_survives_a_late_refusal_of_the_grant_that_it_replaces(provider, instance):
    """The second refusal arrives while the new code is being exchanged; the code could not be sent again."""
    user = make_user(is_superuser=True)
    begun = begin_authorization(instance, user=user, browser_secret="browser")
    parameters = provider.authorize(begun.url)
    Instance.objects.update(refresh_refusals=1)
    old, answer = tokens_of(instance)["refresh_token"], provider.answer

    def refuse():
        try:
            with pytest.raises(GrantRejectedError):
                refresh_instance(Instance.objects.get(), actor="scheduler")
        finally:
            connection.close()

    def refusing_answer(request):
        provider.answer = answer
        provider.refresh_tokens.discard(old)
        refusal = threading.Thread(target=refuse)
        refusal.start()
        refusal.join()
        assert Instance.objects.get().state == "needs_reauthorization"
        connection.close()
        return answer(request)

    provider.answer = refusing_answer
    complete_authorization(parameters, user=user, browser_secret="browser")
    row = Instance.objects.get()
    assert (row.state, row.cause, row.refresh_refusals) == ("connected", "", 0)
    assert tokens_of(instance)["refresh_token"] in provider.refresh_tokens
