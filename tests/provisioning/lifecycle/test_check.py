"""A check reports what it met: what works is verified, and what does not is kept and shown."""

from datetime import timedelta

import pytest
from django.utils import timezone

from instances.errors import (
    AccessForbiddenError,
    CredentialsRefusedError,
    DisabledOnPlatformError,
    GrantRejectedError,
    NoCheckError,
    ProviderFaultError,
    RefreshLostError,
    SignInPageError,
)
from instances.models import Instance
from instances.provisioning.lifecycle.check import check_instance
from instances.provisioning.lifecycle.provision import provision_instance
from instances.provisioning.lifecycle.reauthenticate import reauthenticate_instance
from instances.provisioning.lifecycle.refresh import refresh_instance
from instances.provisioning.lifecycle.states import State, move_instance
from instances.provisioning.lifecycle.sweeps import refresh_due_instances, work_due_instances
from instances.provisioning.lifecycle.switches import set_enabled
from instances.provisioning.status.explain import explain
from tests.support.connected import make_connected
from tests.support.factories import (
    make_element,
    make_instance,
    make_organization,
    make_organization_user,
)
from tests.support.keyed import keyed_definition
from tests.support.provider import API_KEY, ORGANIZATION_SECRET, USER_SECRET

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def trusted():
    """A connected instance whose credentials nothing was sent with, and whose element has no check."""
    return provision_instance(make_instance(), actor="test")


@pytest.fixture
def probed(provider):
    element = make_element(keyed_definition(provider.url))
    row = make_instance(element=element, configuration={"api.key": API_KEY})
    return provision_instance(row, actor="test")


@pytest.fixture
def granted(provider):
    return make_connected(provider)


@pytest.fixture
def remote(provider):
    organization = make_organization(platform_url=provider.url, secret=ORGANIZATION_SECRET)
    user = make_organization_user(organization=organization, secret=USER_SECRET)
    return provision_instance(make_instance(organization_user=user), actor="test")


def stored(instance):
    return Instance.objects.select_related("element").get(pk=instance.pk)


def check(instance):
    return check_instance(stored(instance), actor="ada")


def refresh(instance):
    return refresh_instance(stored(instance), actor="ada")


def make_due():
    now = timezone.now()
    Instance.objects.exclude(next_action_at=None).update(next_action_at=now)
    Instance.objects.exclude(refresh_due_at=None).update(refresh_due_at=now)


def needs_reauthorization(instance, cause):
    move_instance(
        instance,
        State.NEEDS_REAUTHORIZATION,
        expect={State.CONNECTED},
        actor="test",
        why="It was rejected twice.",
        cause=cause,
    )


def test_credentials_that_exchanged_nothing_are_unverified(trusted):
    row = stored(trusted)
    assert row.state == "connected"
    assert (row.verified_at, row.last_checked_at, row.last_succeeded_at) == (None, None, None)


def test_a_check_without_a_probe_reports_no_success(trusted):
    with pytest.raises(NoCheckError, match="has no check"):
        check(trusted)
    row = stored(trusted)
    assert (row.state, row.cause) == ("connected", "")
    assert (row.verified_at, row.last_checked_at, row.last_succeeded_at) == (None, None, None)


def test_a_check_without_a_probe_connects_nothing_again(trusted):
    needs_reauthorization(trusted, "credentials_rejected")
    with pytest.raises(NoCheckError):
        check(trusted)
    assert (stored(trusted).state, stored(trusted).cause) == (
        "needs_reauthorization",
        "credentials_rejected",
    )


def test_the_scheduler_counts_apart_what_it_cannot_check(trusted):
    make_due()
    report = work_due_instances()
    assert (report.succeeded, report.unchecked, report.failures) == (0, 1, {})
    assert stored(trusted).next_action_at > timezone.now() + timedelta(hours=19)


def test_an_exchange_that_connects_an_instance_verifies_it(probed, granted):
    for row in (stored(probed), stored(granted)):
        assert row.verified_at == row.last_checked_at == row.last_succeeded_at
        assert row.verified_at


def test_credentials_that_are_replaced_without_an_exchange_are_unverified_again(trusted):
    now = timezone.now()
    Instance.objects.update(verified_at=now, last_checked_at=now, last_succeeded_at=now)
    needs_reauthorization(stored(trusted), "credentials_rejected")
    reauthenticate_instance(stored(trusted), actor="ada", configuration={"api.key": "another-k3y"})
    row = stored(trusted)
    assert row.state == "connected"
    assert (row.verified_at, row.last_checked_at, row.last_succeeded_at) == (None, None, None)


def test_a_web_page_in_place_of_data_is_no_success(provider, probed):
    before = stored(probed)
    provider.mode = "html"
    with pytest.raises(SignInPageError):
        check(probed)
    row = stored(probed)
    assert (row.state, row.cause) == ("connected", "sign_in_page")
    assert row.last_succeeded_at == before.last_succeeded_at


@pytest.mark.parametrize("body", ["OK", '{"ok": true}', "<?xml version='1.0'?><user/>", ""])
def test_data_with_the_type_of_a_web_page_is_a_success(provider, probed, body):
    provider.override = (200, body)
    provider.override_headers = {"Content-Type": "text/html"}
    assert check(probed).cause == ""


def test_a_redirect_to_a_sign_in_page_is_no_success(provider, probed):
    provider.mode, provider.redirect_to = "redirect", f"{provider.url}/redirected"
    provider.override = (200, "<!DOCTYPE html><html><title>Sign in</title></html>")
    with pytest.raises(SignInPageError):
        check(probed)
    assert [request.path for request in provider.requests[-2:]] == ["/probe", "/redirected"]
    assert stored(probed).cause == "sign_in_page"


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (402, "refused"),
        (403, "access_forbidden"),
        (404, "refused"),
        (429, "rate_limited"),
        (503, "provider_down"),
    ],
)
def test_what_a_check_meets_is_shown_until_the_next_one_succeeds(provider, probed, status, cause):
    provider.override = (status, {"message": "no"})
    make_due()
    assert list(work_due_instances().failures) == [probed.pk]
    row = stored(probed)
    assert (row.state, row.cause, row.is_verified) == ("connected", cause, True)
    assert explain(row).interaction.status == status
    provider.override = None
    make_due()
    assert work_due_instances().succeeded == 1
    assert (stored(probed).cause, explain(stored(probed))) == ("", None)


def test_a_host_that_is_gone_from_the_network_is_shown(probed, settings):
    definition = keyed_definition("http://nowhere.invalid")
    make_element(definition)
    make_due()
    work_due_instances()
    assert (stored(probed).state, stored(probed).cause) == ("connected", "unreachable")


def test_a_check_does_not_hide_why_access_ended(provider, granted):
    needs_reauthorization(granted, "grant_rejected")
    provider.override = (401, {"message": "Unauthorized"})
    with pytest.raises(GrantRejectedError):
        check(granted)
    provider.override = (503, "down")
    with pytest.raises(ProviderFaultError):
        check(granted)
    assert (stored(granted).state, stored(granted).cause) == (
        "needs_reauthorization",
        "grant_rejected",
    )


def test_a_check_that_succeeds_does_not_hide_a_rejected_refresh_token(provider, granted):
    provider.refresh_tokens.clear()
    with pytest.raises(GrantRejectedError):
        refresh(granted)
    check(granted)
    row = stored(granted)
    assert (row.state, row.cause, row.refresh_refusals) == ("connected", "grant_rejected", 1)


def test_the_second_refusal_counts_also_if_a_check_meets_it(provider, granted):
    provider.refresh_tokens.clear()
    with pytest.raises(GrantRejectedError):
        refresh(granted)
    provider.access_tokens.clear()
    with pytest.raises(GrantRejectedError):
        check(granted)
    assert (stored(granted).state, stored(granted).cause) == (
        "needs_reauthorization",
        "grant_rejected",
    )


def test_an_outage_between_two_refusals_changes_nothing(provider, probed):
    provider.override = (401, {"message": "Unauthorized"})
    with pytest.raises(CredentialsRefusedError):
        check(probed)
    provider.override = (503, "down")
    with pytest.raises(ProviderFaultError):
        check(probed)
    row = stored(probed)
    assert (row.state, row.cause, row.refresh_refusals) == ("connected", "credentials_rejected", 1)
    provider.override = None
    check(probed)
    assert (stored(probed).cause, stored(probed).refresh_refusals) == ("", 0)


def test_new_tokens_do_not_hide_what_a_check_met(provider, granted):
    provider.override = (403, {"message": "no licence"})
    with pytest.raises(AccessForbiddenError):
        check(granted)
    provider.override = None
    refresh(granted)
    assert stored(granted).cause == "access_forbidden"
    check(granted)
    assert stored(granted).cause == ""


def test_a_refresh_token_whose_successor_was_lost_is_told_from_a_revoked_one(provider, granted):
    Instance.objects.update(refresh_started_at=timezone.now())
    provider.refresh_tokens.clear()
    with pytest.raises(RefreshLostError, match="The response to the previous refresh was lost"):
        refresh(granted)
    assert (stored(granted).state, stored(granted).cause) == ("connected", "refresh_lost")
    with pytest.raises(RefreshLostError):
        refresh(granted)
    row = stored(granted)
    assert (row.state, row.cause) == ("needs_reauthorization", "refresh_lost")
    assert explain(row).who == "Account owner must act."


def test_an_instance_that_its_platform_has_disabled_is_disabled_here(provider, remote):
    [there] = provider.instances.values()
    there["disabled"] = True
    with pytest.raises(DisabledOnPlatformError):
        check(remote)
    row = stored(remote)
    assert (row.is_disabled, row.cause) == (True, "disabled_on_platform")
    explanation = explain(row)
    assert explanation.cause.startswith("The platform has disabled it")
    assert (explanation.who_acts, explanation.action.name) == ("operator", "enable")
    set_enabled(row, is_enabled=True, actor="ada")
    row = stored(remote)
    assert (row.is_disabled, row.cause, there["disabled"]) == (False, "", False)
    assert check(remote).is_verified


@pytest.mark.parametrize("sweep", [refresh_due_instances, work_due_instances])
def test_an_instance_at_which_the_program_fails_is_put_off_and_says_so(granted, sweep):
    row = stored(granted)
    row.tokens = {"not": "a token set"}
    row.save()
    make_due()
    assert list(sweep().failures) == [granted.pk]
    row = stored(granted)
    assert (row.state, row.cause) == ("connected", "unexpected")
    due = row.refresh_due_at if sweep is refresh_due_instances else row.next_action_at
    assert due > timezone.now() + timedelta(minutes=1)
