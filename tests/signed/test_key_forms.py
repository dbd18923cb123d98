"""Private keys in the forms: pasted or uploaded, and never shown again."""

from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from instances.models import Instance
from tests.signed.conftest import CLIENT_ID
from tests.support.assertion_provider import Registered
from tests.support.factories import make_oauth_app, make_organization_user
from tests.support.signing_keys import ec_key, pem

KEY = "configuration.oauth.api.private_key"


def configure_url(user, element):
    return reverse("admin:instances_instance_configure", args=[user.pk, element.pk])


def test_a_key_is_uploaded_as_a_file(operator, provider, make_signed):
    """An OAuth app of the organization has a secret and no key, so the form asks for the client all the same."""
    user, element = make_organization_user(), make_signed(algorithm="ES256")
    make_oauth_app(organization=user.organization, element=element)
    provider.clients[CLIENT_ID] = Registered(ec_key().public_key(), {"alg": "ES256"})
    uploaded = SimpleUploadedFile("client.pem", pem(ec_key()).encode())
    entered = {"configuration.oauth.api.key": CLIENT_ID, f"{KEY}.file": uploaded}
    operator.post(configure_url(user, element), entered)
    assert (Instance.objects.get().state, provider.refusals) == ("connected", [])


def test_a_file_that_is_no_key_is_an_error_at_the_field(operator, provider, make_signed):
    user, element = make_organization_user(), make_signed(algorithm="ES256")
    rubbish = SimpleUploadedFile("client.p12", b"\x30\x82\x00\xff" * 9)
    entered = {"configuration.oauth.api.key": CLIENT_ID, f"{KEY}.file": rubbish}
    page = operator.post(configure_url(user, element), entered)
    assert "contains no private key" in page.context["form"].errors[KEY][0]
    long = entered | {f"{KEY}.file": SimpleUploadedFile("a.pem", b"x" * 30_000)}
    page = operator.post(configure_url(user, element), long)
    assert "is longer than" in page.context["form"].errors[KEY][0]
    assert provider.forms == []


def test_a_refused_key_does_not_come_back_in_the_page(operator, provider, make_signed):
    user, element = make_organization_user(), make_signed(algorithm="PS256")
    entered = {"configuration.oauth.api.key": CLIENT_ID, KEY: pem(ec_key())}
    page = operator.post(configure_url(user, element), entered)
    assert "which PS256 needs" in page.context["form"].errors[KEY][0]
    assert pem(ec_key()).splitlines()[1] not in page.text
