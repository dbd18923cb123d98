"""The sandbox signs in applications, by secret and by certificate, and refuses accounts, hosts and secrets on purpose."""

import time
from urllib.parse import urlsplit

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from instances.catalogue.sandbox import (
    SANDBOX_CLIENT_ID,
    SANDBOX_EXPIRED_SECRET,
    SANDBOX_PASSWORD,
    SANDBOX_USERNAME,
)
from instances.crypto.keys import SigningAlgorithm, read_signing_key
from instances.crypto.signing import sign_jwt
from instances.models import Interaction
from instances.sandbox.models import Certificate
from instances.sandbox.refusals import REFUSED_ACCOUNTS
from tests.sandbox.conftest import WHO_AM_I
from tests.support.factories import make_instance
from tests.support.signing_keys import certificate, certificate_pem, ec_key, pem, rsa_key

V2_TOKEN = "/sandbox/acme/oauth2/v2.0/token"
SCOPE = "https://acme.crm.dynamics.com/.default"
REGISTER = "/sandbox/certificates"


def as_application(program, **changes):
    form = {"grant_type": "client_credentials", "scope": SCOPE} | changes
    return program.token(path=V2_TOKEN, **form)


def number_of(answer):
    assert answer.status_code in {400, 401}, answer.text
    return answer.json()["error_codes"]


def test_an_application_gets_a_token_by_its_secret_and_no_refresh_token(program):
    body = as_application(program).json()
    assert "refresh_token" not in body
    assert program.get(WHO_AM_I, body["access_token"]).status_code == 200
    on_premise = "/sandbox/api/data/v9.1/WhoAmI"
    assert program.get(on_premise, body["access_token"]).status_code == 200


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({"client_secret": SANDBOX_EXPIRED_SECRET}, 7000222),
        ({"client_secret": "wrong"}, 7000215),
        ({"scope": "https://acme.crm.dynamics.com/user_impersonation"}, 1002012),
        ({"scope": None}, 1002012),
        ({"scope": "https://unknown.crm.dynamics.com/.default"}, 500011),
        ({"resource": "https://acme.crm.dynamics.com"}, 901002),
    ],
)
def test_what_is_wrong_with_an_application_has_its_number(program, changes, number):
    assert number_of(as_application(program, **changes)) == [number]


def test_without_a_security_role_every_call_is_forbidden(program):
    body = as_application(program, scope="https://norole.crm.dynamics.com/.default").json()
    answer = program.get(WHO_AM_I, body["access_token"])
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "0x80072560")


@pytest.mark.parametrize("username", REFUSED_ACCOUNTS)
def test_accounts_are_refused_for_their_own_reasons(program, browser, username):
    answer = program.sign_in(username=username.upper(), password="any")
    said = REFUSED_ACCOUNTS[username]
    assert answer.json()["error_description"] == said
    assert number_of(answer) == [int(said.split(":")[0].removeprefix("AADSTS"))]
    assert username in browser.get("/sandbox/").text


def upload(staff, text):
    file = SimpleUploadedFile("app.pem", text.encode())
    return staff.post(REGISTER, {"certificate": file}, follow=True)


def assertion(own, **changes):
    key = read_signing_key(pem(rsa_key()) + certificate_pem(own), SigningAlgorithm.PS256)
    now = int(time.time())
    claims = {
        "iss": SANDBOX_CLIENT_ID,
        "sub": SANDBOX_CLIENT_ID,
        "aud": f"http://localhost:8000{V2_TOKEN}",
        "exp": now + 300,
        "jti": str(time.perf_counter_ns()),
    }
    return sign_jwt(claims | changes, key, headers={"x5t#S256": key.thumbprint})


def by_assertion(program, text):
    return as_application(
        program,
        client_secret=None,
        client_assertion_type="urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        client_assertion=text,
    )


def test_a_registered_certificate_proves_the_application_once_per_assertion(staff, program):
    own = certificate(rsa_key())
    assert "The certificate was registered." in upload(staff, certificate_pem(own)).text
    text = assertion(own)
    assert by_assertion(program, text).status_code == 200
    assert number_of(by_assertion(program, text)) == [700025]


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({"aud": "https://login.microsoftonline.com/acme/oauth2/v2.0/token"}, 700023),
        ({"iss": "another"}, 700023),
        ({"exp": 1}, 700024),
        ({"jti": ""}, 700025),
    ],
)
def test_another_assertion_is_refused(staff, program, changes, number):
    own = certificate(rsa_key())
    upload(staff, certificate_pem(own))
    assert number_of(by_assertion(program, assertion(own, **changes))) == [number]


@pytest.mark.parametrize("text", ["", "a.b", "a.b.c", "e30.e30.e30"])
def test_gibberish_in_place_of_an_assertion_is_refused(program, text):
    assert number_of(by_assertion(program, text)) == [7000215]


def test_a_certificate_that_is_not_registered_is_refused(program):
    assert number_of(by_assertion(program, assertion(certificate(rsa_key())))) == [700027]


@pytest.mark.parametrize(
    "text",
    [
        "gibberish",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        lambda: pem(rsa_key()) + certificate_pem(certificate(rsa_key())),
        lambda: certificate_pem(certificate(ec_key())),
        "é" * 30_000,
    ],
)
def test_only_a_certificate_of_an_rsa_key_is_registered(staff, text):
    page = upload(staff, text() if callable(text) else text)
    assert page.status_code == 400
    assert "This is not a certificate of an RSA key alone" in page.text
    assert not Certificate.objects.exists()


def test_visitors_register_nothing(browser):
    assert upload(browser, certificate_pem(certificate(rsa_key()))).status_code == 200
    assert not Certificate.objects.exists()


@pytest.mark.parametrize("way", ["oauth2AppSecret", "oauth2Application"])
def test_an_instance_is_connected_to_the_sandbox_as_an_application(
    sandbox, dynamics, staff, settings, way
):
    from instances.provisioning.lifecycle.provision import provision_instance

    own = certificate(rsa_key())
    upload(staff, certificate_pem(own))
    proof = {
        "oauth2AppSecret": {"oauth.api.secret": "sandbox-client-secret"},
        "oauth2Application": {"oauth.api.private_key": pem(rsa_key()) + certificate_pem(own)},
    }
    instance = make_instance(
        organization_user=sandbox,
        element=dynamics,
        authentication_type=way,
        configuration=proof[way]
        | {
            "oauth.api.key": SANDBOX_CLIENT_ID,
            "tenant_id": "acme",
            "dynamics.tenant": "acme.crm.dynamics.com",
        },
    )
    assert provision_instance(instance, actor="test").is_connected


@pytest.mark.parametrize(
    ("way", "variant", "sign_in"),
    [
        ("custom", "adfs", "/sandbox/adfs/oauth2/token"),
        ("custom", "entra-china", "/sandbox/organizations/oauth2/token"),
        ("oauth2AppSecret", "entra-us-government", "/sandbox/acme/oauth2/v2.0/token"),
    ],
)
def test_each_cloud_and_ad_fs_signs_in_at_its_own_address(
    browser, sandbox, dynamics, way, variant, sign_in
):
    from instances.provisioning.lifecycle.provision import provision_instance

    # The first request of a process takes longer than a provider may.
    browser.get("/sandbox/")
    own = {
        "custom": {"user.username": SANDBOX_USERNAME, "user.password": SANDBOX_PASSWORD},
        "oauth2AppSecret": {
            "oauth.api.key": SANDBOX_CLIENT_ID,
            "oauth.api.secret": "sandbox-client-secret",
            "tenant_id": "acme",
        },
    }
    host = {"dynamics.tenant": "crm.acme.example", "dynamics.adfs.host": "adfs.acme.example"}
    instance = make_instance(
        organization_user=sandbox,
        element=dynamics,
        authentication_type=way,
        configuration=own[way] | host | {"authentication.variant": variant},
    )
    assert provision_instance(instance, actor="test").is_connected
    token, probe = Interaction.objects.order_by("pk")
    assert urlsplit(token.url).path == sign_in
    # On premise, the resource ends in a slash, and the Web API ends at v9.1.
    is_on_premise = variant == "adfs"
    assert ("crm.acme.example%2F&" in f"{token.request_body}&") is is_on_premise
    assert ("/v9.1/" in probe.url) is is_on_premise
