from typing import Any

import pytest

from instances.crypto import sealing
from instances.errors import InputError
from instances.models import OAuthApp, Organization, OrganizationUser
from instances.provisioning.access.organizations import create_account, rotate_secret

pytestmark = pytest.mark.django_db
REMOTE: dict[str, Any] = {
    "platform_url": "https://platform.example",
    "organization_secret": "0123abcd" * 4,
    "user_secret": "dXNlci1zZWNyZXQ=",
}


def test_an_account_gets_secrets_of_the_contracts_shape():
    user = create_account("Acme", "Ada@Example.com")
    assert user.organization_secret
    assert user.user_secret
    assert len(user.organization_secret) == 32
    assert len(user.user_secret) == 44
    assert user.user.email == "ada@example.com"
    assert user.user.secret.reveal() == user.user_secret


def test_running_it_again_creates_nothing_and_shows_no_secret():
    create_account("Acme", "ada@example.com")
    again = create_account("Acme", "ADA@example.com")
    assert (again.organization_secret, again.user_secret) == (None, None)
    assert (Organization.objects.count(), OrganizationUser.objects.count()) == (1, 1)


def test_rotation_creates_new_secrets_and_the_old_ones_stop_working():
    first = create_account("Acme", "ada@example.com")
    second = create_account("Acme", "ada@example.com", is_rotating=True)
    assert second.user_secret not in (None, first.user_secret)
    old = OrganizationUser.objects.filter(secret_digest__in=sealing.digests(str(first.user_secret)))
    assert not old.exists()


def test_a_remote_account_keeps_the_secrets_it_was_given_and_shows_none():
    user = create_account("Acme", "ada@example.com", **REMOTE)
    assert (user.organization_secret, user.user_secret) == (None, None)
    assert user.user.secret.reveal() == REMOTE["user_secret"]
    assert user.user.organization.is_remote


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"organization_secret": ""}, "needs both secrets"),
        ({"user_secret": "two words"}, "without spaces"),
        ({"user_secret": "a,b"}, "without spaces, commas"),
        ({"platform_url": "ftp://x"}, "must begin with https://"),
        ({"platform_url": ""}, "only be given for a remote platform"),
    ],
)
def test_invalid_remote_accounts_are_rejected_and_create_nothing(change, sentence):
    with pytest.raises(InputError, match=sentence):
        create_account("Acme", "ada@example.com", **(REMOTE | change))
    assert not Organization.objects.exists()


@pytest.mark.parametrize(
    ("name", "email", "sentence"),
    [
        ("", "a@example.com", "Enter an organization name"),
        ("Acme", "ada", "Enter an e-mail address"),
    ],
)
def test_a_name_and_an_email_address_are_required(name, email, sentence):
    with pytest.raises(InputError, match=sentence):
        create_account(name, email)


def test_an_organization_does_not_change_its_platform():
    create_account("Acme", "ada@example.com")
    with pytest.raises(InputError, match="cannot be changed"):
        create_account("Acme", "bob@example.com", **REMOTE)
    assert OrganizationUser.objects.count() == 1


def test_a_secret_of_another_owner_is_rejected():
    create_account("Acme", "ada@example.com", **REMOTE)
    with pytest.raises(InputError, match="belongs to another organization"):
        create_account("Other", "ada@example.com", **REMOTE)


def test_a_remote_secret_is_not_generated():
    user = create_account("Acme", "ada@example.com", **REMOTE)
    with pytest.raises(InputError, match="come from the remote platform"):
        rotate_secret(user.user)


def test_the_sandbox_is_connected_by_data_alone(dynamics):
    user = create_account("Demo", "demo@example.com", is_sandbox=True).user
    create_account("Demo", "demo@example.com", is_sandbox=True)
    app = OAuthApp.objects.get(organization=user.organization, element=dynamics)
    assert app.client_secret.reveal()
    assert user.organization.endpoint_overrides["dynamicscrmadfs"]
