"""Every unhealthy instance has an explanation and a possible step."""

import inspect
import itertools
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from instances import errors
from instances.causes import Audience, Cause, WhoActs
from instances.models import Element, Instance
from instances.provisioning.status.audience import message_for_account_owner
from instances.provisioning.status.explain import explain, explain_many
from tests.conftest import shipped
from tests.support.factories import make_instance, make_interaction, make_user

State = Instance.State
CAUSES = ["", *Cause.values]
WITHOUT_CAUSE = {State.DRAFT, State.AWAITING_AUTHORIZATION, State.PROVISIONING}
WITH_TOKEN = {State.CONNECTED, State.NEEDS_REAUTHORIZATION, State.DELETING}
# Every explanation in one file, so that a change of wording shows in its diff. Update it with
# UPDATE_GOLDEN=1 pytest tests/provisioning/status/test_explain.py, then read the diff aloud.
GOLDEN = Path(__file__).parent / "explanations.txt"


def made(kind):
    """Make an error without calling its constructor."""
    error = kind.__new__(kind)
    Exception.__init__(error, "The error's own message.")
    return error


LINK_ERRORS = [
    made(kind)
    for kind in [*vars(errors.authorizations).values(), *vars(errors.platforms).values()]
    if inspect.isclass(kind) and issubclass(kind, errors.PlatformError | errors.AuthorizationError)
]
READERS = [Audience.OPERATOR, Audience.STAFF, Audience.VIEWER]

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
    """Return the instance as if it had been read in this state."""
    instance.state = state
    instance.token = "element-token" if state in WITH_TOKEN else ""
    instance.cause, instance.cause_message = cause, "The recorded message." if cause else ""
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
        assert explanation.who_acts in WhoActs
        assert explanation.action.is_offered(row), (state, cause, explanation.action.name)


def written(instance):
    """Return one line for each state, cause and audience."""
    lines = []
    for state, cause in itertools.product(State, CAUSES):
        if (cause and state in WITHOUT_CAUSE) or (state, cause) == (State.CONNECTED, ""):
            continue
        lines.append(f"== {state} · {cause or 'no cause'}")
        row = broken(instance, state, cause)
        for audience in READERS:
            one = explain(row, audience)
            shown = f"{one.cause} | {one.who} | {one.advice} | {one.action.name} | {one.detail}"
            lines.append(f"{audience}: {shown}")
        headline, who, advice = explain_many(state, cause)
        lines.append(f"many: {headline} | {who} | {advice}")
    lines += [
        f"== on a link page · {one.cause}: {message_for_account_owner(one)}" for one in LINK_ERRORS
    ]
    return "\n".join(lines) + "\n"


def test_every_explanation_is_as_reviewed(monkeypatch):
    now = datetime(2026, 11, 27, 14, 0, tzinfo=UTC)
    monkeypatch.setattr("django.utils.timezone.now", lambda: now)
    instance = make_instance()
    instance.expires_at = now + timedelta(minutes=5)
    instance.refresh_due_at = now + timedelta(minutes=2)
    found = written(instance)
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(found)
    assert found == GOLDEN.read_text()


@pytest.mark.parametrize("state", [State.FAILED, State.NEEDS_REAUTHORIZATION, State.CONNECTED])
def test_the_recorded_exchange_and_its_message_are_shown(draft, state):
    exchange = make_interaction(instance=draft)
    row = broken(draft, state, Cause.CLIENT_REJECTED, cause_interaction=exchange)
    explanation = explain(row)
    assert explanation.cause.startswith(f"{draft.element.name} rejected the OAuth app")
    assert explanation.detail == "The recorded message."
    assert explanation.interaction == exchange


def test_an_attempt_in_progress_is_not_explained_by_the_one_before(draft):
    explanation = explain(broken(draft, State.PROVISIONING, Cause.REFUSED))
    assert explanation.detail == ""
    assert explanation.who_acts == WhoActs.NOBODY


def test_a_connected_instance_says_how_long_its_access_token_works(draft):
    now = timezone.now()
    row = broken(draft, State.CONNECTED, Cause.PROVIDER_DOWN, expires_at=now + timedelta(minutes=5))
    assert "access token is valid until" in explain(row).advice
    row.expires_at = now - timedelta(minutes=1)
    assert "access token expired at" in explain(row).advice
    row.refresh_started_at = now
    assert "not known whether its tokens were refreshed" in explain(row).advice


def test_a_disabled_instance_says_so_instead(draft):
    row = broken(draft, State.CONNECTED, Cause.PROVIDER_DOWN, is_disabled=True)
    assert (explain(row).action.name, explain(row).cause) == ("enable", "It is disabled.")


def test_an_instance_whose_element_lost_its_way_of_authentication_is_explained_too(draft):
    definition = draft.element.definition
    others = [one for one in definition["authentication"] if one["type"] != "oauth2"]
    other = others[0] | {"type": "basic"}
    Element.objects.filter(pk=draft.element_id).update(
        definition=definition | {"authentication": [other]}, updated_at=timezone.now()
    )
    row = broken(Instance.objects.get(), State.FAILED, Cause.CONFIGURATION_WRONG)
    assert explain(row).action.name == "reauthenticate"


@pytest.mark.parametrize("cause", ["", "code_of_another_version"])
def test_a_cause_that_this_version_does_not_know_is_explained_too(draft, cause):
    assert explain(broken(draft, State.FAILED, cause)).cause.endswith(".")


@pytest.mark.parametrize("state", [State.DRAFT, State.FAILED, State.NEEDS_REAUTHORIZATION])
def test_while_a_link_is_open_it_waits_for_the_account_owner(draft, state):
    draft.links.create(
        made_by=make_user("mina", is_superuser=True),
        token_digest="digest",
        expires_at=timezone.now() + timedelta(days=1),
    )
    row = broken(draft, state, "")
    explanation = explain(row)
    assert explanation.who == "Account owner must act."
    assert "until the account owner uses the link" in explanation.advice
    assert explanation.action.is_offered(row)
    assert "connect it yourself" not in explain(row, Audience.VIEWER).advice
    if state != State.DRAFT:
        # A link cannot fix this.
        assert "OAuth app" in explain(broken(draft, state, Cause.CLIENT_REJECTED)).advice
    draft.links.update(expires_at=timezone.now())
    assert "uses the link" not in explain(broken(draft, state, "")).advice
