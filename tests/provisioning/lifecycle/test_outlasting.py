"""A database outage while a provider responds loses nothing."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, connections

from instances.bulk.files.lines import FileRow
from instances.bulk.jobs import start_bulk_job
from instances.bulk.reading import read_bulk_job
from instances.bulk.running.runner import run_bulk_job
from instances.models import Authorization, Instance, Interaction
from instances.provisioning.lifecycle.provision import provision_instance
from instances.provisioning.lifecycle.reauthenticate import reauthenticate_instance
from instances.provisioning.lifecycle.refresh import refresh_instance
from instances.provisioning.oauth.authorize import begin_authorization
from instances.provisioning.oauth.callback import complete_authorization
from instances.queries.outages import outlast_outage
from tests.support.connected import make_connected, oauth_definition, token_requests, tokens_of
from tests.support.factories import (
    make_element,
    make_instance,
    make_organization_user,
    make_user,
)
from tests.support.keyed import keyed_definition
from tests.support.outages import break_database
from tests.support.provider import API_KEY, CLIENT_ID, CLIENT_SECRET

pytestmark = pytest.mark.django_db(transaction=True)

BROWSER = "secret-of-the-browser"


@pytest.fixture(autouse=True)
def impatient():
    """Make SQLite give up at once instead of waiting 20 seconds for a lock."""
    for one in connections.all():
        if one.vendor == "sqlite":
            one.close()
            one.settings_dict["OPTIONS"]["timeout"] = 0.05
    yield
    for one in connections.all():
        if one.vendor == "sqlite":
            one.close()
            one.settings_dict["OPTIONS"]["timeout"] = 20


@pytest.fixture
def break_during(provider):
    """break_during("/token") takes the database down once this path was handled."""

    def break_during(path):
        answer = provider.answer

        def breaking(request):
            answered = answer(request)
            if request.path == path:
                provider.answer = answer
                break_database()
            return answered

        provider.answer = breaking

    return break_during


def draft_granted(provider, **fields):
    return make_instance(
        element=make_element(oauth_definition(provider.url)),
        configuration={
            "oauth.api.key": CLIENT_ID,
            "oauth.api.secret": CLIENT_SECRET,
            "oauth.callback.url": "https://app.example/callback",
        },
        authentication_type="oauth2",
        **fields,
    )


def authorize(provider, instance):
    """Authorize in a browser up to the callback; return the callback's parameters."""
    user = make_user(is_superuser=True)
    begun = begin_authorization(instance, user=user, browser_secret=BROWSER)
    return user, provider.authorize(begun.url)


def require_working(provider, instance):
    stored = tokens_of(instance)
    assert stored["refresh_token"] in provider.refresh_tokens
    assert stored["access_token"] in provider.access_tokens
    assert Instance.objects.get(pk=instance.pk).state == "connected"


def test_a_refresh_stores_its_new_tokens(provider, break_during):
    instance = make_connected(provider)
    break_during("/token")
    refresh_instance(instance, actor="test")
    assert len(token_requests(provider)) == 1
    require_working(provider, instance)
    row = Instance.objects.get()
    assert (row.tokens_version, row.lease_holder, row.refresh_started_at) == (2, None, None)
    assert Interaction.objects.filter(operation="Refresh token").count() == 1


def test_a_rejection_is_recorded_anyway(provider, break_during):
    instance = make_connected(provider)
    provider.refresh_tokens.clear()
    break_during("/token")
    with pytest.raises(Exception, match="rejected the refresh token"):
        refresh_instance(instance, actor="test")
    row = Instance.objects.get()
    assert (row.refresh_refusals, row.cause) == (1, "grant_rejected")
    assert row.cause_interaction.operation == "Refresh token"


@pytest.mark.parametrize("path", ["/token", "/probe"])
def test_a_code_exchange_stores_its_tokens(provider, break_during, path):
    instance = draft_granted(provider)
    user, parameters = authorize(provider, instance)
    break_during(path)
    complete_authorization(parameters, user=user, browser_secret=BROWSER)
    require_working(provider, instance)
    assert Authorization.objects.get().outcome == "completed"
    steps = set(Interaction.objects.values_list("operation", flat=True))
    assert {"Exchange code", "OAuth callback"} < steps


@pytest.mark.parametrize("path", ["/token", "/probe"])
def test_a_new_authorization_of_a_connected_instance_stores_its_tokens(
    provider, break_during, path
):
    instance = make_connected(provider)
    user, parameters = authorize(provider, instance)
    break_during(path)
    complete_authorization(parameters, user=user, browser_secret=BROWSER)
    require_working(provider, instance)
    assert Instance.objects.get().tokens_version == 2


def test_provisioning_ends_connected(provider, break_during):
    instance = make_instance(
        element=make_element(keyed_definition(provider.url)), configuration={"api.key": API_KEY}
    )
    break_during("/probe")
    provision_instance(instance, actor="test")
    assert Instance.objects.get().state == "connected"
    assert len(provider.requests) == 1


def test_changed_credentials_are_stored(provider, break_during):
    instance = make_instance(
        element=make_element(keyed_definition(provider.url)), configuration={"api.key": "old"}
    )
    provider_key = {"api.key": API_KEY}
    with pytest.raises(Exception, match="credentials"):
        provision_instance(instance, actor="test")
    break_during("/probe")
    reauthenticate_instance(instance, actor="test", configuration=provider_key)
    assert Instance.objects.get().full_configuration() == provider_key


def test_each_row_of_a_bulk_job_ends_connected_and_is_sent_once(provider, break_during):
    make_element(keyed_definition(provider.url))
    rows = [
        FileRow(
            number,
            {
                "name": f"Row {number}",
                "element": {"key": keyed_definition("")["key"]},
                "configuration": {"api.key": API_KEY},
            },
        )
        for number in range(1, 7)
    ]
    job = read_bulk_job(make_organization_user(), rows, actor="test", concurrency=2)
    break_during("/probe")
    ended = list(run_bulk_job(start_bulk_job(job)))
    assert [row.outcome for row in ended] == ["succeeded"] * 6
    assert set(Instance.objects.values_list("state", flat=True)) == {"connected"}
    assert Interaction.objects.count() == len(provider.requests) == 6


def test_an_unconfirmed_commit_is_not_a_conflict(provider, monkeypatch):
    """The connection breaks after the commit and before its confirmation."""
    instance = draft_granted(provider)
    user, parameters = authorize(provider, instance)
    wrapper: Any = type(connections["default"])
    commit, answer = wrapper._commit, provider.answer
    unconfirmed: list[bool] = []

    def commit_unheard(self):
        commit(self)
        if not unconfirmed:
            unconfirmed.append(True)
            raise OperationalError("server closed the connection unexpectedly")

    def answering(request):
        answered = answer(request)
        if request.path == "/probe":
            monkeypatch.setattr(wrapper, "_commit", commit_unheard)
        return answered

    provider.answer = answering
    complete_authorization(parameters, user=user, browser_secret=BROWSER)
    assert unconfirmed
    require_working(provider, instance)
    assert instance.state_changes.filter(to_state="connected").count() == 1
    assert Interaction.objects.filter(operation="Exchange code").count() == 1


def test_an_outage_without_end_is_reported_without_a_secret(caplog):
    def write():
        raise OperationalError("it has the secret 'hunter2' in its words")

    with pytest.raises(OperationalError):
        outlast_outage(write, what="tokens", duration=timedelta(seconds=0.2))
    assert "gave up storing" in caplog.text
    assert "hunter2" not in caplog.text


def test_other_errors_are_not_retried():
    calls = []

    def write():
        calls.append(1)
        raise IntegrityError

    with pytest.raises(IntegrityError):
        outlast_outage(write, what="tokens")
    assert len(calls) == 1
