"""What a definition may say of signatures of OAuth 1.0a."""

import pytest

from tests.catalogue.test_validation import BASIC, OAUTH1, problems
from tests.signed.test_oauth1_tokens import FIELDS

SIGNATURE = {
    "method": "HMAC-SHA256",
    "realm": "{account}",
    "token_key": "token_id",
    "token_secret_key": "token_secret",
}
CLIENT = {"client_id_key": "consumer_key", "client_secret_key": "consumer_secret"}
PROBE = {"url": "https://acme.test/me", "scheme": "oauth1"}
WAY = {"type": "custom", "fields": FIELDS, "oauth1_signature": SIGNATURE, "probe": PROBE} | CLIENT


def test_a_sensible_one_has_no_problems():
    assert problems(WAY) == {}
    assert problems(OAUTH1 | {"oauth1_signature": {"method": "HMAC-SHA256"}}) == {}


@pytest.mark.parametrize(
    ("way", "place"),
    [
        (WAY | {"oauth1_signature": {"method": "HMAC-SHA256"}}, "oauth1_signature.token_key"),
        (WAY | {"oauth1_signature": SIGNATURE | {"realm": "{x}"}}, "oauth1_signature.realm"),
        (WAY | {"oauth1_signature": SIGNATURE | {"token_key": "account"}}, "oauth1_signature.token_key"),
        (WAY | {"oauth1_signature": SIGNATURE | {"token_secret_key": None}}, "oauth1_signature.token_secret_key"),
        (WAY | {"client_id_key": "x"}, "oauth1_signature.client_id_key"),
        (WAY | {"probe": PROBE | {"scheme": "headers", "headers": {"A": "b"}}}, "probe.scheme"),
        (OAUTH1 | {"oauth1_signature": SIGNATURE | {"realm": ""}}, "oauth1_signature.token_key"),
        (BASIC | {"probe": PROBE}, "probe.scheme"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_a_problem_at_its_place(way, place):
    assert f"authentication[0].{place}" in problems(way)
