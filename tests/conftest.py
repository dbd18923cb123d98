"""Fixtures: providers that really listen, elements of the shipped catalogue, and people by their role."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import hypothesis
import pytest
from django.contrib.auth.models import Group, User
from django.core.cache import cache
from django.test import Client

from instances.catalogue.loading import SHIPPED_FOLDER, load_element
from instances.models import Element, Organization, OrganizationUser
from instances.provisioning.access.organizations import create_account
from tests.support.factories import make_member, make_user
from tests.support.oauth1_provider import OAuth1Provider
from tests.support.provider import Provider

# Many tests wait for a process, a timeout or a browser, so that one worker a core leaves half of the cores idle.
WORKERS_PER_CORE = 2


def pytest_xdist_auto_num_workers() -> int:
    return WORKERS_PER_CORE * (os.cpu_count() or 1)


# Tests do not time.
hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.load_profile("tests")


def shipped(key: str) -> Element:
    """One element of the shipped catalogue, in the database."""
    definition = load_element(SHIPPED_FOLDER / f"{key}.toml")
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


@pytest.fixture(autouse=True)
def _nothing_is_counted():
    """The failed sign-ins and calls of other tests, which all come from one address."""
    cache.clear()


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


@dataclass(frozen=True)
class Person:
    user: User
    browser: Client


@pytest.fixture
def person(db) -> Callable[..., Person]:
    """person("staff"), or person("operator", of=organization): an account of that group, signed in."""

    def person(group: str, *, of: Organization | None = None, name: str = "") -> Person:
        user = make_user(name or group)
        user.is_staff = False
        user.save()
        user.groups.add(Group.objects.get(name=group))
        if of:
            make_member(user, of, group)
        browser = Client()
        browser.force_login(user)
        return Person(user, browser)

    return person


@pytest.fixture
def staff(person: Callable[..., Person], sandbox: OrganizationUser) -> Person:
    """Whose own organization user is the one that may reach the sandbox."""
    found: Person = person("staff", name="mina")
    sandbox.user = found.user
    sandbox.save()
    return found
