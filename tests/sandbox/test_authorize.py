from urllib.parse import urlsplit

import pytest

from instances.sandbox.models import Grant
from tests.sandbox.conftest import CALLBACK, authorize_url, local_client, query_of


def test_a_person_signs_in_and_allows(browser):
    sign_in = browser.get(authorize_url())
    assert 'type="password"' in sign_in.text
    browser.post(
        authorize_url(), {"username": "user@sandbox.example", "password": "sandbox-password"}
    )
    consent = browser.get(authorize_url())
    assert "sandbox-client" in consent.text
    assert "127.0.0.1:51234" in consent.text

    answer = browser.post(authorize_url(), {"decision": "allow"})

    assert answer.status_code == 302
    assert answer["Location"].startswith(CALLBACK)
    query = query_of(answer)
    assert query["state"] == "the-state"
    assert query["iss"] == "http://localhost:8000/sandbox"
    assert len(query["code"]) >= 40


def test_a_wrong_password_is_told_and_nobody_is_signed_in(browser):
    answer = browser.post(
        authorize_url(), {"username": "user@sandbox.example", "password": "guessed"}
    )
    assert 'role="alert"' in answer.text
    assert "guessed" not in answer.text
    assert 'type="password"' in browser.get(authorize_url()).text


def test_signing_in_to_the_sandbox_is_not_signing_in_to_the_product(signed_in):
    assert "_auth_user_id" not in signed_in.session


def test_denying_goes_back_with_access_denied(signed_in):
    query = query_of(signed_in.post(authorize_url(), {"decision": "deny"}))
    assert query["error"] == "access_denied"
    assert query["error_description"]
    assert query["state"] == "the-state"
    assert query["iss"] == "http://localhost:8000/sandbox"
    assert not Grant.objects.exists()


def test_nothing_is_decided_before_signing_in(browser):
    answer = browser.post(authorize_url(), {"decision": "allow"})
    assert answer.status_code == 200
    assert not Grant.objects.exists()


def test_a_decision_needs_the_csrf_token(browser):
    strict = local_client(enforce_csrf_checks=True)
    assert strict.post(authorize_url(), {"decision": "allow"}).status_code == 403


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "https://attacker.example/callback",
        "http://localhost.attacker.example/",
        "http://localhost@attacker.example/",
        "http://localhost:8000@attacker.example/",
        "http://localhost\\.attacker.example/",
        "http://localhost/#fragment",
        "http://localhost:99999/",
        "http://[::1/",
        "ftp://localhost/",
        "javascript://localhost/%0aalert(1)",
        'http://attacker.example/"',
        "http://localhost/\x00",
        "",
        None,
    ],
)
def test_an_untrusted_callback_gets_a_page_and_no_redirect(browser, redirect_uri):
    answer = browser.get(authorize_url(redirect_uri=redirect_uri))
    assert answer.status_code == 400
    assert "AADSTS50011" in answer.text


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "http://localhost:1/cb",
        "https://127.0.0.1/cb?kept=1",
        "http://[::1]:9000/cb",
        "http://localhost:8000/oauth/callback",
    ],
)
def test_any_loopback_callback_may_ask(signed_in, redirect_uri):
    answer = signed_in.post(authorize_url(redirect_uri=redirect_uri), {"decision": "allow"})
    assert answer["Location"].startswith(redirect_uri)


def test_the_public_url_may_ask(signed_in, settings):
    settings.PUBLIC_URL = "https://instances.example.com"
    url = authorize_url(redirect_uri="https://instances.example.com/oauth/callback")
    answer = signed_in.post(url, {"decision": "allow"})
    assert urlsplit(answer["Location"]).hostname == "instances.example.com"


@pytest.mark.parametrize("client_id", ["somebody-else", "", None])
def test_an_unknown_client_gets_a_page_and_no_redirect(browser, client_id):
    answer = browser.get(authorize_url(client_id=client_id))
    assert answer.status_code == 400
    assert "client" in answer.text


@pytest.mark.parametrize(
    "changes",
    [
        {"code_challenge_method": "plain"},
        {"code_challenge_method": None},
        {"code_challenge": None},
        {"code_challenge": "short"},
    ],
)
def test_pkce_is_s256_or_nothing(browser, changes):
    query = query_of(browser.get(authorize_url(**changes)))
    assert query["error"] == "invalid_request"
    assert query["state"] == "the-state"
    assert query["iss"]


def test_only_codes_are_given_out(browser):
    query = query_of(browser.get(authorize_url(response_type="token")))
    assert query["error"] == "unsupported_response_type"


def test_a_response_type_of_strange_characters_gets_a_page(browser):
    assert browser.get(authorize_url(response_type='tok"en\u2603')).status_code == 400


def test_a_scope_that_is_none_goes_back_as_an_error(browser):
    assert query_of(browser.get(authorize_url(scope="caf\u00e9")))["error"] == "invalid_scope"


def test_a_parameter_sent_twice_gets_a_page(browser):
    answer = browser.get(authorize_url() + "&redirect_uri=http://localhost/other")
    assert answer.status_code == 400


def test_plain_http_away_from_this_computer_gets_a_page(browser, settings):
    settings.ALLOWED_HOSTS = ["sandbox.example.com"]
    answer = browser.get(authorize_url(), headers={"host": "sandbox.example.com"})
    assert answer.status_code == 400
    assert "https" in answer.text


def test_the_page_may_send_its_form_to_the_callback_and_run_no_script(signed_in):
    policy = signed_in.get(authorize_url())["Content-Security-Policy"]
    assert "form-action 'self' http: https:" in policy
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
