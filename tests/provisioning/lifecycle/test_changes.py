"""Calls on an instance that another call deletes or changes first."""

import pytest

from instances.errors import InstancesError, InvalidConfigurationError, StateConflictError
from instances.models import Authorization, Instance, Interaction
from instances.provisioning.access.handover import hand_over_instance
from instances.provisioning.create import parse_body
from instances.provisioning.lifecycle.check import check_instance
from instances.provisioning.lifecycle.delete import delete_instance
from instances.provisioning.lifecycle.provision import provision_instance
from instances.provisioning.lifecycle.reauthenticate import reauthenticate_instance
from instances.provisioning.lifecycle.refresh import refresh_instance
from instances.provisioning.lifecycle.states import State, move_instance
from instances.provisioning.lifecycle.switches import set_enabled, set_trace_logging
from instances.provisioning.oauth.authorize import begin_authorization, new_browser_secret
from instances.provisioning.oauth.callback import complete_authorization
from instances.provisioning.oauth.links import make_link
from instances.provisioning.update import rename_instance, update_instance
from tests.support.connected import make_connected, oauth_definition
from tests.support.factories import (
    make_element,
    make_instance,
    make_organization_user,
    make_user,
)
from tests.support.provider import API_KEY

pytestmark = pytest.mark.django_db(transaction=True)

BROWSER = new_browser_secret()


def superuser():
    return make_user("root", is_superuser=True)


def hand_over(instance):
    to = make_organization_user(organization=instance.organization)
    hand_over_instance(instance, to, user=superuser(), why="left")


VERBS = {
    "rename": lambda one: rename_instance(one, actor="test", name="Other", tags=["a"]),
    "change": lambda one: update_instance(
        one, parse_body({"configuration": {"my.note": "hi"}}), actor="test"
    ),
    "disable": lambda one: set_enabled(one, is_enabled=False, actor="test"),
    "trace": lambda one: set_trace_logging(one, is_on=True),
    "check": lambda one: check_instance(one, actor="test"),
    "refresh": lambda one: refresh_instance(one, actor="test"),
    "authorize": lambda one: begin_authorization(one, user=superuser(), browser_secret=BROWSER),
    "delete": lambda one: delete_instance(one, actor="test"),
    "hand over": hand_over,
    "make a link": lambda one: make_link(one, user=superuser()),
}


@pytest.mark.parametrize("verb", VERBS)
def test_an_action_on_a_deleted_instance_says_so(provider, verb):
    instance = make_connected(provider)
    Instance.objects.get().delete()
    with pytest.raises(InstancesError) as caught:
        VERBS[verb](instance)
    assert instance.name in str(caught.value)
    assert not Instance.objects.exists()


@pytest.mark.parametrize("verb", ["rename", "change", "disable", "trace", "make a link"])
def test_an_instance_that_is_being_deleted_cannot_be_changed(provider, verb):
    instance = make_connected(provider)
    stale = Instance.objects.get()
    why = "Deletion started."
    move_instance(instance, State.DELETING, expect={State.CONNECTED}, actor="test", why=why)
    with pytest.raises(StateConflictError, match="deleted in the meantime"):
        VERBS[verb](stale)
    current = Instance.objects.get()
    assert (current.name, current.is_disabled, current.is_trace_logging) == (
        "Granted",
        False,
        False,
    )
    assert not current.links.exists()


def test_a_deleted_draft_is_not_provisioned():
    draft = make_instance()
    Instance.objects.get().delete()
    with pytest.raises(StateConflictError, match="deleted in the meantime"):
        provision_instance(draft, actor="test")


def test_a_callback_whose_instance_is_deleted_meanwhile_is_recorded(provider, monkeypatch):
    instance = make_connected(provider)
    user = superuser()
    begun = begin_authorization(instance, user=user, browser_secret=BROWSER)
    back = provider.authorize(begun.url)
    claim = type(Authorization.objects).claim

    def claim_then_delete(self, authorization, **arguments):
        claimed = claim(self, authorization, **arguments)
        Instance.objects.get().delete()
        return claimed

    monkeypatch.setattr(type(Authorization.objects), "claim", claim_then_delete)
    with pytest.raises(StateConflictError, match="deleted in the meantime"):
        complete_authorization(back, user=user, browser_secret=BROWSER)
    assert Interaction.objects.filter(operation="OAuth callback", instance=None).count() == 1


def test_a_draft_is_provisioned_with_the_configuration_that_is_stored():
    mine, yours = make_instance(), Instance.objects.get()
    reauthenticated = Instance.objects.get()
    rename_instance(yours, actor="test", name="Other")
    update_instance(
        yours,
        parse_body({"configuration": {"site": "elsewhere"}}),
        actor="test",
        is_reauthenticating=False,
    )
    with pytest.raises(StateConflictError, match="another call has changed its configuration"):
        provision_instance(mine, actor="test")
    assert Instance.objects.get().state == "draft"
    reauthenticate_instance(reauthenticated, actor="test", configuration={"api.key": "new"})
    connected = Instance.objects.get()
    assert connected.full_configuration() == {"api.key": "new", "site": "elsewhere"}
    assert connected.name == "Other"


def test_an_instance_cannot_be_changed_while_another_call_provisions_it():
    stale = make_instance()
    provision_instance(Instance.objects.get(), actor="test")
    with pytest.raises(StateConflictError, match="in the state “connected”"):
        reauthenticate_instance(stale, actor="test", configuration={"api.key": "unproved"})
    assert Instance.objects.get().full_configuration()["api.key"] == "k3y-of-the-account"


def varied(url):
    """An element with a variant chosen by name and one chosen by a key."""
    headers = {"X-Api-Key": "{api.key}"}

    def probe(path):
        return {"url": f"{url}{path}", "scheme": "headers", "headers": headers}

    fields = [
        {"key": "api.key", "label": "API key", "required": True, "secret": True},
        {"key": "is.sandbox", "label": "Sandbox", "type": "boolean"},
    ]
    return {
        "key": "varied",
        "id": 900021,
        "name": "Varied",
        "hub": "crm",
        "description": "An element with variants.",
        "authentication": [
            {
                "type": "apiKey",
                "fields": fields,
                "probe": probe("/probe"),
                "variants": [
                    {"name": "europe", "probe": probe("/europe")},
                    {"name": "sandbox", "chosen_by": "is.sandbox", "probe": probe("/sandbox")},
                ],
            }
        ],
    }


@pytest.fixture
def varying(provider):
    """A connected instance of that element, and a provider that accepts its variants."""
    obedient = provider.answer
    is_good = {"/europe": 401, "/sandbox": 401}

    def answer(request):
        if request.path in is_good:
            return is_good[request.path], {}
        return obedient(request)

    provider.answer = answer
    element = make_element(varied(provider.url))
    instance = make_instance(element=element, configuration={"api.key": API_KEY})
    return provision_instance(instance, actor="test"), is_good


@pytest.mark.parametrize(
    ("change", "path"),
    [({"authentication.variant": "europe"}, "/europe"), ({"is.sandbox": True}, "/sandbox")],
)
def test_another_variant_is_verified_at_its_own_endpoints(provider, varying, change, path):
    instance, answers = varying
    before = instance.full_configuration()
    body = parse_body({"configuration": change})
    with pytest.raises(InstancesError):
        update_instance(instance, body, actor="test")
    assert provider.last.path == path
    assert Instance.objects.get().full_configuration() == before
    answers[path] = 200
    update_instance(Instance.objects.get(), body, actor="test")
    check_instance(Instance.objects.get(), actor="test")
    assert [one.path for one in provider.requests[-2:]] == [path, path]


@pytest.mark.parametrize("is_reauthenticating", [True, False])
def test_an_unknown_variant_is_rejected(provider, varying, is_reauthenticating):
    instance, _ = varying
    asked = len(provider.requests)
    with pytest.raises(InvalidConfigurationError, match="must be one of: europe, sandbox"):
        update_instance(
            instance,
            parse_body({"configuration": {"authentication.variant": "mars"}}),
            actor="test",
            is_reauthenticating=is_reauthenticating,
        )
    assert len(provider.requests) == asked
    assert Instance.objects.get().full_configuration() == {"api.key": API_KEY}


def test_an_authorization_that_switches_the_variant_uses_its_endpoints(provider):
    instance = make_connected(provider)
    definition = oauth_definition(provider.url)
    [way] = definition["authentication"]
    way["variants"] = [
        {
            "name": "tenant",
            "authorization_endpoint": f"{provider.url}/tenant/authorize",
            "token_endpoint": f"{provider.url}/tenant/token",
        }
    ]
    make_element(definition)
    instance, user = Instance.objects.get(), superuser()
    begun = begin_authorization(
        instance,
        user=user,
        browser_secret=BROWSER,
        configuration={"authentication.variant": "tenant"},
    )
    assert begun.url.startswith(f"{provider.url}/tenant/authorize?")
    assert "authentication.variant" not in Instance.objects.get().configuration
    obedient = provider.answer
    provider.answer = lambda request: obedient(
        type(request)(**request.__dict__ | {"path": request.path.removeprefix("/tenant")})
    )
    complete_authorization(provider.authorize(begun.url), user=user, browser_secret=BROWSER)
    assert "/tenant/token" in {one.path for one in provider.requests}
    assert Instance.objects.get().configuration["authentication.variant"] == "tenant"
