"""No response of the API may be cached: most contain a token, a secret or customer data."""

import pytest


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "instances"),
        ("GET", "instances/{id}"),
        ("GET", "instances/{id}/configuration"),
        ("GET", "instances/0"),
        ("POST", "instances"),
        ("POST", "authentication"),
        ("GET", "authentication/secrets"),
        ("GET", "organizations/me"),
        ("GET", "users/me"),
        ("GET", "accounts"),
        ("GET", "elements"),
        ("GET", "elements/keyed/oauth/url"),
        ("GET", "elements/keyed/oauth/token"),
        ("GET", "no-such-path"),
        ("OPTIONS", "instances"),
        ("DELETE", "instances/{id}"),
    ],
)
def test_no_answer_may_be_stored(api, instance, method, path):
    answer = api.call(method, path.format(id=instance["id"]), {} if method == "POST" else None)
    assert answer["Cache-Control"] == "no-store"


def test_a_refusal_before_any_view_may_not_be_stored_either(api, settings):
    settings.IS_HTTPS = True
    answer = api.get("instances")
    assert (answer.status_code, answer["Cache-Control"]) == (403, "no-store")
