"""What a definition may say of signed requests to AWS."""

import pytest

from tests.catalogue.test_validation import BASIC, problems

FIELDS = [
    {"key": "region", "label": "Region"},
    {"key": "id", "label": "Access key ID"},
    {"key": "key", "label": "Secret key", "type": "password", "secret": True},
]
SIGNATURE = {
    "region_key": "region",
    "access_key_id_key": "id",
    "secret_access_key_key": "key",
}
PROBE = {"url": "https://sts.aws.test/", "scheme": "aws_sigv4", "service": "sts"}
WAY = {"type": "custom", "fields": FIELDS, "aws_signature": SIGNATURE, "probe": PROBE}


def test_a_sensible_one_has_no_problems():
    assert problems(WAY) == {}
    api = {"base_url": "https://s3.aws.test", "scheme": "aws_sigv4", "service": "s3"}
    assert problems(WAY | {"api": api}) == {}


@pytest.mark.parametrize(
    ("way", "place"),
    [
        (WAY | {"aws_signature": None}, "probe.scheme"),
        (WAY | {"probe": PROBE | {"service": ""}}, "probe.service"),
        (BASIC | {"probe": {"url": "https://a.test", "scheme": "headers", "service": "s3"}}, "probe.service"),
        (WAY | {"probe": None}, "aws_signature.secret_access_key_key"),
        (WAY | {"aws_signature": SIGNATURE | {"region_key": "x"}}, "aws_signature.region_key"),
        (WAY | {"aws_signature": SIGNATURE | {"secret_access_key_key": "id"}}, "aws_signature.secret_access_key_key"),
        (WAY | {"aws_signature": SIGNATURE | {"session_token_key": "id"}}, "aws_signature.session_token_key"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_a_problem_at_its_place(way, place):
    assert f"authentication[0].{place}" in problems(way)
