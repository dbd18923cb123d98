"""What a definition may say of assertions."""

import pytest

from tests.catalogue.test_validation import CLIENT, PROBE, problems

PRIVATE_KEY = {"key": "pem", "label": "Private key", "type": "private_key", "secret": True}
SIGNED = {
    "type": "oauth2Application",
    "grant_type": "client_credentials",
    "token_endpoint": "https://acme.test/token",
    "token_endpoint_auth_method": "private_key_jwt",
    "assertion": {"private_key_key": "pem", "algorithm": "ES256"},
    "fields": [CLIENT[0], PRIVATE_KEY],
}


GRANT = SIGNED | {
    "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
    "token_endpoint_auth_method": "none",
    "assertion": {
        "private_key_key": "pem",
        "issuer": "{email}",
        "key_file": {"values": ["email"]},
    },
    "fields": [PRIVATE_KEY],
}


def signed(**assertion):
    return SIGNED | {"assertion": SIGNED["assertion"] | assertion}


def test_a_client_that_signs_needs_no_secret():
    assert problems(SIGNED) == {}


def test_a_signed_grant_needs_no_client():
    assert problems(GRANT) == {}


@pytest.mark.parametrize(
    ("way", "place"),
    [
        (SIGNED | {"assertion": None}, "assertion"),
        (GRANT | {"assertion": {"private_key_key": "pem"}}, "assertion.issuer"),
        (signed(subject="somebody"), "assertion.subject"),
        (
            GRANT | {"token_endpoint_auth_method": "private_key_jwt"},
            "token_endpoint_auth_method",
        ),
        (GRANT | {"token_endpoint_auth_method": "client_secret_basic"}, "client_id_key"),
        (SIGNED | {"token_endpoint_auth_method": "none"}, "assertion"),
        (signed(private_key_key="oauth.api.key"), "assertion.private_key_key"),
        (signed(lifetime_seconds=3601), "assertion.lifetime_seconds"),
        (signed(audience="https://{site}.test"), "assertion.audience"),
        (signed(key_id="{access_token}"), "assertion.key_id"),
        (SIGNED | {"fields": [CLIENT[0], PRIVATE_KEY | {"secret": False}]}, "fields[1].secret"),
        (SIGNED | {"probe": PROBE | {"headers": {"X-Key": "{pem}"}}}, "probe.headers.X-Key"),
    ],
)
def test_what_does_not_fit_is_a_problem_at_its_place(way, place):
    assert f"authentication[0].{place}" in problems(way)
