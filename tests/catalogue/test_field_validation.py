"""What forms say at a field, and how long refresh tokens work: each mistake has its place."""

from typing import Any

import pytest

from instances.catalogue.configuration_keys import ConfigurationKey
from tests.catalogue.test_validation import BASIC, OAUTH2, problems, with_field

SITE: dict[str, Any] = {
    "key": "site",
    "label": "Site",
    "prefix": "https://",
    "suffix": ".acme.example",
    "pattern": "[a-z0-9-]+",
    "example": "initech",
    "link": "https://help.acme.example/site",
}


def problem_of(**field: Any) -> dict[str, str]:
    return {
        place.removeprefix("authentication[0].fields[1]."): why
        for place, why in problems(with_field(**SITE | field)).items()
    }


def test_hints_are_accepted():
    assert problem_of() == {}


@pytest.mark.parametrize(
    ("field", "place", "why"),
    [
        ({"link": "http://help.acme.example"}, "link", "must be the https:// address of a page"),
        ({"link": "javascript:alert(1)"}, "link", "must be the https:// address of a page"),
        ({"link": 'https://a.example/"onclick='}, "link", "must be the https:// address of a page"),
        ({"prefix": " https://"}, "prefix", "must have no blanks around it"),
        ({"suffix": ".acme.example/api"}, "suffix", "and a suffix no slash"),
        ({"type": "integer"}, "suffix", "only applies to a string"),
        ({"secret": True}, "prefix", "only applies to a string"),
        ({"pattern": "[a-z"}, "pattern", "is not a regular expression"),
        ({"pattern": "(?=a)[a-z]+"}, "pattern", "look-around"),
        ({"pattern": "a)|(b"}, "pattern", "is not a regular expression"),
        ({"example": ""}, "example", "is missing"),
        ({"example": "Initech Ltd"}, "example", "does not match the pattern"),
        ({"default": "Initech Ltd"}, "default", "does not match the pattern"),
    ],
)
def test_a_hint_that_cannot_be_shown_is_named(field, place, why):
    found = problem_of(**field)
    assert why in found[place], found


@pytest.mark.parametrize(
    "entered",
    [
        "initech",
        " initech ",
        "initech.acme.example",
        "https://initech.acme.example",
        "HTTPS://initech.ACME.example/agent/dashboard",
    ],
)
def test_an_address_is_entered_whole_or_in_part(entered):
    field = ConfigurationKey.model_validate(SITE)
    assert field.bare(entered) == "initech"
    assert field.matches(entered)


@pytest.mark.parametrize(
    "entered", ["initech.acme.example.evil.example", "a/b", "initech?x", "a" * 256, "ü"]
)
def test_what_is_no_part_of_the_address_does_not_match(entered):
    assert not ConfigurationKey.model_validate(SITE).matches(entered)


@pytest.mark.parametrize(
    ("way", "place"),
    [
        ({"refresh_token_idle_days": 0}, "refresh_token_idle_days"),
        ({"refresh_token_max_days": 4000}, "refresh_token_max_days"),
        (
            {"refresh_token_idle_days": 100, "refresh_token_max_days": 30},
            "refresh_token_idle_days",
        ),
        ({"refresh_token_grace_seconds": 60}, "refresh_token_grace_seconds"),
        (
            {"refresh_token_rotation": "rotating", "refresh_token_grace_seconds": 0},
            "refresh_token_grace_seconds",
        ),
        ({"account_fields": ["owner..id"]}, "account_fields[0]"),
        (
            {"token_answer": {"refresh_token_expires_in": ".x"}},
            "token_answer.refresh_token_expires_in",
        ),
    ],
)
def test_a_lifetime_or_a_path_that_cannot_be_is_named(way, place):
    assert f"authentication[0].{place}" in problems(OAUTH2 | way)


def test_lifetimes_need_a_refresh_token():
    assert "authentication[0].refresh_token_max_days" in problems(
        BASIC | {"refresh_token_max_days": 30}
    )


@pytest.mark.parametrize(
    ("lookup", "place"),
    [
        ({"values": {}}, "values"),
        ({"values": {"tenant": "0..id"}}, "values.tenant"),
        ({"values": {"code": "code"}}, "values.code"),
        ({"values": {"access_token": "t"}}, "values.access_token"),
        ({"url": "ftp://acme.test"}, "url"),
        ({"url": "https://acme.test/{tenant}"}, "url"),
        ({"values": {"tenant": "id", "api": "api"}, "hosts": {}}, "hosts.api"),
        ({"hosts": {"api": ["*.com"]}}, "hosts.api"),
    ],
)
def test_a_lookup_that_cannot_be_sent_is_named(lookup, place):
    stated = {"url": "https://acme.test/me", "values": {"tenant": "id", "api": "url"}}
    stated["hosts"] = {"api": ["*.acme.test"]}
    way = OAUTH2 | {
        "lookup": stated | lookup,
        "api": {"base_url": "{api}/v1", "scheme": "bearer"},
    }
    assert f"authentication[0].lookup.{place}" in problems(way)


def test_a_lookup_needs_a_token():
    way = BASIC | {"lookup": {"url": "https://acme.test/me", "values": {"tenant": "id"}}}
    assert "authentication[0].lookup.url" in problems(way)


@pytest.mark.parametrize(
    ("claims", "why"),
    [({"exp": "1"}, "must not set exp"), ({"aud": "x", "jti": "y"}, "must not set aud, jti")],
)
def test_a_claim_that_every_assertion_has_is_not_overridden(claims, why):
    key = {"key": "key", "label": "Key", "type": "private_key", "secret": True}
    way = {
        "type": "oauth2Application",
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "token_endpoint": "https://acme.test/token",
        "token_endpoint_auth_method": "none",
        "fields": [key],
        "assertion": {"private_key_key": "key", "issuer": "i", "claims": claims},
    }
    assert why in problems(way)["authentication[0].assertion.claims"]


@pytest.mark.parametrize(
    ("pattern", "value", "is_right"),
    [
        # The standard library needs longer than the universe is old.
        ("(a+)+", "a" * 60 + "!", False),
        ("(a|aa)+", "a" * 60 + "!", False),
        ("(a+)+", "a" * 60, True),
        ("a|ab", "ab", True),
        ("a|b", "ab", False),
        ("[a-z]+", "ab\n", True),
    ],
)
def test_no_pattern_takes_long(pattern, value, is_right):
    field = ConfigurationKey(key="site", label="Site", pattern=pattern, example="a")
    assert field.matches(value) == is_right
