"""Users of the admin: an operator who may do everything, and users with fewer permissions."""

import pytest
from django.test import Client

from instances.models import Organization
from tests.support.factories import (
    make_element,
    make_member,
    make_organization,
    make_organization_user,
    make_user,
)
from tests.support.provider import ORGANIZATION_SECRET, USER_SECRET


@pytest.fixture
def operator(db):
    """A browser signed in as a superuser."""
    client = Client()
    client.force_login(make_user("operator", is_superuser=True))
    return client


@pytest.fixture
def sign_in(db):
    """A browser of an operator of all organizations, with only the named permissions."""

    def sign_in(*permissions: str) -> Client:
        client = Client()
        user = make_user("somebody", permissions=permissions)
        for organization in Organization.objects.all():
            make_member(user, organization)
        client.force_login(user)
        return client

    return sign_in


@pytest.fixture
def user(provider):
    """A user of an organization whose remote platform is the provider's; there is an element to provision."""
    make_element()
    organization = make_organization(
        name="Remote", platform_url=provider.url, secret=ORGANIZATION_SECRET
    )
    return make_organization_user(organization=organization, secret=USER_SECRET)
