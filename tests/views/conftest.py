"""Who sits before self-service: people by their role, each in a browser of their own."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from instances.models import Organization, OrganizationUser
from tests.factories import make_account, make_member


@dataclass(frozen=True)
class Person:
    account: User
    browser: Client


@pytest.fixture
def person(db) -> Callable[..., Person]:
    """person("staff"), or person("operator", of=organization): an account of that group, signed in."""

    def person(group: str, *, of: Organization | None = None, name: str = "") -> Person:
        account = make_account(name or group)
        account.is_staff = False
        account.save()
        account.groups.add(Group.objects.get(name=group))
        if of:
            make_member(account, of, group)
        browser = Client()
        browser.force_login(account)
        return Person(account, browser)

    return person


@pytest.fixture
def staff(person: Callable[..., Person], sandbox: OrganizationUser) -> Person:
    """Whose own organization user is the one that may reach the sandbox."""
    found: Person = person("staff", name="mina")
    sandbox.account = found.account
    sandbox.save()
    return found
