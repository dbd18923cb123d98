"""Instances keep the endpoints that they were authorized with, when a file with other defaults is loaded."""

import pytest
from django.core.management import call_command

from instances.models import Instance
from instances.provisioning.lifecycle.refresh import refresh_instance
from instances.provisioning.lifecycle.states import State, move_instance
from tests.support.connected import make_connected, token_requests
from tests.support.factories import make_instance, make_organization, make_organization_user
from tests.support.provider import Provider

pytestmark = pytest.mark.django_db

OAUTH = {"configuration": {}, "authentication_type": "oauth2"}

NEW_DEFAULTS = """
key = "granted"
id = 900003
name = "Granted"
hub = "crm"
description = "An element of the loopback provider, by its new endpoints."

[[authentication]]
type = "oauth2"
grant_type = "authorization_code"
authorization_endpoint = "{url}/v2/authorize"
token_endpoint = "{url}/v2/token"

[[authentication.fields]]
key = "oauth.api.key"
label = "Client id"
required = true
secret = true

[[authentication.fields]]
key = "oauth.api.secret"
label = "Client secret"
required = true
secret = true

[[authentication.fields]]
key = "oauth.callback.url"
label = "Callback"

[authentication.probe]
url = "{url}/probe"
scheme = "bearer"

[[authentication.variants]]
name = "v2-of-one-tenant"
token_endpoint = "{url}/one/token"

[[authentication.variants]]
name = "v1"
was_default = true
authorization_endpoint = "{url}/authorize"
token_endpoint = "{url}/token"
"""


@pytest.fixture
def provider(settings):
    with Provider() as provider:
        settings.PROVIDER_ALLOWED_PRIVATE_HOSTS = [provider.netloc]
        yield provider


@pytest.fixture
def load(provider, tmp_path):
    def load(name="Granted"):
        path = tmp_path / "granted.toml"
        path.write_text(NEW_DEFAULTS.replace("{url}", provider.url).replace("Granted", name))
        call_command("sync_elements", path)

    return load


def variant_of(instance):
    return Instance.objects.get(pk=instance.pk).configuration.get("authentication.variant")


def fail(instance):
    for before, after in ((State.DRAFT, State.PROVISIONING), (State.PROVISIONING, State.FAILED)):
        move_instance(instance, after, expect={before}, actor="test", why="For the test.")


def test_a_connected_instance_is_refreshed_where_it_was_authorized(provider, load):
    instance = make_connected(provider)
    load()
    assert variant_of(instance) == "v1"
    refresh_instance(Instance.objects.get(pk=instance.pk), actor="test")
    assert token_requests(provider)[-1].path == "/token"


def test_an_instance_of_later_uses_the_new_defaults_also_after_another_load(provider, load):
    make_connected(provider)
    load()
    element = Instance.objects.get().element
    later = make_instance(element=element, is_incomplete=True, **OAUTH)
    fail(later)
    load(name="Granted by another name")
    assert variant_of(later) is None
    assert Instance.objects.get(pk=later.pk).authentication.token_endpoint.endswith("/v2/token")


def test_what_has_its_own_endpoints_is_left_as_it_is(provider, load):
    """A draft was authorized nowhere, and a remote platform sends the requests itself."""
    element = make_connected(provider).element
    draft = make_instance(element=element, is_incomplete=True, **OAUTH)
    chosen = make_connected(provider)
    own = chosen.configuration | {"authentication.variant": "v2-of-one-tenant"}
    Instance.objects.filter(pk=chosen.pk).update(configuration=own)
    remote = make_instance(
        element=element,
        is_incomplete=True,
        **OAUTH,
        organization_user=make_organization_user(
            organization=make_organization(platform_url="https://platform.example")
        ),
    )
    fail(remote)
    load()
    found = [variant_of(one) for one in (draft, chosen, remote)]
    assert found == [None, "v2-of-one-tenant", None]


def test_more_instances_than_one_batch_are_named(provider, load, monkeypatch):
    monkeypatch.setattr("instances.provisioning.former_defaults.BATCH_ROWS", 2)
    made = [make_connected(provider) for _ in range(5)]
    load()
    assert {variant_of(one) for one in made} == {"v1"}
