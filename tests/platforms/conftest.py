"""Drafts against the loopback provider, as provisioning would hand them to a platform."""

import pytest

from instances.models import Interaction, Organization, OrganizationUser
from instances.platforms.base import PlatformRequest
from instances.platforms.transport import Subject, exchange
from instances.provisioning.platform_requests import platform_request
from tests.support.factories import make_element, make_instance, make_organization
from tests.support.provider import CLIENT_ID, CLIENT_SECRET, ORGANIZATION_SECRET, USER_SECRET

CLIENT = {"oauth.api.key": CLIENT_ID, "oauth.api.secret": CLIENT_SECRET}
CLIENT_FIELDS = [
    {"key": "oauth.api.key", "label": "Client ID", "required": True, "secret": True},
    {"key": "oauth.api.secret", "label": "Client secret", "required": True, "secret": True},
]
CALLBACK_FIELD = {"key": "oauth.callback.url", "label": "Callback URL", "required": True}
CALLBACK_URL = "https://instances.example/oauth/callback"
SECRET = "s3cret/of+the account&é"


@pytest.fixture
def subject(db):
    return Subject(
        organization_id=make_organization().pk,
        instance_id=None,
        label="Acme (loopback)",
        operation="check",
        actor="ada",
        secrets=frozenset({SECRET}),
    )


@pytest.fixture
def quick(settings):
    settings.HTTP_TIMEOUT_SECONDS = 0.5


def failure_of(subject, url, kind, *, method="POST", **sent):
    """The error that an exchange ends in, after checking that it is told, recorded once, and holds no secret."""
    with pytest.raises(kind) as caught:
        exchange(subject, method, url, **sent)
    error = caught.value
    assert type(error) is kind
    assert str(error).startswith("Acme (loopback): ")
    interaction = Interaction.objects.get()
    assert interaction.pk == error.interaction_id
    assert SECRET not in f"{error!r} {error} {vars(interaction)}"
    return error


@pytest.fixture
def remote(db, provider) -> OrganizationUser:
    """A user of an organization whose platform is the provider's."""
    organization: Organization = make_organization(
        platform_url=provider.url, secret=ORGANIZATION_SECRET
    )
    user = OrganizationUser(organization=organization, email="ada@example.com")
    user.secret = USER_SECRET
    user.save()
    return user


@pytest.fixture
def make_draft(db):
    """A draft of an element with one way of authentication: make_draft(way, configuration, **of the draft)."""

    def make(way, configuration, *, owner=None, **fields) -> PlatformRequest:
        definition = {
            "key": "loopback",
            "id": 900100,
            "name": "Loopback",
            "hub": "crm",
            "description": "The provider on the loopback.",
            "authentication": way if isinstance(way, list) else [way],
        }
        more = {"organization_user": owner} if owner else {}
        instance = make_instance(
            element=make_element(definition), configuration=configuration, name="Acme", **more
        )
        return platform_request(instance, actor="ada", **fields)

    return make


@pytest.fixture
def basic_way(provider):
    return {
        "type": "basic",
        "fields": [
            {"key": "username", "label": "User", "required": True},
            {"key": "password", "label": "Password", "required": True, "secret": True},
        ],
        "probe": {
            "url": f"{provider.url}/probe",
            "scheme": "basic",
            "username": "{username}",
            "password": "{password}",
        },
    }


@pytest.fixture
def code_way(provider):
    return {
        "type": "oauth2",
        "grant_type": "authorization_code",
        "authorization_endpoint": f"{provider.url}/authorize",
        "token_endpoint": f"{provider.url}/token",
        "revocation_endpoint": f"{provider.url}/revoke",
        "scopes": ["read", "write"],
        "provider_data": ["code", "realmId"],
        "fields": [*CLIENT_FIELDS, CALLBACK_FIELD],
        "probe": {"url": f"{provider.url}/probe", "scheme": "bearer"},
    }
