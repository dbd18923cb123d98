"""Fixtures: the sandbox as a provider that really listens, and elements of the shipped catalogue."""

from urllib.parse import urlsplit

import pytest

from instances.catalogue.loading import shipped_elements
from instances.models import Element
from instances.provisioning.organizations import create_account
from tests.oauth1_provider import OAuth1Provider
from tests.provider import Provider


def shipped(key: str) -> Element:
    """One element of the shipped catalogue, in the database."""
    definition = next(one for one in shipped_elements() if one.key == key)
    return Element.objects.get_or_create(
        id=definition.id,
        defaults={
            "key": definition.key,
            "name": definition.name,
            "hub": definition.hub,
            "source": Element.Source.SHIPPED,
            "definition": definition.model_dump(mode="json", exclude_defaults=True),
        },
    )[0]


@pytest.fixture
def dynamics(db):
    return shipped("dynamicscrmadfs")


@pytest.fixture
def sandbox(live_server, settings, dynamics):
    """This program's own sandbox, listening; gives the organization user that may reach it."""
    settings.PUBLIC_URL = live_server.url
    settings.PROVIDER_ALLOWED_PRIVATE_HOSTS = [urlsplit(live_server.url).netloc]
    return create_account("Demo", "demo@example.com", is_sandbox=True).user


@pytest.fixture
def provider(settings):
    """A provider, and a remote platform, on the loopback; the guard lets it through."""
    with Provider() as provider:
        settings.PROVIDER_ALLOWED_PRIVATE_HOSTS = [provider.netloc]
        yield provider


@pytest.fixture
def oauth1_provider(settings):
    """A provider of OAuth 1.0a on the loopback."""
    with OAuth1Provider() as provider:
        settings.PROVIDER_ALLOWED_PRIVATE_HOSTS = [provider.netloc]
        yield provider
