"""Who sits before the admin: an operator who may do everything, and people who may do less."""

import pytest
from django.test import Client

from instances.models import Organization
from tests.factories import make_account, make_member


@pytest.fixture
def operator(db):
    """A browser signed in as a superuser."""
    client = Client()
    client.force_login(make_account("operator", is_superuser=True))
    return client


@pytest.fixture
def sign_in(db):
    """A browser of an operator of all organizations there are, with the named permissions and no others."""

    def sign_in(*permissions: str) -> Client:
        client = Client()
        account = make_account("somebody", permissions=permissions)
        for organization in Organization.objects.all():
            make_member(account, organization)
        client.force_login(account)
        return client

    return sign_in
