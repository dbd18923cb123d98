"""Bullhorn: an access token is only good for a second sign-in, which opens a session (two-step login)."""

import time
from contextlib import closing, suppress
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db.models import QuerySet
from django.utils import timezone

from instances import errors
from instances.hubs.calls import connect
from instances.hubs.credentials import read_credentials
from instances.models import Instance, Interaction
from instances.platforms.embedded import lookup
from instances.platforms.registry import platform_for
from instances.provisioning.lifecycle.check import check_instance
from instances.provisioning.lifecycle.provision import provision_instance
from instances.provisioning.lifecycle.reauthenticate import reauthenticate_as_planned
from instances.provisioning.lifecycle.refresh import refresh_instance
from instances.provisioning.plan import plan_changes
from instances.provisioning.platform_requests import platform_request
from tests.conftest import shipped
from tests.support.factories import make_instance, make_organization, make_organization_user
from tests.support.provider import CLIENT_ID, CLIENT_SECRET, Provider

REST = "/rest-services/e999"


class SessionProvider(Provider):
    """/rest-services/login takes each access token once, and everything below REST takes the last session.

    login_answer: in place of what it would answer.
    """

    def __init__(self):
        super().__init__()
        self.login_answer = None
        self.sessions = []
        self.used = set()

    def answer(self, request):
        if request.path == "/rest-services/login":
            return self.login_answer or self._login(request)
        if request.path.startswith(REST):
            is_known = request.headers.get("bhresttoken") in self.sessions[-1:]
            has_other = "authorization" in request.headers
            # Hostile: it repeats what was sent.
            refused = {"message": f"Who is {request.headers.get('bhresttoken')}?"}
            return (200, {"ok": True}) if is_known and not has_other else (401, refused)
        status, answer = super().answer(request)
        if request.path == "/token":
            # As Bullhorn's, access tokens end long before a session does.
            answer |= {"expires_in": 600}
        return status, answer

    def _login(self, request):
        token = request.query.get("access_token")
        is_new = token in self.access_tokens and token not in self.used
        if request.method != "POST" or request.query["version"] != "*" or not is_new:
            return 401, {"errorMessage": f"Invalid or expired OAuth access token: {token}"}
        self.used.add(token)
        self.sessions.append(self._issue("session"))
        rest_url = f"https://rest42.bullhornstaffing.com{REST}/"
        return 200, {"BhRestToken": self.sessions[-1], "restUrl": rest_url}


@pytest.fixture
def provider(settings):
    with SessionProvider() as provider:
        settings.PROVIDER_ALLOWED_PRIVATE_HOSTS = [provider.netloc]
        yield provider


@pytest.fixture
def draft(db, provider):
    at_provider = {
        "https://{bullhorn.auth.host}/oauth": provider.url,
        "https://{bullhorn.rest.host}": provider.url,
        "{rest_url}": f"{provider.url}{REST}",
    }
    organization = make_organization(endpoint_overrides={"bullhorn": at_provider})
    return make_instance(
        organization_user=make_organization_user(organization=organization),
        element=shipped("bullhorn"),
        configuration={
            "oauth.api.key": CLIENT_ID,
            "oauth.api.secret": CLIENT_SECRET,
            "oauth.callback.url": "https://app.example/callback",
        },
        authentication_type="oauth2",
        external_authentication="none",
    )


def authorized(provider, draft):
    request = platform_request(draft, actor="test")
    url = platform_for(request.organization).oauth_url(request, state="s")
    return provision_instance(draft, actor="test", provider_data=provider.authorize(url))


@pytest.fixture
def connected(provider, draft):
    return authorized(provider, draft)


def stored():
    return Instance.objects.get()


def call(instance, target="entity/Candidate/5"):
    with (
        closing(connect(instance, actor="test", operation="Proxy call")) as api,
        api.send("GET", target) as answer,
    ):
        return answer.status


def test_the_session_is_opened_proved_and_sealed(provider, connected):
    assert (connected.state, connected.is_verified) == ("connected", True)
    assert provider.last.path == f"{REST}/ping"
    lifetime = connected.expires_at - timezone.now()
    assert timedelta(minutes=59) < lifetime <= timedelta(hours=1)
    assert connected.refresh_due_at is not None
    assert call(connected) == 200
    shown = str([vars(one) for one in Interaction.objects.all()]) + str(vars(stored()))
    assert "rest-services/login" in shown
    assert not [secret for secret in provider.issued if secret in shown]


def test_each_refresh_opens_a_new_session(provider, connected):
    refresh_instance(connected, actor="test")
    assert len(provider.sessions) == 2
    assert call(stored()) == 200
    assert stored().tokens.reveal()["extra"]["bh_rest_token"] == provider.sessions[-1]


def test_a_session_that_ended_early_is_replaced_without_a_new_consent(provider, connected):
    provider.sessions.append("of-nobody")
    assert call(connected) == 200
    provider.sessions.append("of-nobody")
    check_instance(stored(), actor="test")
    assert (stored().state, stored().cause) == ("connected", "")
    assert len(provider.codes) == 0
    shown = str([vars(one) for one in Interaction.objects.all()])
    assert "Who is [redacted]?" in shown
    assert not [secret for secret in provider.issued if secret in shown]


def test_tokens_are_kept_if_the_second_sign_in_is_down_and_the_check_signs_in(provider, connected):
    before = stored().tokens.reveal()["refresh_token"]
    provider.login_answer = (503, "down")
    refresh_instance(connected, actor="test")
    instance = stored()
    assert instance.tokens.reveal()["refresh_token"] != before
    assert instance.next_action_at <= timezone.now()
    with suppress(errors.PlatformError):
        check_instance(instance, actor="test")
    assert (stored().state, stored().cause) == ("connected", "provider_down")
    with pytest.raises(errors.InstanceUnusableError, match="not the sign-in that calls need"):
        call(stored())
    provider.login_answer = None
    check_instance(stored(), actor="test")
    assert (stored().cause, call(stored())) == ("", 200)
    assert stored().refresh_due_at > timezone.now() + timedelta(minutes=20)
    assert stored().expires_at > timezone.now() + timedelta(minutes=50)


def test_calls_do_not_sign_in_again_and_again(provider, connected):
    """Each sign-in takes new tokens, which replace the refresh token."""
    provider.login_answer = (503, "down")
    refresh_instance(connected, actor="test")
    with pytest.raises(errors.InstanceUnusableError):
        call(stored())
    sent = len(provider.requests)
    for _ in range(3):
        with pytest.raises(errors.InstanceUnusableError):
            call(stored())
    assert len(provider.requests) == sent


def test_a_process_that_is_killed_while_it_signs_in_loses_no_refresh_token(
    provider, connected, monkeypatch
):
    def killed(*_, **__):
        raise SystemExit

    monkeypatch.setattr(lookup, "exchange", killed)
    with pytest.raises(SystemExit):
        refresh_instance(connected, actor="test")
    monkeypatch.undo()
    assert stored().tokens.reveal()["refresh_token"] in provider.refresh_tokens
    assert call(stored()) == 200


def test_who_waits_for_a_refresh_waits_for_the_session_too(provider, connected, monkeypatch):
    """Another process has just stored its tokens, and is signing in."""
    refresh_instance(Instance.objects.get(), actor="other")
    complete = stored().tokens.reveal()
    until = timezone.now() + timedelta(minutes=1)
    row = stored()
    row.tokens = complete | {"extra": {}}
    row.lease_holder, row.leased_until = uuid4(), until
    row.save()

    def finished(_seconds):
        row.tokens, row.lease_holder, row.leased_until = complete, None, None
        row.save()

    monkeypatch.setattr(time, "sleep", finished)
    assert refresh_instance(connected, actor="test").tokens.reveal() == complete


def test_a_check_overwrites_no_tokens_that_arrived_late(provider, connected):
    QuerySet.update(Instance.objects.all(), state="needs_reauthorization")
    checked = stored()
    Instance.objects.update(tokens_version=checked.tokens_version + 1)
    with pytest.raises(errors.StateConflictError):
        check_instance(checked, actor="test")
    assert stored().state == "needs_reauthorization"


def test_programs_may_read_the_session_and_its_end(provider, connected):
    connected.organization_user.may_read_credentials = True
    credentials = read_credentials(connected, minimum_lifetime=timedelta(0), actor="test")
    assert credentials.headers == {"BhRestToken": provider.sessions[-1]}
    assert credentials.expires_at == connected.expires_at


def test_a_call_signs_in_itself(provider, connected):
    provider.login_answer = (503, "down")
    refresh_instance(connected, actor="test")
    provider.login_answer = None
    assert call(stored()) == 200


@pytest.mark.parametrize(
    "base_url",
    [
        "https://evil.example/",
        "http://rest42.bullhornstaffing.com/",
        "https://bullhornstaffing.com",
    ],
)
def test_a_session_is_sent_to_no_other_host(provider, draft, base_url):
    organization = draft.organization_user.organization
    del organization.endpoint_overrides["bullhorn"]["{rest_url}"]
    organization.save()
    provider.login_answer = (200, {"BhRestToken": "token-of-a-session", "restUrl": base_url})
    with pytest.raises(errors.HostNotAllowedError):
        authorized(provider, draft)
    assert provider.last.path == "/rest-services/login"


@pytest.mark.parametrize(
    "answer",
    [
        "no JSON",
        {},
        [],
        {"BhRestToken": "t"},
        {"BhRestToken": 9 * ["t"], "restUrl": "https://rest42.bullhornstaffing.com"},
        {"BhRestToken": "t" * 8_001, "restUrl": "https://rest42.bullhornstaffing.com"},
        "x" * 1_100_000,
    ],
)
def test_a_hostile_answer_opens_no_session(provider, draft, answer):
    """The code is used up, so the tokens are kept if the next check may get another answer."""
    provider.login_answer = (200, answer)
    with suppress(errors.PlatformError):
        authorized(provider, draft)
    instance = stored()
    assert not instance.is_verified
    assert "Ask the account owner" not in instance.cause_message
    assert instance.cause_message
    assert "bh_rest_token" not in instance.tokens.reveal().get("extra", {})
    assert [one.path for one in provider.requests[-2:]] == ["/token", "/rest-services/login"]


def test_a_refused_second_sign_in_is_explained(provider, draft):
    provider.login_answer = (401, {"errorMessage": "Invalid or expired OAuth access token."})
    with pytest.raises(errors.GrantRejectedError, match="rejected the access token"):
        authorized(provider, draft)


def test_a_new_consent_while_the_sign_in_is_down_keeps_no_former_session(provider, connected):
    """The former session may be of another account."""
    provider.login_answer = (503, "down")
    request = platform_request(connected, actor="test")
    url = platform_for(request.organization).oauth_url(request, state="s")
    plan = plan_changes(connected, {}, provider_data=provider.authorize(url))
    reauthenticate_as_planned(connected, plan, actor="test")
    assert "bh_rest_token" not in stored().tokens.reveal()["extra"]
    assert stored().cause == "provider_down"
