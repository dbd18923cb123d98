"""Clients that prove themselves with a private key (RFC 7523 2.2), against a provider that verifies each assertion."""

import base64

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import PrivateFormat

from instances.crypto.keys import SigningAlgorithm, read_signing_key
from instances.crypto.signing import sign_jwt
from instances.models import Instance, Interaction
from instances.provisioning.lifecycle.refresh import refresh_instance
from tests.signed.conftest import CLIENT_ID
from tests.support.assertion_provider import AssertionRefusedError, Registered
from tests.support.signing_keys import certificate, certificate_pem, ec_key, pem, rsa_key

ES256 = Registered(ec_key().public_key(), {"alg": "ES256"})


def body(private_key, **configuration):
    own = {"oauth.api.key": CLIENT_ID, "oauth.api.private_key": private_key}
    return {"element": {"key": "signed"}, "name": "Acme", "configuration": own | configuration}


def secret_lines(private_key):
    return [line for line in private_key.splitlines() if line and not line.startswith("-----")]


def everything_recorded():
    return str([vars(one) for one in Interaction.objects.all()])


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256"])
def test_each_request_carries_a_new_assertion_that_the_provider_verifies(
    api, provider, make_signed, algorithm
):
    make_signed(algorithm=algorithm, key_id="{kid}")
    key = ec_key() if algorithm == "ES256" else rsa_key()
    provider.clients[CLIENT_ID] = Registered(key.public_key(), {"alg": algorithm, "kid": "key-1"})
    created = api.post("instances", body(pem(key)))
    assert (created.status_code, provider.refusals) == (200, [])
    instance = Instance.objects.get()
    refresh_instance(instance, actor="test")
    assert (len(provider.tokens), provider.refusals) == (2, [])
    claims = jwt.decode(
        provider.assertions[0],
        key.public_key(),
        algorithms=[algorithm],
        audience=f"{provider.url}/token",
        issuer=CLIENT_ID,
        options={"require": ["iss", "sub", "aud", "iat", "exp", "jti"]},
    )
    assert claims["sub"] == CLIENT_ID
    recorded = everything_recorded()
    assert "client_assertion=[redacted]" in recorded
    hidden = [*secret_lines(pem(key)), *provider.assertions]
    assert not [one for one in hidden if one in recorded + created.text + str(vars(instance))]
    assert created.json()["configuration"]["oauth.api.private_key"] == "********"


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        (lambda: "not a key", "contains no private key"),
        (lambda: pem(rsa_key())[:-200], "cannot be read as a private key"),
        (lambda: pem(rsa_key(), passphrase="x" * 8), "is encrypted with a passphrase"),
        (lambda: pem(rsa_key(1024)), "is an RSA key of 1024 bits"),
        (lambda: pem(ec_key()), "is not an RSA key, which PS256 needs"),
        (lambda: pem(rsa_key()) * 2, "contains more than one private key"),
        (lambda: pem(rsa_key(), form=PrivateFormat.TraditionalOpenSSL), "has no certificate"),
        (
            lambda: pem(rsa_key()) + certificate_pem(certificate(ec_key())),
            "does not belong to the certificate",
        ),
    ],
)
def test_a_key_that_cannot_sign_is_an_error_at_its_field(api, provider, make_signed, key, sentence):
    make_signed(algorithm="PS256", sends_thumbprint=True)
    refused = api.post("instances", body(key()))
    message = refused.json()["message"]
    assert (refused.status_code, provider.forms) == (400, [])
    assert "oauth.api.private_key" in message
    assert sentence in message
    assert not [line for line in secret_lines(key()) if line in message]


@pytest.mark.parametrize(
    ("assertion", "refusal"),
    [
        ({"audience": "https://elsewhere.example/token"}, "for another audience"),
        ({"lifetime_seconds": 3600}, "expired, or valid for too long"),
        ({"key_id": "another"}, "unknown client, or another header"),
    ],
)
def test_a_refused_assertion_is_shown_nowhere(api, provider, make_signed, assertion, refusal):
    """The provider's error message repeats it."""
    make_signed(algorithm="ES256", **assertion)
    provider.clients[CLIENT_ID] = ES256
    refused = api.post("instances", body(pem(ec_key())))
    assert provider.refusals == [refusal]
    assert refused.status_code == 400
    shown = refused.text + everything_recorded()
    assert refusal in shown
    assert not [one for one in provider.assertions if one in shown]


def test_the_provider_takes_no_assertion_twice_and_none_that_has_expired(provider):
    """The provider of these tests is strict itself."""
    provider.clients[CLIENT_ID] = ES256
    key = read_signing_key(pem(ec_key()), SigningAlgorithm.ES256)
    claims = {"iss": CLIENT_ID, "aud": "a", "jti": "1", "iat": 0, "exp": 2**31}
    with pytest.raises(AssertionRefusedError, match="too long"):
        provider.verify(sign_jwt(claims, key, headers={}), audience="a")
    head, _, signature = sign_jwt(claims, key, headers={}).split(".")
    other = base64.urlsafe_b64encode(b'{"iss": "client-with-a-key"}').decode().rstrip("=")
    with pytest.raises(AssertionRefusedError, match="wrong signature"):
        provider.verify(f"{head}.{other}.{signature}", audience="a")


def test_a_replayed_assertion_is_refused(api, provider, make_signed):
    make_signed(algorithm="ES256")
    provider.clients[CLIENT_ID] = ES256
    api.post("instances", body(pem(ec_key())))
    again = provider.answer_token(f"{provider.url}/token", provider.forms[0])
    assert (again[0], provider.refusals) == (401, ["used before"])


def test_another_key_is_entered_when_the_old_one_was_withdrawn(
    api, operator, provider, make_signed
):
    make_signed(algorithm="ES256")
    provider.clients[CLIENT_ID] = ES256
    api.post("instances", body(pem(ec_key())))
    provider.clients[CLIENT_ID] = Registered(ec_key(2).public_key(), {"alg": "ES256"})
    instance = Instance.objects.get()
    url = f"/admin/instances/instance/{instance.pk}/actions/reauthenticate/"
    name = "configuration.oauth.api.private_key"
    page = operator.get(url)
    assert 'enctype="multipart/form-data"' in page.text
    assert not [line for line in secret_lines(pem(ec_key())) if line in page.text]
    operator.post(url, {name: "", "configuration.kid": "key-1"})
    assert provider.refusals == ["wrong signature"]
    operator.post(url, {name: pem(ec_key(2)), "configuration.kid": "key-1"})
    assert provider.refusals == ["wrong signature"]
    instance.refresh_from_db()
    assert (instance.state, len(provider.tokens)) == ("connected", 2)
