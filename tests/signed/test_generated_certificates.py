"""A private key that is made here: only its certificate leaves, to be registered at the provider."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from instances.crypto.certificates import certificate_pem, generate_signing_key
from instances.crypto.keys import SigningAlgorithm, check_signing_key
from instances.models import Instance
from tests.signed.conftest import CLIENT_ID
from tests.signed.test_key_forms import configure_url
from tests.support.assertion_provider import Registered
from tests.support.factories import make_instance, make_organization_user
from tests.support.signing_keys import (
    certificate,
    certificate_pem as certificate_pem_of,
    pem,
    rsa_key,
)

CLIENT = {"configuration.oauth.api.key": CLIENT_ID}
CERTIFICATE = {"algorithm": "PS256", "sends_thumbprint": True}


def action_url(instance, name):
    return f"/admin/instances/instance/{instance.pk}/actions/{name}/"


def private_lines(instance):
    stored = instance.secret_configuration.reveal()["oauth.api.private_key"]
    key = stored.partition("-----BEGIN CERTIFICATE")[0]
    return [line for line in key.splitlines() if line and not line.startswith("-----")]


def register(provider, downloaded):
    """As an operator does at the provider."""
    certificate = x509.load_pem_x509_certificate(downloaded)
    thumbprint = base64.urlsafe_b64encode(certificate.fingerprint(SHA256())).decode().rstrip("=")
    header = {"alg": "PS256", "x5t#S256": thumbprint}
    public_key: Any = certificate.public_key()
    provider.clients[CLIENT_ID] = Registered(public_key, header)
    return certificate


def test_a_certificate_is_generated_downloaded_registered_and_used(operator, provider, make_signed):
    user, element = make_organization_user(), make_signed(**CERTIFICATE)
    url = configure_url(user, element)
    assert 'name="generate"' in operator.get(url).text
    entered = CLIENT | {"name": "Acme", "generate": "yes"}
    page = operator.post(url, entered, follow=True)
    instance = Instance.objects.get()
    assert (instance.state, provider.forms) == ("draft", [])
    assert "register it at Signed" in page.text
    assert action_url(instance, "certificate") in page.text
    downloaded = operator.get(action_url(instance, "certificate"))
    assert downloaded["Content-Disposition"] == 'attachment; filename="acme-certificate.pem"'
    assert b"PRIVATE" not in downloaded.content
    certificate = register(provider, downloaded.content)
    assert certificate.subject.rfc4514_string() == "CN=Acme"
    page_after = operator.post(action_url(instance, "provision"), follow=True)
    instance.refresh_from_db()
    assert (instance.state, provider.refusals) == ("connected", [])
    lines = private_lines(instance)
    assert not [line for line in lines if line in page.text + page_after.text]


def test_one_that_was_never_connected_gets_another_key(operator, provider, make_signed):
    user, element = make_organization_user(), make_signed(**CERTIFICATE)
    operator.post(configure_url(user, element), {"generate": "yes"})
    instance = Instance.objects.get()
    before = private_lines(instance)
    url = action_url(instance, "reauthenticate")
    operator.post(url, CLIENT | {"generate": "yes"})
    instance.refresh_from_db()
    assert (instance.state, provider.forms) == ("draft", [])
    assert private_lines(instance) != before
    assert instance.full_configuration()["oauth.api.key"] == CLIENT_ID


def test_a_connected_one_keeps_its_key(operator, provider, make_signed):
    user, element = make_organization_user(), make_signed(**CERTIFICATE)
    operator.post(configure_url(user, element), CLIENT | {"generate": "yes"})
    instance = Instance.objects.get()
    register(provider, operator.get(action_url(instance, "certificate")).content)
    operator.post(action_url(instance, "provision"))
    instance.refresh_from_db()
    before = private_lines(instance)
    url = action_url(instance, "reauthenticate")
    assert 'name="generate"' not in operator.get(url).text
    page = operator.post(url, {"generate": "yes"}, follow=True)
    assert "cannot be changed now" in page.text
    instance.refresh_from_db()
    assert private_lines(instance) == before


def test_other_ways_offer_no_certificate(operator, provider, make_signed):
    user, element = make_organization_user(), make_signed(algorithm="ES256")
    url = configure_url(user, element)
    assert 'name="generate"' not in operator.get(url).text
    operator.post(url, {"generate": "yes"})
    instance = Instance.objects.get()
    assert instance.secret_keys == []
    assert operator.get(action_url(instance, "certificate")).status_code == 404


def test_who_may_change_it_downloads_its_certificate(operator, person, make_signed):
    user, element = make_organization_user(), make_signed(**CERTIFICATE)
    viewer = person("viewer", of=user.organization)
    member = person("operator", of=user.organization, name="member")
    operator.post(configure_url(user, element), {"generate": "yes"})
    [instance] = Instance.objects.all()
    url = f"/connect/{instance.pk}/certificate/"
    downloaded = member.browser.get(url)
    assert downloaded.content.startswith(b"-----BEGIN CERTIFICATE-----")
    assert url in member.browser.get(f"/connect/{instance.pk}/").text
    stranger = person("operator", of=make_organization_user().organization, name="stranger")
    assert stranger.browser.get(url).status_code == 404
    assert viewer.browser.get(url).status_code == 403
    assert member.browser.post(url).status_code == 405


@pytest.mark.parametrize("algorithm", list(SigningAlgorithm))
def test_a_generated_key_is_one_that_would_be_accepted(algorithm):
    key = generate_signing_key("Ä" * 100, algorithm)
    assert check_signing_key(key.to_pem(), algorithm).thumbprint == key.thumbprint
    certificate = x509.load_pem_x509_certificate(certificate_pem(key).encode())
    certificate.verify_directly_issued_by(certificate)
    lasts = certificate.not_valid_after_utc - datetime.now(UTC)
    assert timedelta(days=729) < lasts <= timedelta(days=730)


@pytest.mark.parametrize(("days", "is_told"), [(29, True), (31, False)])
def test_the_page_tells_of_the_end_of_a_certificate(operator, make_signed, days, is_told):
    user, element = make_organization_user(), make_signed(**CERTIFICATE)
    own = pem(rsa_key()) + certificate_pem_of(certificate(rsa_key(), days=days))
    entered = CLIENT | {"configuration.oauth.api.private_key": own, "draft": "yes"}
    operator.post(configure_url(user, element), entered)
    url = f"/admin/instances/instance/{Instance.objects.get().pk}/change/"
    page = operator.get(url).text
    assert ("Its certificate ends on" in page) is is_told
    assert ("Register a new certificate at Signed" in page) is is_told


def test_the_page_tells_of_a_certificate_that_has_ended(operator, make_signed):
    instance = make_instance(
        element=make_signed(**CERTIFICATE),
        configuration={"oauth.api.key": CLIENT_ID},
        is_incomplete=True,
    )
    own = pem(rsa_key()) + certificate_pem_of(certificate(rsa_key(), days=-1))
    instance.secret_configuration = {"oauth.api.private_key": own}
    instance.save()
    page = operator.get(f"/admin/instances/instance/{instance.pk}/change/").text
    assert "Its certificate ended on" in page
