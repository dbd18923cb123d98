"""An explanation speaks to who reads it: what they can do themselves, and whom they have to ask."""

import inspect

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import connection
from django.test.utils import CaptureQueriesContext

from instances import errors
from instances.models import Instance
from instances.provisioning.status.audience import (
    Audience,
    audiences_for,
    message_for_account_owner,
)
from instances.provisioning.status.explain import explain
from tests.support.factories import make_account, make_instance, make_organization_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def instance():
    return make_instance()


def failed(instance, cause):
    instance.state = Instance.State.FAILED
    instance.cause, instance.cause_message = cause, "It was refused."
    return instance


def test_the_role_in_the_instances_own_organization_counts(person, instance):
    elsewhere = make_organization_user().organization
    operator = person("operator", of=instance.organization, name="here")
    owner = person("staff")
    instance.organization_user.account = owner.account
    readers = {
        operator.account: Audience.OPERATOR,
        owner.account: Audience.STAFF,
        person("operator", of=elsewhere, name="elsewhere").account: Audience.VIEWER,
        person("viewer", of=instance.organization).account: Audience.VIEWER,
        make_account("root", is_superuser=True): Audience.OPERATOR,
        AnonymousUser(): Audience.VIEWER,
    }
    assert {account: audiences_for(account)(instance) for account in readers} == readers


def test_any_number_of_instances_costs_one_reader_as_much_as_one(person, instance):
    account = person("operator", of=instance.organization).account
    rows = [instance, make_instance(), make_instance()]
    account.has_perm("instances.view_instance")
    with CaptureQueriesContext(connection) as queries:
        audience_of = audiences_for(account)
        for one in rows:
            audience_of(one)
    assert len(queries) == 1


@pytest.mark.parametrize(
    ("cause", "audience", "who", "advice"),
    [
        ("ClientRefusedError", "operator", "you", "Correct the OAuth app"),
        ("ClientRefusedError", "staff", "an operator", "What an operator can do: Correct"),
        ("ClientRefusedError", "viewer", "its owner, or an operator", "What they can do: Correct"),
        ("MissingConfigurationError", "staff", "you", "Enter what is missing"),
        (
            "CredentialsRefusedError",
            "staff",
            "the account's holder, or you if",
            "Ask the account's",
        ),
        ("CredentialsRefusedError", "operator", "the account's holder.", "Ask the account's"),
        ("ProviderFaultError", "staff", "the provider", "This may pass"),
    ],
)
def test_nobody_is_told_to_ask_themselves(instance, cause, audience, who, advice):
    explanation = explain(failed(instance, cause), Audience(audience))
    assert explanation.who.startswith(f"Who must act: {who}")
    assert explanation.advice.startswith(advice)


def test_what_goes_on_by_itself_needs_nobody(instance):
    instance.state = Instance.State.UNKNOWN
    assert {explain(instance, audience).who for audience in Audience} == {
        "Nobody has to act: it goes on by itself."
    }


@pytest.mark.parametrize(
    "error",
    [
        value
        for value in vars(errors).values()
        if inspect.isclass(value) and issubclass(value, errors.PlatformError)
    ],
)
def test_an_accounts_holder_is_told_nothing_of_what_is_behind(error):
    told = message_for_account_owner(error("Acme (keyed, id 7): exchange was refused (400)."))
    assert told.endswith(".")
    for inner in ("id 7", "exchange", "OAuth app", "operator", "PROVIDER_ALLOWED"):
        assert inner not in told
