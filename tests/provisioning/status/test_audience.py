"""Explanations fit their audience: what it can do itself, and whom it must ask."""

import inspect

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import connection
from django.test.utils import CaptureQueriesContext

from instances import errors
from instances.causes import Audience, Cause
from instances.models import Instance
from instances.provisioning.status.audience import (
    audiences_for,
    message_for_account_owner,
)
from instances.provisioning.status.explain import explain
from tests.support.factories import make_instance, make_organization_user, make_user

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
    instance.organization_user.user = owner.user
    readers = {
        operator.user: Audience.OPERATOR,
        owner.user: Audience.STAFF,
        person("operator", of=elsewhere, name="elsewhere").user: Audience.VIEWER,
        person("viewer", of=instance.organization).user: Audience.VIEWER,
        make_user("root", is_superuser=True): Audience.OPERATOR,
        AnonymousUser(): Audience.VIEWER,
    }
    assert {user: audiences_for(user)(instance) for user in readers} == readers


def test_the_audience_of_any_number_of_instances_takes_one_query(person, instance):
    user = person("operator", of=instance.organization).user
    rows = [instance, make_instance(), make_instance()]
    user.has_perm("instances.view_instance")
    with CaptureQueriesContext(connection) as queries:
        audience_of = audiences_for(user)
        for one in rows:
            audience_of(one)
    assert len(queries) == 1


@pytest.mark.parametrize(
    ("cause", "audience", "who"),
    [
        (Cause.CLIENT_REJECTED, "operator", "Operator must act."),
        (Cause.CLIENT_REJECTED, "staff", "Operator must act."),
        (Cause.CLIENT_REJECTED, "viewer", "Operator must act."),
        (Cause.CONFIGURATION_WRONG, "staff", "You can fix this."),
        (Cause.CONFIGURATION_WRONG, "viewer", "Owner or operator must act."),
        (
            Cause.CREDENTIALS_REJECTED,
            "staff",
            "Account owner must act. If the account is yours, that is you.",
        ),
        (Cause.CREDENTIALS_REJECTED, "operator", "Account owner must act."),
        (Cause.PROVIDER_DOWN, "staff", "You can fix this."),
    ],
)
def test_each_audience_reads_who_must_act(instance, cause, audience, who):
    assert explain(failed(instance, cause), Audience(audience)).who == who


def test_what_is_retried_automatically_needs_no_action(instance):
    instance.state = Instance.State.UNKNOWN
    assert {explain(instance, audience).who for audience in Audience} == {"No action needed."}


@pytest.mark.parametrize(
    "error",
    [
        value
        for value in vars(errors).values()
        if inspect.isclass(value) and issubclass(value, errors.PlatformError)
    ],
)
def test_an_account_owner_is_told_no_internals(error):
    told = message_for_account_owner(error("Acme (keyed, id 7): exchange was refused (400)."))
    assert told.endswith(".")
    for inner in ("id 7", "exchange", "OAuth app", "operator", "PROVIDER_ALLOWED"):
        assert inner not in told
