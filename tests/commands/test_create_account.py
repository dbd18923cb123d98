import json

import pytest
from django.core.management import CommandError, call_command

from instances.models import OAuthApp, Organization, OrganizationUser

pytestmark = pytest.mark.django_db
WHO = ["--organization", "Acme", "--user", "ada@example.com"]
REMOTE = [
    "--platform-url=https://platform.example",
    "--organization-secret=0123456789abcdef0123456789abcdef",
    "--user-secret=dXNlci1zZWNyZXQ=",
]


def create(capsys, *options):
    call_command("create_account", *WHO, *options)
    return capsys.readouterr().out


def test_it_prints_the_two_secrets_that_clients_then_use(capsys):
    printed = json.loads(create(capsys, "--json"))
    assert printed["organizationSecret"] == Organization.objects.get().secret.reveal()
    assert printed["userSecret"] == OrganizationUser.objects.get().secret.reveal()


def test_running_it_again_makes_no_second_one_and_prints_no_secret(capsys):
    first = json.loads(create(capsys, "--json"))
    again = create(capsys)
    assert OrganizationUser.objects.count() == 1
    assert first["userSecret"] not in again
    assert first["organizationSecret"] not in again
    assert "--rotate" in again


def test_rotating_prints_new_secrets(capsys):
    first = json.loads(create(capsys, "--json"))
    rotated = json.loads(create(capsys, "--json", "--rotate"))
    assert rotated["userSecret"] not in (None, first["userSecret"])
    assert rotated["organizationSecret"] not in (None, first["organizationSecret"])


def test_with_sandbox_its_oauth_app_is_there(capsys, dynamics):
    create(capsys, "--sandbox")
    assert OAuthApp.objects.filter(element=dynamics).count() == 1


def test_a_remote_platforms_secrets_are_kept_and_not_printed(capsys):
    printed = create(capsys, *REMOTE)
    assert "dXNlci1zZWNyZXQ=" not in printed
    assert OrganizationUser.objects.get().secret.reveal() == "dXNlci1zZWNyZXQ="


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--platform-url=https://platform.example"], "needs both secrets"),
        (["--platform-url=nonsense", *REMOTE[1:]], "must begin with https://"),
        (["--user-secret=s"], "only be given for a remote platform"),
        (["--user=nobody"], "Enter an e-mail address"),
        (["--organization="], "Enter an organization name"),
    ],
)
def test_bad_options_are_refused_and_nothing_is_made(options, sentence):
    with pytest.raises(CommandError, match=sentence) as refused:
        call_command("create_account", *WHO, *options)
    assert refused.value.returncode == 2
    assert not Organization.objects.exists()
