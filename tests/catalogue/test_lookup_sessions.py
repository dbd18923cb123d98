"""What a definition may say of a second sign-in."""

import pytest

from tests.catalogue.test_validation import OAUTH2, problems

SESSION = {
    "url": "https://acme.test/login?access_token={access_token}",
    "method": "POST",
    "scheme": "headers",
    "headers": {"Accept": "application/json"},
    "values": {"session": "data.sessionId", "site": "data.url"},
    "hosts": {"site": ["*.acme.test"]},
    "secrets": ["session"],
    "lifetime_seconds": 3600,
}
WAY = OAUTH2 | {
    "lookup": SESSION,
    "probe": {"url": "{site}/me", "scheme": "headers", "headers": {"X-Session": "{session}"}},
}


def test_a_sensible_one_has_no_problems():
    assert problems(WAY) == {}


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"lifetime_seconds": None}, "lookup.lifetime_seconds"),
        ({"lifetime_seconds": 60}, "lookup.lifetime_seconds"),
        ({"secrets": ["ticket"]}, "lookup.secrets"),
        ({"values": {"session": "data.opaque", "site": "data.url"}}, "lookup.values.session"),
        ({"hosts": {}}, "lookup.hosts.site"),
    ],
)
def test_what_does_not_fit_is_a_problem_at_its_place(changes, place):
    assert f"authentication[0].{place}" in problems(WAY | {"lookup": SESSION | changes})
