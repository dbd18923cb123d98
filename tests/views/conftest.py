"""Who sits before self-service."""

from collections.abc import Callable

import pytest

from instances.models import OrganizationUser
from tests.conftest import Person


@pytest.fixture
def staff(person: Callable[..., Person], sandbox: OrganizationUser) -> Person:
    """Whose own organization user is the one that may reach the sandbox."""
    found: Person = person("staff", name="mina")
    sandbox.account = found.account
    sandbox.save()
    return found
