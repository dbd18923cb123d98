"""Service accounts, which sign their own grants (RFC 7523 2.1), against a provider that verifies each assertion."""

import json
from datetime import timedelta

import jwt
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import timezone

from instances.crypto import sealing
from instances.models import AuthorizationLink, Instance, Interaction
from instances.provisioning.create import create_draft
from instances.provisioning.lifecycle.refresh import refresh_instance
from tests.conftest import shipped
from tests.support.assertion_provider import Registered
from tests.support.factories import make_user
from tests.support.signing_keys import key_file as p12, pem, rsa_key

EMAIL = "robot@acme.iam.example"
KEY = "google.service.account.key"
SCOPE = "https://www.googleapis.com/auth/drive"


def key_file(**members):
    file = {"type": "service_account", "private_key_id": "k-7", "private_key": pem(rsa_key())}
    return file | {"client_email": EMAIL, "token_uri": "https://evil.example/token"} | members


@pytest.fixture
def drive(api, provider):
    """The shipped element, at the provider of these tests; the service account is known there."""
    api.user.organization.endpoint_overrides = {
        "googledrive": {
            "https://oauth2.googleapis.com": provider.url,
            "https://www.googleapis.com": provider.url,
        }
    }
    api.user.organization.save()
    header = {"alg": "RS256", "kid": "k-7"}
    provider.clients[EMAIL] = Registered(rsa_key().public_key(), header)
    return shipped("googledrive")


def body(key, **configuration):
    own = {KEY: key, "document.root.folder.name": "/"}
    return {
        "element": {"key": "googledrive"},
        "name": "Acme",
        "configuration": own | configuration,
    }


def test_a_service_account_is_connected_and_renewed_by_new_assertions(api, provider, drive):
    created = api.post("instances", body(key_file(), **{"google.user": "ada@acme.example"}))
    assert (created.status_code, provider.refusals) == (200, []), created.text
    instance = Instance.objects.get()
    refresh_instance(instance, actor="test")
    first, second = provider.grants
    verified = jwt.decode(
        provider.assertions[1],
        rsa_key().public_key(),
        algorithms=["RS256"],
        audience=f"{provider.url}/token",
        issuer=EMAIL,
    )
    assert verified == second
    assert (first["iss"], first["sub"], first["scope"]) == (EMAIL, "ada@acme.example", SCOPE)
    assert first["jti"] != second["jti"]
    assert instance.refresh_due_at is not None
    shown = (
        created.text + str([vars(one) for one in Interaction.objects.all()]) + str(vars(instance))
    )
    lines = pem(rsa_key()).splitlines()[1:-1]
    assert not [one for one in [*lines, *provider.assertions] if one in shown]


def test_a_pem_key_is_enough_with_the_email(api, provider, drive):
    provider.clients[EMAIL] = Registered(rsa_key().public_key(), {"alg": "RS256"})
    created = api.post("instances", body(pem(rsa_key()), client_email=EMAIL))
    assert (created.status_code, provider.refusals) == (200, []), created.text
    assert "sub" not in provider.grants[0]


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        ('{"private_key": ', "cannot be read as a JSON key file"),
        ("{" * 5000, "cannot be read as a JSON key file"),
        ('{"installed": {"client_id": "a"}}', "without private_key, client_email, private_key_id"),
        (
            '{"private_key": "a", "client_email": "b", "private_key_id": "c"}',
            "no private key in PEM",
        ),
    ],
)
def test_another_file_is_an_error_at_its_field(api, provider, drive, key, sentence):
    refused = api.post("instances", body(key))
    assert (refused.status_code, provider.forms) == (400, [])
    assert KEY in refused.json()["message"]
    assert sentence in refused.json()["message"]


def test_a_refused_grant_is_shown_nowhere(api, provider, drive):
    provider.audience = "https://elsewhere.example/token"
    refused = api.post("instances", body(key_file()))
    assert (refused.status_code, provider.refusals) == (400, ["for another audience"])
    shown = refused.text + str([vars(one) for one in Interaction.objects.all()])
    assert not [one for one in provider.assertions if one in shown]


def test_a_key_file_is_uploaded(api, operator, provider, drive):
    url = reverse("admin:instances_instance_configure", args=[api.user.pk, drive.pk])
    uploaded = SimpleUploadedFile("acme-robot.json", json.dumps(key_file()).encode())
    entered = {
        f"configuration.{KEY}.file": uploaded,
        "configuration.document.root.folder.name": "/",
    }
    operator.post(f"{url}?way=oauth2Application", entered)
    assert (Instance.objects.get().state, provider.refusals) == ("connected", [])


def test_an_account_owner_uploads_a_key_file_with_its_password(api, provider, drive, client):
    instance = create_draft(
        api.user,
        drive,
        actor="test",
        authentication_type="oauth2Application",
        configuration={"client_email": EMAIL, "document.root.folder.name": "/"},
        is_incomplete=True,
    )
    AuthorizationLink.objects.create(
        instance=instance,
        made_by=make_user("mina", is_superuser=True),
        token_digest=sealing.digest("token"),
        expires_at=timezone.now() + timedelta(days=1),
    )
    provider.clients[EMAIL] = Registered(rsa_key().public_key(), {"alg": "RS256"})
    page = client.get("/authorize/token")
    assert 'enctype="multipart/form-data"' in page.text
    uploaded = SimpleUploadedFile("robot.p12", p12(rsa_key(), None, "notasecret"))
    name = f"configuration.{KEY}"
    visit = page.context["visit"]
    entered = {f"{name}.file": uploaded, f"{name}.password": "notasecret", "visit": visit}
    page = client.post("/authorize/token", entered)
    instance.refresh_from_db()
    assert (instance.state, provider.refusals) == ("connected", []), page.text
