"""Every broken instance explains itself: a cause, who must act, what to do, and a step that is possible."""

import inspect
import itertools
from datetime import timedelta

import pytest
from django.utils import timezone

from instances import errors
from instances.models import Element, Instance
from instances.provisioning.status.audience import Audience
from instances.provisioning.status.explain import explain, is_offered
from tests.conftest import shipped
from tests.support.factories import make_account, make_instance, make_interaction

State = Instance.State
CAUSES = [
    "",
    *sorted(
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, errors.InstancesError)
    ),
]
WITH_TOKEN = {State.CONNECTED, State.NEEDS_REAUTHORIZATION, State.DELETING}

pytestmark = pytest.mark.django_db


@pytest.fixture(params=["apiKey", "oauth2"])
def draft(request):
    if request.param == "apiKey":
        return make_instance()
    return make_instance(
        element=shipped("dynamicscrmadfs"),
        authentication_type="oauth2",
        configuration={
            "oauth.callback.url": "https://app.example/callback",
            "oauth.api.key": "client",
            "oauth.api.secret": "client-secret",
            "dynamics.tenant": "yourcompanyname.crm.dynamics.com",
        },
    )


def broken(instance, state, cause, **columns):
    """As it is read from the database in that state."""
    instance.state = state
    instance.token = "element-token" if state in WITH_TOKEN else ""
    instance.cause, instance.cause_message = cause, f"{cause} happened." if cause else ""
    for name, value in columns.items():
        setattr(instance, name, value)
    return instance


def test_every_state_and_cause_has_a_sentence_and_a_step_that_is_offered(draft):
    is_browser = draft.authentication_type == "oauth2"
    states = [one for one in State if is_browser or one != State.AWAITING_AUTHORIZATION]
    for state, cause in itertools.product(states, CAUSES):
        row = broken(draft, state, cause)
        explanation = explain(row)
        if (state, cause) == (State.CONNECTED, ""):
            assert explanation is None
            continue
        assert explanation.cause.endswith("."), (state, cause)
        assert explanation.advice.endswith("."), (state, cause)
        assert explanation.responsible in errors.Responsible
        assert is_offered(explanation.step, row), (state, cause, explanation.step)


@pytest.mark.parametrize("state", [State.FAILED, State.NEEDS_REAUTHORIZATION, State.CONNECTED])
def test_the_recorded_exchange_and_its_sentence_are_shown(draft, state):
    exchange = make_interaction(instance=draft)
    row = broken(draft, state, "ClientRefusedError", cause_interaction=exchange)
    explanation = explain(row)
    assert explanation.cause == "ClientRefusedError happened."
    assert explanation.interaction == exchange
    assert explanation.advice.startswith("Correct the OAuth app")


def test_an_attempt_that_is_under_way_is_not_explained_by_the_one_before(draft):
    explanation = explain(broken(draft, State.PROVISIONING, "RefusedError"))
    assert "RefusedError" not in explanation.cause
    assert explanation.responsible == "program"


def test_a_connected_instance_says_whether_it_still_works(draft):
    now = timezone.now()
    row = broken(draft, State.CONNECTED, "ProviderFaultError")
    assert "still works" in explain(row).advice
    row.expires_at = now - timedelta(minutes=1)
    assert "has run out" in explain(row).advice
    row.refresh_started_at = now
    assert "not known" in explain(row).advice


def test_a_disabled_instance_says_so_instead(draft):
    row = broken(draft, State.CONNECTED, "ProviderFaultError", is_disabled=True)
    assert (explain(row).step, explain(row).cause) == ("enable", "It is connected, and disabled.")


def test_an_instance_whose_element_lost_its_way_of_authentication_is_explained_too(draft):
    definition = draft.element.definition
    others = [one for one in definition["authentication"] if one["type"] != "oauth2"]
    other = others[0] | {"type": "basic"}
    Element.objects.filter(pk=draft.element_id).update(
        definition=definition | {"authentication": [other]}, updated_at=timezone.now()
    )
    row = broken(Instance.objects.get(), State.FAILED, "InvalidConfigurationError")
    assert explain(row).step == "reauthenticate"


@pytest.mark.parametrize("state", [State.DRAFT, State.FAILED, State.NEEDS_REAUTHORIZATION])
def test_while_a_link_is_open_it_waits_for_the_accounts_holder(draft, state):
    draft.links.create(
        made_by=make_account("mina", is_superuser=True),
        token_digest="digest",
        expires_at=timezone.now() + timedelta(days=1),
    )
    row = broken(draft, state, "")
    told = explain(row)
    assert told.responsible == "account holder"
    assert told.who == "Who must act: the account's holder."
    assert "the link that was made for them" in told.advice
    assert is_offered(told.step, row)
    assert "What they can do: Use the link" in explain(row, Audience.VIEWER).advice
    if state != State.DRAFT:
        # No link helps against that.
        assert "Correct the OAuth app" in explain(broken(draft, state, "ClientRefusedError")).advice
    draft.links.update(expires_at=timezone.now())
    assert "link that was made" not in explain(broken(draft, state, "")).advice
