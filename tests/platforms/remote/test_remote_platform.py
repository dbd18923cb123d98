"""The remote platform over HTTP: the contract's requests, and what each of its answers means."""

from dataclasses import replace

import pytest

from instances import errors
from instances.models import Interaction
from instances.platforms.registry import platform_for
from instances.platforms.remote.remote_platform import CloudElementsPlatform
from tests.platforms.conftest import CALLBACK_URL, CLIENT
from tests.support.factories import make_organization
from tests.support.oauth1_provider import signed_way
from tests.support.provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    ORGANIZATION_SECRET,
    PASSWORD,
    USER_SECRET,
)

STATE = "state-of-this-trip"


@pytest.fixture
def draft(make_draft, basic_way, remote):
    return make_draft(basic_way, {"username": "ada", "password": PASSWORD}, owner=remote)


@pytest.fixture
def code_draft(make_draft, code_way, remote):
    configuration = {**CLIENT, "oauth.callback.url": CALLBACK_URL, "acme.region": "eu"}
    return make_draft(code_way, configuration, owner=remote)


@pytest.fixture
def platform(remote):
    return platform_for(remote.organization)


def answers(provider, status, document, **headers):
    provider.override, provider.override_headers = (status, document), headers


def error(message, provider_message=None):
    return {"requestId": "6743a1b2c3d4e5f60718293a", "message": message} | (
        {"providerMessage": provider_message} if provider_message else {}
    )


def test_a_created_instance_can_be_found_by_its_tag(platform, provider, draft):
    created = platform.create_instance(draft)
    assert platform.find_instances(draft) == [created]
    assert provider.instances[created.remote_id]["token"] == created.token
    assert provider.instances[created.remote_id]["tags"] == ["Acme", f"im-{draft.uid}"]


def test_a_create_carries_the_contracts_body_and_secrets(platform, provider, draft):
    platform.create_instance(replace(draft, tags=("eu", "gold")))
    sent = provider.last
    assert (sent.method, sent.path) == ("POST", "/elements/api-v2/instances")
    assert (
        sent.headers["authorization"] == f"User {USER_SECRET}, Organization {ORGANIZATION_SECRET}"
    )
    assert sent.json == {
        "element": {"key": "loopback"},
        "name": "Acme",
        "tags": ["eu", "gold", f"im-{draft.uid}"],
        "configuration": {"username": "ada", "password": PASSWORD},
    }


def test_a_create_with_a_code_carries_what_came_back(platform, provider, code_draft):
    back = {"code": "4/abc-of-the-callback", "realmId": "12"}
    platform.create_instance(replace(code_draft, provider_data=back))
    assert provider.last.json["providerData"] == back
    assert "4/abc" not in str(vars(Interaction.objects.get()))


def test_an_element_with_several_ways_is_told_which(
    platform, provider, make_draft, basic_way, code_way, remote
):
    draft = make_draft(
        [basic_way, code_way], {"username": "ada", "password": "pass-word"}, owner=remote
    )
    platform.create_instance(draft)
    assert provider.last.json["configuration"]["authentication.type"] == "basic"


@pytest.mark.parametrize("suffix", ["", "/", "/elements/api-v2", "/elements/api-v2/"])
def test_the_base_url_may_hold_the_path_or_not(provider, draft, remote, suffix):
    remote.organization.platform_url = provider.url + suffix
    CloudElementsPlatform(remote.organization).create_instance(draft)
    assert provider.last.path == "/elements/api-v2/instances"


def test_it_is_read_disabled_enabled_changed_and_deleted(platform, provider, draft):
    created = platform.create_instance(draft)
    draft = replace(draft, remote_id=created.remote_id)
    platform.set_enabled(draft, is_enabled=False)
    assert platform.get_instance(draft).is_disabled
    platform.set_enabled(draft, is_enabled=True)
    assert not platform.get_instance(draft).is_disabled
    changed = platform.update_instance(replace(draft, name="Acme two"))
    assert (changed.token, changed.remote_id) == (created.token, created.remote_id)
    assert provider.instances[created.remote_id]["name"] == "Acme two"
    platform.delete_instance(draft)
    platform.delete_instance(draft)
    assert provider.instances == {}
    assert platform.find_instances(draft) == []


def test_an_instance_that_the_platform_calls_invalid_is(platform, provider, draft):
    created = platform.create_instance(draft)
    provider.instances[created.remote_id]["valid"] = False
    assert not platform.get_instance(replace(draft, remote_id=created.remote_id)).is_valid


def test_the_authorization_url_is_asked_for_with_client_and_plain_keys(
    platform, provider, code_draft
):
    url = platform.oauth_url(code_draft, state=STATE)
    assert url == f"{provider.url}/authorize?client_id={CLIENT_ID}&state={STATE}"
    sent = provider.last
    assert sent.path == "/elements/api-v2/elements/loopback/oauth/url"
    assert sent.query == {
        "apiKey": CLIENT_ID,
        "apiSecret": CLIENT_SECRET,
        "callbackUrl": CALLBACK_URL,
        "acme.region": "eu",
        "state": STATE,
    }


def test_the_site_address_is_asked_for_by_its_own_name(
    platform, provider, make_draft, code_way, remote
):
    field = {"key": "acme.site", "label": "Site"}
    way = code_way | {"site_address_key": "acme.site", "fields": [*code_way["fields"], field]}
    configuration = {**CLIENT, "oauth.callback.url": CALLBACK_URL, "acme.site": "acme.example"}
    platform.oauth_url(make_draft(way, configuration, owner=remote), state=STATE)
    assert provider.last.query["siteAddress"] == "acme.example"


def test_an_authorization_url_that_is_no_web_address_is_not_used(platform, provider, code_draft):
    answers(provider, 200, {"element": "loopback", "oauthUrl": "javascript:alert(1)"})
    with pytest.raises(errors.UnusableAnswerError):
        platform.oauth_url(code_draft, state=STATE)


def test_a_request_token_is_asked_for_with_the_state_in_the_callback(
    platform, provider, make_draft, code_way, remote
):
    configuration = {**CLIENT, "oauth.callback.url": CALLBACK_URL}
    draft = make_draft([signed_way(provider), code_way], configuration, owner=remote)
    answers(provider, 200, {"token": "token-of-the-step", "secret": "secret-of-the-step"})
    given = platform.request_token(draft, state=STATE)
    assert (given.token, given.secret) == ("token-of-the-step", "secret-of-the-step")
    assert provider.last.path == "/elements/api-v2/elements/loopback/oauth/token"
    assert provider.last.query["callbackUrl"] == f"{CALLBACK_URL}?state={STATE}"
    answers(provider, 200, {"element": "loopback", "oauthUrl": "https://provider.example/"})
    platform.oauth_url(replace(draft, provider_data={"oauth_token": given.token}), state=STATE)
    assert provider.last.query["requestToken"] == "token-of-the-step"
    assert provider.last.query["authentication.type"] == "oauth1"
    recorded = str([vars(one) for one in Interaction.objects.all()])
    assert not [one for one in (given.token, given.secret, STATE) if one in recorded]


def test_the_platforms_own_words_are_kept_as_they_are(platform, provider, draft):
    words = "Invalid configuration: oauth.api.key: must be one of: a, b."
    answers(provider, 400, error(words, f"Wrong: {PASSWORD}"))
    with pytest.raises(errors.CredentialsRefusedError) as caught:
        platform.create_instance(draft)
    assert caught.value.platform_message == words
    assert caught.value.provider_message == "Wrong: [redacted]"
    answers(provider, 404, error("No element found with key or ID loopback"))
    with pytest.raises(errors.UnknownElementError) as unknown:
        platform.create_instance(draft)
    assert unknown.value.platform_message == "No element found with key or ID loopback"


def test_what_the_platform_says_for_itself_is_not_taken_for_the_providers_words(
    platform, provider, draft
):
    answers(provider, 400, error("The body makes no sense"))
    with pytest.raises(errors.RefusedError) as caught:
        platform.create_instance(draft)
    assert caught.value.provider_message == ""


def test_no_secret_is_recorded(platform, provider, code_draft, draft):
    platform.oauth_url(code_draft, state=STATE)
    platform.create_instance(draft)
    recorded = str([vars(one) for one in Interaction.objects.all()])
    assert Interaction.objects.count() == 2
    assert not [one for one in {*provider.secrets, STATE} if one in recorded]


@pytest.mark.parametrize(
    ("status", "document", "kind"),
    [
        (
            401,
            error("Invalid Organization or User secret, or invalid Element token provided."),
            "ClientRefusedError",
        ),
        (400, error("Refused", "Wrong user name or password"), "CredentialsRefusedError"),
        (400, error("Refused", "invalid_client: unknown"), "ClientRefusedError"),
        (400, error("The body makes no sense"), "RefusedError"),
        (403, error("Forbidden"), "AccessForbiddenError"),
        (404, error("No element found with key loopback"), "UnknownElementError"),
        (404, "<html>nginx</html>", "UnusableAnswerError"),
        (409, error("Exists"), "RefusedError"),
        (415, error("Unsupported"), "RefusedError"),
        (429, error("Slow down"), "RateLimitedError"),
    ],
)
def test_a_create_that_is_refused_is_certain(platform, provider, draft, status, document, kind):
    answers(provider, status, document)
    with pytest.raises(errors.InstancesError) as caught:
        platform.create_instance(draft)
    assert type(caught.value).__name__ == kind
    assert str(caught.value).startswith(f"{draft.label}: ")
    assert Interaction.objects.count() == 1


def test_a_create_that_is_sent_elsewhere_was_not_done(platform, provider, draft):
    answers(provider, 301, "", Location="https://elsewhere.example/elements/api-v2/instances")
    with pytest.raises(errors.RefusedError, match=r"redirect to https://elsewhere\.example, which"):
        platform.create_instance(draft)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_after_a_fault_it_is_unknown_whether_it_was_created(platform, provider, draft, status):
    answers(provider, status, "<html>Bad gateway</html>")
    with pytest.raises(errors.OutcomeUnknownError) as caught:
        platform.create_instance(draft)
    assert caught.value.interaction_id == Interaction.objects.get().pk


@pytest.mark.parametrize(
    "mode", ["cut before", "cut after", "cut body", "html", "flood", "redirect", "nonsense"]
)
def test_after_a_lost_answer_it_is_unknown_whether_it_was_created(platform, provider, draft, mode):
    provider.mode = mode
    with pytest.raises(errors.OutcomeUnknownError) as caught:
        platform.create_instance(draft)
    assert len(provider.requests) == 1
    assert caught.value.interaction_id == Interaction.objects.get().pk
    provider.mode = "obey"
    was_done = mode != "cut before"
    assert len(platform.find_instances(draft)) == was_done


def test_after_silence_it_is_unknown_whether_it_was_created(platform, provider, draft, settings):
    settings.HTTP_TIMEOUT_SECONDS = 0.3
    provider.mode = "hang"
    with pytest.raises(errors.OutcomeUnknownError):
        platform.create_instance(draft)


@pytest.mark.parametrize(
    "document", [[], {}, {"id": 1}, {"id": 1, "token": ""}, {"id": "x", "token": "t"}, "ok"]
)
def test_a_success_that_cannot_be_read_is_unknown(platform, provider, draft, document):
    answers(provider, 200, document)
    with pytest.raises(errors.OutcomeUnknownError):
        platform.create_instance(draft)


def test_a_platform_that_cannot_be_reached_created_nothing(platform, draft, settings):
    settings.PROVIDER_ALLOWED_PRIVATE_HOSTS = []
    with pytest.raises(errors.BlockedAddressError):
        platform.create_instance(draft)


def test_missing_configuration_is_named_in_full(platform, provider, draft):
    answers(provider, 400, error("Missing required configuration: user.password, dynamics.tenant"))
    with pytest.raises(errors.MissingConfigurationError) as caught:
        platform.create_instance(draft)
    assert caught.value.keys == ["user.password", "dynamics.tenant"]


def test_a_missing_code_is_told_in_the_contracts_words(platform, provider, code_draft):
    answers(provider, 400, error(str(errors.MissingCodeError())))
    with pytest.raises(errors.MissingCodeError):
        platform.create_instance(code_draft)


def test_a_code_that_the_provider_does_not_take_is_a_rejected_grant(platform, provider, code_draft):
    answers(provider, 400, error("Refused", "invalid_grant: code 4/abc-of-the-callback expired"))
    draft = replace(code_draft, provider_data={"code": "4/abc-of-the-callback"})
    with pytest.raises(errors.GrantRejectedError) as caught:
        platform.create_instance(draft)
    assert caught.value.provider_message == "invalid_grant: code [redacted] expired"


@pytest.mark.parametrize(("value", "seconds"), [("7", 7), ("", None), ("soon", None)])
def test_retry_after_is_told(platform, provider, draft, value, seconds):
    answers(provider, 429, error("Slow down"), **{"Retry-After": value})
    with pytest.raises(errors.RateLimitedError) as caught:
        platform.create_instance(draft)
    assert caught.value.retry_after_seconds == seconds


def test_retry_after_may_be_a_date(platform, provider, draft):
    answers(provider, 429, error("Slow down"), **{"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"})
    with pytest.raises(errors.RateLimitedError) as caught:
        platform.create_instance(draft)
    assert caught.value.retry_after_seconds == 0


def test_an_instance_that_is_gone_is_told_so(platform, draft):
    with pytest.raises(errors.GoneError):
        platform.get_instance(replace(draft, remote_id=1))
    with pytest.raises(errors.GoneError):
        platform.get_instance(draft)


def test_a_404_of_something_else_is_not_taken_for_an_answer(platform, provider, draft):
    answers(provider, 404, "<html>nothing here</html>")
    with pytest.raises(errors.UnusableAnswerError):
        platform.find_instances(draft)
    with pytest.raises(errors.UnusableAnswerError):
        platform.delete_instance(replace(draft, remote_id=1))


def test_strangers_instances_are_never_adopted(platform, provider, draft):
    platform.create_instance(draft)
    answers(provider, 200, [{"id": 1, "token": "t", "tags": [{"id": 5, "name": "other"}]}])
    assert platform.find_instances(draft) == []


def test_a_list_that_is_none_is_not_taken_for_nothing_found(platform, provider, draft):
    answers(provider, 200, {"items": []})
    with pytest.raises(errors.UnusableAnswerError):
        platform.find_instances(draft)


def test_without_secrets_nothing_is_sent(provider, draft):
    organization = make_organization(platform_url=provider.url)
    organization.secret = ""
    with pytest.raises(errors.ClientRefusedError, match=r"secrets of .* are missing"):
        CloudElementsPlatform(organization).create_instance(draft)
    assert provider.requests == []
