"""Providers as they are: each case is what one of them answered, with the outcome that users see.

The answers are in tests/cases/providers/, the elements in tests/cases/elements/.
"""

import base64
import json
from datetime import datetime, timedelta
from urllib.parse import unquote_plus

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from instances.models import Instance, Interaction

SECRETS = ["client-secret-1", "old-refresh-token-1", "some-api-key-1", "wrong-password-1"]

# Slow: long tables. make test has examples of them elsewhere.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture(autouse=True)
def _no_secret_is_recorded(connect):
    yield
    recorded = str([vars(one) for one in Interaction.objects.all()])
    assert not [secret for secret in SECRETS if secret in recorded]


def seconds_until(instant):
    return (datetime.fromisoformat(instant) - timezone.now()).total_seconds()


@pytest.mark.parametrize(
    ("case", "access_token", "lifetime"),
    [
        ("01-form-encoded-token", "tok-1", 5183999),
        ("03-jsonp-token", "tok-1", 3600),
        ("05a-error-null", "tok-1", 3600),
        ("05c-error-zero", "tok-1", 3600),
        ("06-slack-v2-nested-user-token", "xoxp-1-aaaa", None),
        ("08a-expires-0", "tok-1", None),
        ("08b-expires-neg", "tok-1", None),
        ("08d-expires-on", "tok-1", 3600),
        ("08f-expires-ms", "tok-1", 3600),
        ("14-int-token", "1234567890123", 3600),
        ("16b-nul-in-header", "tok-1", 3600),
        ("20-data-wrapper", "tok-1", 3600),
        ("149-narrow-scope", "tok-1", 3600),
    ],
)
def test_a_token_answer_is_read_as_the_provider_sends_it(
    connect, stub, case, access_token, lifetime
):
    account = connect.by_code(case)
    assert account.answer.status_code == 200, account.answer.content
    assert account.outcome() == ("connected", "", True)
    [probe] = stub.requests_to("api")
    assert probe.headers["authorization"] == f"Bearer {access_token}"
    ends = account.health["expiresAt"]
    assert (lifetime is None) == (ends is None)
    assert ends is None or abs(seconds_until(ends) - lifetime) < 60


@pytest.mark.parametrize(
    ("case", "cause"),
    [
        ("31-slack-200-invalid-refresh", "grant_rejected"),
        ("32-github-200-bad-refresh", "grant_rejected"),
        ("34-facebook-nested-error", "grant_rejected"),
        ("35-hubspot-bad-refresh", "grant_rejected"),
        ("36a-401-empty", "grant_rejected"),
        ("36b-400-html", "grant_rejected"),
        ("37-403-invalid-grant", "grant_rejected"),
        ("38a-aadsts50076", "grant_rejected"),
        ("39-latin1-invalid-grant", "grant_rejected"),
        ("41b-invalid-request-dead", "grant_rejected"),
        ("51-nested-invalid-grant", "grant_rejected"),
    ],
)
def test_a_dead_grant_needs_reauthorization_after_the_second_refusal(connect, stub, case, cause):
    account = connect.by_refresh_token(case)
    assert account.answer.status_code == 200
    assert account.outcome() == ("connected", "", False)
    account.refresh()
    assert account.outcome() == ("connected", cause, False)
    assert account.health["responsible"] == "nobody"
    assert account.health["valid"]
    account.refresh()
    assert account.outcome() == ("needs_reauthorization", cause, False)
    assert account.health["responsible"] == "account owner"
    assert not account.health["valid"]
    account.refresh()
    assert len(stub.requests_to("token", "refresh_token")) == 2


@pytest.mark.parametrize(
    ("case", "cause", "wait_seconds"),
    [
        ("38d-aadsts90033-temporarily", "provider_down", (90, 150)),
        ("43-503-retry-after", "provider_down", (3500, 3600)),
        ("44a-429-epoch", "rate_limited", (90, 150)),
        ("44b-429-huge", "rate_limited", (86_000, 86_400)),
        ("44c-429-date-overflow", "rate_limited", (90, 150)),
        ("45-403-rate-limit", "rate_limited", (590, 600)),
    ],
)
def test_what_passes_by_itself_is_waited_for(connect, case, cause, wait_seconds):
    account = connect.by_refresh_token(case)
    for _ in range(2):
        account.refresh()
        assert account.outcome() == ("connected", cause, False)
        assert account.health["responsible"] == "nobody"
    Instance.objects.update(refresh_failures=0)
    account.refresh()
    at_least, at_most = wait_seconds
    assert at_least < seconds_until(account.health["nextRefreshAt"]) <= at_most


@pytest.mark.parametrize(
    ("case", "has_known_end"),
    [
        ("01-form-encoded-token", True),
        ("05a-error-null", True),
        ("16b-nul-in-header", True),
        ("46-expires-0-loop", False),
        ("48-error-null", True),
        ("53-form-refresh", True),
    ],
)
def test_the_tokens_of_a_refresh_are_stored_and_verify_imported_ones(
    connect, stub, case, has_known_end
):
    account = connect.by_refresh_token(case)
    assert (account.health["lastCheckedAt"], account.health["lastSucceededAt"]) == (None, None)
    account.refresh()
    assert account.outcome() == ("connected", "", True)
    assert account.health["lastSucceededAt"]
    assert bool(account.health["nextRefreshAt"]) == has_known_end
    account.refresh()
    sent = [one.form["refresh_token"] for one in stub.requests_to("token", "refresh_token")]
    assert sent == ["old-refresh-token-1", "ref-1"][: len(sent)]
    assert len(sent) == 1 + has_known_end


@pytest.mark.parametrize(
    ("client_id", "client_secret"),
    [("tenant:client-1", "s3cr+t%2B"), ("client-id-1", "schlüssel-1")],
    ids=["130a-basic-plus-percent", "130c-basic-nonascii-secret"],
)
def test_a_basic_client_is_encoded_so_that_any_id_and_secret_arrive(
    connect, stub, request, client_id, client_secret
):
    [case] = [
        one
        for one in ("130a-basic-plus-percent", "130c-basic-nonascii-secret")
        if one in request.node.name
    ]
    client = {"oauth.api.key": client_id, "oauth.api.secret": client_secret}
    account = connect.by_code(case, "stub-code-basic", **client)
    assert account.answer.status_code == 200
    [token] = stub.requests_to("token", "authorization_code")
    pair = base64.b64decode(token.headers["authorization"].removeprefix("Basic ")).decode()
    assert [unquote_plus(part) for part in pair.split(":")] == [client_id, client_secret]


@pytest.mark.parametrize(
    ("case", "cause"),
    [
        ("160-check-403", "access_forbidden"),
        ("161-check-404-tenant-gone", "refused"),
    ],
)
def test_what_a_check_meets_is_kept_and_shown(connect, case, cause):
    account = connect.by_key(case)
    assert account.outcome() == ("connected", "", True)
    account.check()
    assert account.outcome() == ("connected", cause, True)
    assert account.health["cause"]
    assert account.health["interactionId"]


def test_a_key_that_is_changed_without_asking_is_unverified_until_a_check(connect):
    account = connect.by_key("70-good")
    account.store_key("some-api-key-1")
    assert account.outcome() == ("connected", "", True)
    account.store_key("another-api-key-1")
    assert account.outcome() == ("connected", "", False)
    account.check()
    assert account.outcome() == ("connected", "", True)


def test_a_rate_limit_that_a_check_meets_is_kept_and_shown(connect):
    account = connect.by_code("152-probe-403-later")
    assert account.outcome() == ("connected", "", True)
    account.check()
    assert account.outcome() == ("connected", "rate_limited", True)
    assert account.health["responsible"] == "nobody"


def test_tokens_of_a_code_are_kept_if_the_probe_is_rate_limited_with_403(connect):
    account = connect.by_code("155-probe-403-after-code")
    assert account.answer.status_code == 200
    assert account.outcome() == ("connected", "rate_limited", False)
    assert account.row.tokens.reveal()["access_token"] == "tok-1"


def test_a_scope_that_was_not_granted_is_shown(connect, person):
    account = connect.by_code("149-narrow-scope")
    assert account.health["missingScopes"] == ["b"]
    staff = person("staff")
    owner = account.row.organization_user
    owner.user = staff.user
    owner.save()
    page = staff.browser.get(reverse("connection", args=[account.row.pk]))
    shown = {fact.label: fact.value for fact in page.context["details"]}
    assert shown["Scopes not granted"] == "b"
    assert "Scopes not granted" in page.text


@pytest.mark.parametrize(
    ("element", "sentence"),
    [
        ("stub-noprobe", "this connector has no check"),
        ("stub-code", "They are checked automatically at"),
    ],
)
def test_an_unverified_account_says_what_verifies_it(connect, person, element, sentence):
    account = connect.by_refresh_token("70-good", element)
    assert account.outcome() == ("connected", "", False)
    assert "The credentials are stored, but not verified" in account.health["advice"]
    assert sentence in account.health["advice"]
    staff = person("staff")
    owner = account.row.organization_user
    owner.user = staff.user
    owner.save()
    assert sentence in staff.browser.get(reverse("connection", args=[account.row.pk])).text


def test_a_token_that_ends_without_a_refresh_token_is_due_at_its_end(connect):
    account = connect.by_code("151-expired-without-refresh-token")
    assert account.health["nextCheckAt"] == account.health["expiresAt"]
    Instance.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    account.check()
    assert account.outcome() == ("needs_reauthorization", "grant_rejected", True)


def test_client_credentials_that_the_customer_revoked_are_the_customers_to_renew(connect):
    account = connect.by_client_credentials("166-client-credentials-revoked")
    assert account.outcome() == ("connected", "", True)
    account.check()
    assert account.outcome() == ("connected", "credentials_rejected", True)
    account.refresh()
    assert account.outcome() == ("needs_reauthorization", "credentials_rejected", True)
    assert account.health["responsible"] == "account owner"


@pytest.mark.parametrize(
    ("case", "status", "message"),
    [
        ("62-bulk-retry-after-epoch", 429, None),
        ("63-bulk-retry-after-huge", 429, None),
        ("65-bulk-403-ratelimit", 429, "Rate Limit Exceeded"),
        ("66-bulk-nul-header", 200, None),
        ("68-bulk-408-then-ok", 502, None),
        ("69-bulk-200-html-login-page", 400, None),
        ("70-good", 200, None),
        ("154-salesforce-list-error", 400, "Session expired or invalid"),
    ],
)
def test_a_key_is_accepted_refused_or_tried_later_as_the_probe_says(connect, case, status, message):
    account = connect.by_key(case)
    assert account.answer.status_code == status, account.answer.content
    assert account.answer.json().get("providerMessage") == message
    assert int(account.answer.headers.get("Retry-After", 0)) <= 86_400
    assert Instance.objects.count() == (status == 200)


def test_a_backslash_before_u0000_is_no_nul_character(connect):
    account = connect.by_key("70-good", key=r"C:\u0000path")
    assert account.answer.status_code == 200
    assert account.row.full_configuration()["api.key"] == r"C:\u0000path"


def test_a_line_end_behind_a_pasted_secret_is_not_sent(connect, stub):
    client = {"oauth.api.secret": "client-secret-1\n"}
    account = connect.by_code("131a-post-trailing-newline", **client)
    assert account.answer.status_code == 200
    [token] = stub.requests_to("token", "authorization_code")
    assert token.form["client_secret"] == "client-secret-1"


@pytest.mark.parametrize(
    ("case", "outcome", "calls"),
    [
        ("65-bulk-403-ratelimit", 0, 2),
        ("68-bulk-408-then-ok", 0, 2),
        ("69-bulk-200-html-login-page", 1, 1),
    ],
)
def test_a_bulk_row_is_repeated_only_if_that_can_help(
    connect, stub, tmp_path, case, outcome, calls
):
    row = {"stub.case": case, "api.key": "some-api-key-1"}
    assert provision(tmp_path, "stub-key", row) == outcome
    assert len(stub.requests_to("api")) == calls


def test_a_wrong_password_is_tried_once(connect, stub, tmp_path):
    case = "60-bulk-401-empty-password"
    client = {"oauth.api.key": "client-id-1", "oauth.api.secret": "client-secret-1"}
    row = {"stub.case": case, "username": "ada", "password": "wrong-password-1"}
    assert provision(tmp_path, "stub-password", client | row) == 1
    assert len(stub.requests_to("token", "password")) == 1
    assert connect.by_password(case).answer.status_code == 400


def provision(folder, element, configuration):
    """Provision a file of one row; returns the command's exit status."""
    path = folder / "accounts.json"
    row = {"element": {"key": element}, "name": "Acme", "configuration": configuration}
    path.write_text(json.dumps([row]))
    try:
        call_command("provision_instances", path, "--user", "ada@example.com")
    except CommandError as error:
        return error.returncode
    return 0
