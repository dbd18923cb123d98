"""Credentials proved by the element's probe, at a provider that really listens."""

import base64

import pytest

from instances import errors
from instances.models import Interaction
from tests.platforms.embedded.conftest import recorded
from tests.support.provider import API_KEY, PASSWORD, USERNAME

BASIC = {"username": USERNAME, "password": PASSWORD}


def test_a_user_name_and_password_are_proved_by_the_probe(
    platform, provider, make_draft, basic_way
):
    created = platform.create_instance(make_draft(basic_way, BASIC))
    assert len(base64.b64decode(created.token)) == 32
    assert (created.tokens, created.remote_id, created.is_valid) == (None, None, True)
    assert provider.last.path == "/probe"
    assert PASSWORD not in recorded()


def test_a_wrong_password_is_refused(platform, make_draft, basic_way):
    draft = make_draft(basic_way, BASIC | {"password": "not-the-one"})
    with pytest.raises(errors.CredentialsRefusedError) as caught:
        platform.create_instance(draft)
    assert str(caught.value).startswith(
        f"{draft.label}: Loopback rejected the credentials (HTTP 401)"
    )
    assert caught.value.interaction_id == Interaction.objects.get().pk
    assert caught.value.provider_message == "Unauthorized"


def test_a_key_is_proved_in_a_header(platform, provider, make_draft):
    way = {
        "type": "apiKey",
        "fields": [{"key": "api.key", "label": "Key", "required": True, "secret": True}],
        "probe": {
            "url": f"{provider.url}/probe",
            "scheme": "headers",
            "headers": {"X-Api-Key": "{api.key}"},
        },
    }
    platform.create_instance(make_draft(way, {"api.key": API_KEY}))
    assert API_KEY not in recorded()
    with pytest.raises(
        errors.InvalidConfigurationError,
        match=r"api\.key: contains a character that is not allowed in a header",
    ):
        platform.create_instance(make_draft(way, {"api.key": "schlüssel"}))


def test_without_a_probe_credentials_are_taken_on_trust(platform, provider, make_draft, basic_way):
    way = {name: value for name, value in basic_way.items() if name != "probe"}
    assert platform.create_instance(make_draft(way, BASIC)).token
    assert provider.requests == []


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (403, errors.AccessForbiddenError),
        (404, errors.RefusedError),
        (429, errors.RateLimitedError),
        (500, errors.ProviderFaultError),
    ],
)
def test_a_probe_that_fails_says_who_must_act(
    platform, provider, make_draft, basic_way, status, kind
):
    provider.override = (status, "<html>no</html>")
    with pytest.raises(errors.PlatformError) as caught:
        platform.create_instance(make_draft(basic_way, BASIC))
    assert type(caught.value) is kind
    assert caught.value.status == status


@pytest.mark.parametrize("body", [{"ok": False, "error": "invalid_auth"}, {}, [], {"ok": "true"}])
def test_an_answer_that_says_no_with_200_proves_nothing(platform, provider, make_draft, body):
    field = {"key": "api.key", "label": "Key", "required": True, "secret": True}
    probe = {
        "url": f"{provider.url}/probe",
        "scheme": "headers",
        "headers": {"X-Api-Key": "{api.key}"},
        "success_field": "ok",
    }
    way = {"type": "apiKey", "fields": [field], "probe": probe}
    draft = make_draft(way, {"api.key": "k"})
    provider.override = (200, body)
    with pytest.raises(errors.CredentialsRefusedError):
        platform.create_instance(draft)
    provider.override = (200, {"ok": True})
    assert platform.create_instance(draft).is_proved
