"""Who sits before the admin: an operator who may do everything, and people who may do less."""

import pytest
from django.test import Client

from tests.factories import make_account


@pytest.fixture
def operator(db):
    """A browser signed in as a superuser."""
    client = Client()
    client.force_login(make_account("operator", is_superuser=True))
    return client


@pytest.fixture
def sign_in(db):
    """A browser of somebody who may do what the named permissions say, and nothing else."""

    def sign_in(*permissions: str) -> Client:
        client = Client()
        client.force_login(make_account("somebody", permissions=permissions))
        return client

    return sign_in
