import base64
import logging
import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from instances.catalogue.sandbox import SANDBOX_CLIENT_ID, SANDBOX_CLIENT_SECRET
from instances.sandbox.models import Grant, Token
from tests.sandbox.conftest import (
    RESOURCE,
    REVOKE,
    TOKEN,
    VERIFIER,
    WHO_AM_I,
    Program,
    authorize_url,
    local_client,
    query_of,
)


def test_a_code_buys_tokens(program, code):
    answer = program.redeem(code)
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    body = answer.json()
    assert body["token_type"] == "Bearer"
    assert body["expires_in"] == 3600
    assert body["resource"] == RESOURCE
    assert body["access_token"] != body["refresh_token"]
    assert program.get(WHO_AM_I, body["access_token"]).status_code == 200


@pytest.mark.parametrize("authority", ["organizations", "contoso.onmicrosoft.com"])
@pytest.mark.parametrize("version", ["", "v2.0/"])
def test_every_authority_and_version_gives_tokens(signed_in, program, authority, version):
    base = f"/sandbox/{authority}/oauth2/{version}"
    url = authorize_url(f"{base}authorize", resource=None, scope="offline_access")
    code = query_of(signed_in.post(url, {"decision": "allow"}))["code"]
    body = program.redeem(code, path=f"{base}token").json()
    assert body["scope"] == "offline_access"
    assert "resource" not in body


def test_a_code_works_without_pkce(signed_in, program):
    url = authorize_url(code_challenge=None, code_challenge_method=None)
    code = query_of(signed_in.post(url, {"decision": "allow"}))["code"]
    assert program.redeem(code, code_verifier=None).status_code == 200


def test_a_verifier_without_a_challenge_is_refused(signed_in, program):
    url = authorize_url(code_challenge=None, code_challenge_method=None)
    code = query_of(signed_in.post(url, {"decision": "allow"}))["code"]
    assert program.redeem(code).json()["error"] == "invalid_request"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_verifier": VERIFIER[::-1]}, "invalid_grant"),
        ({"code_verifier": None}, "invalid_request"),
        ({"redirect_uri": "http://127.0.0.1:51234/other"}, "invalid_grant"),
        ({"redirect_uri": None}, "invalid_grant"),
        ({"code": "never-given-out"}, "invalid_grant"),
        ({"code": None}, "invalid_request"),
    ],
)
def test_a_code_with_something_wrong_about_it_buys_nothing(program, code, changes, error):
    answer = program.redeem(**({"code": code} | changes))
    assert answer.status_code == 400
    assert answer.json()["error"] == error
    assert not Token.objects.exists()


def test_a_code_expires_after_ten_minutes(program, code):
    Grant.objects.update(created_at=timezone.now() - timedelta(minutes=10, seconds=1))
    body = program.redeem(code).json()
    assert (body["error"], body["error_codes"]) == ("invalid_grant", [70008])


def test_a_replayed_code_kills_the_tokens_it_bought(program, code, tokens):
    replay = program.redeem(code)
    assert replay.status_code == 400
    assert replay.json()["error_codes"] == [54005]
    assert program.get(WHO_AM_I, tokens["access_token"]).status_code == 401
    assert program.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"


def test_refreshing_gives_new_tokens_and_keeps_the_old_access_token(program, tokens):
    fresh = program.refresh(tokens["refresh_token"]).json()
    assert fresh["refresh_token"] != tokens["refresh_token"]
    assert fresh["resource"] == RESOURCE
    assert program.get(WHO_AM_I, fresh["access_token"]).status_code == 200
    assert program.get(WHO_AM_I, tokens["access_token"]).status_code == 200
    assert program.refresh(fresh["refresh_token"]).status_code == 200


def test_a_refresh_token_used_again_revokes_the_grant(program, tokens):
    fresh = program.refresh(tokens["refresh_token"]).json()
    reuse = program.refresh(tokens["refresh_token"])
    assert reuse.status_code == 400
    assert reuse.json()["error"] == "invalid_grant"
    assert program.get(WHO_AM_I, fresh["access_token"]).status_code == 401
    assert program.refresh(fresh["refresh_token"]).json()["error"] == "invalid_grant"


def test_an_access_token_does_not_refresh(program, tokens):
    assert program.refresh(tokens["access_token"]).json()["error"] == "invalid_grant"


def test_a_user_name_and_password_buy_tokens(program):
    body = program.sign_in(username="User@Sandbox.example").json()
    assert body["resource"] == RESOURCE
    assert program.get(WHO_AM_I, body["access_token"]).status_code == 200
    assert program.refresh(body["refresh_token"]).json()["resource"] == RESOURCE


@pytest.mark.parametrize("changes", [{"password": "guessed"}, {"username": "x@sandbox.example"}])
def test_a_wrong_password_is_refused_in_microsofts_words(program, changes):
    answer = program.sign_in(**changes)
    assert answer.status_code == 400
    body = answer.json()
    assert body["error"] == "invalid_grant"
    assert body["error_description"].startswith("AADSTS50126: ")
    assert body["error_codes"] == [50126]
    assert body["trace_id"] != body["correlation_id"]
    assert "guessed" not in answer.text


def test_a_missing_password_is_an_invalid_request(program):
    assert program.sign_in(password=None).json()["error"] == "invalid_request"


def basic(value: bytes) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(value).decode()}"}


def test_the_client_may_authenticate_by_basic(program):
    answer = program.http.post(
        TOKEN,
        {
            "grant_type": "password",
            "username": "user@sandbox.example",
            "password": "sandbox-password",
        },
        headers=basic(f"{SANDBOX_CLIENT_ID}:{SANDBOX_CLIENT_SECRET}".encode()),
    )
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        basic(b"sandbox-client:wrong"),
        basic(b"nobody:wrong"),
        basic(b"\xff\xfe:\xff"),
        {"Authorization": "Basic \u00e9"},
        {"Authorization": "Basic"},
        {},
    ],
)
def test_a_client_that_does_not_prove_itself_is_refused(program, headers):
    answer = program.http.post(TOKEN, {"grant_type": "password"}, headers=headers)
    assert answer.status_code == 401
    assert answer.json()["error"] == "invalid_client"
    assert answer.json()["error_codes"] == [7000215]
    assert answer["WWW-Authenticate"].startswith("Basic")


@pytest.mark.parametrize("changes", [{"client_secret": "wrong"}, {"client_id": "nobody"}])
def test_posted_client_credentials_are_checked(program, changes):
    assert program.sign_in(**changes).json()["error"] == "invalid_client"


def test_an_unknown_grant_type_is_refused(program):
    answer = program.token(grant_type="magic")
    assert answer.status_code == 400
    assert answer.json()["error"] == "unsupported_grant_type"


def test_tokens_are_asked_for_by_post(program):
    assert program.http.get(TOKEN).status_code == 405


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_revoking_either_token_ends_the_grant(program, tokens, kind):
    assert program.token(path=REVOKE, token=tokens[kind]).status_code == 200
    assert program.get(WHO_AM_I, tokens["access_token"]).status_code == 401
    assert program.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"


def test_revoking_an_unknown_token_is_fine_and_does_nothing(program, tokens):
    assert program.token(path=REVOKE, token="unknown").status_code == 200
    assert program.get(WHO_AM_I, tokens["access_token"]).status_code == 200


def test_revoking_needs_a_token_and_the_client(program, tokens):
    assert program.token(path=REVOKE).json()["error"] == "invalid_request"
    refused = program.token(path=REVOKE, token=tokens["access_token"], client_secret="wrong")
    assert refused.json()["error"] == "invalid_client"
    assert program.get(WHO_AM_I, tokens["access_token"]).status_code == 200


def test_plain_http_away_from_this_computer_is_refused(program, settings):
    settings.ALLOWED_HOSTS = ["sandbox.example.com"]
    answer = program.http.post(TOKEN, headers={"host": "sandbox.example.com"})
    assert answer.status_code == 400
    assert answer.json()["error"] == "insecure_transport"


def test_neither_tables_nor_logs_hold_a_token_or_a_code(program, code, caplog):
    caplog.set_level(logging.DEBUG)
    tokens = program.redeem(code).json()
    fresh = program.refresh(tokens["refresh_token"]).json()
    secrets = [
        code,
        VERIFIER,
        *(body[kind] for body in (tokens, fresh) for kind in ("access_token", "refresh_token")),
    ]
    with connection.cursor() as cursor:
        stored = ""
        for model in (Grant, Token):
            cursor.execute(f"SELECT * FROM {model._meta.db_table}")  # noqa: S608  a name of ours
            stored += repr(cursor.fetchall())
    assert RESOURCE in stored
    for secret in secrets:
        assert secret not in stored
        assert secret not in caplog.text


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_one_alone_redeems_a_code(signed_in):
    code = query_of(signed_in.post(authorize_url(), {"decision": "allow"}))["code"]
    statuses = at_once(lambda: Program(local_client()).redeem(code).status_code)
    assert statuses.count(200) <= 1
    assert set(statuses) <= {200, 400}
    assert Grant.objects.live().count() == 0


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_one_alone_rotates_a_refresh_token(program):
    refresh_token = program.sign_in().json()["refresh_token"]
    statuses = at_once(lambda: Program(local_client()).refresh(refresh_token).status_code)
    assert statuses.count(200) <= 1
    assert set(statuses) <= {200, 400}
    assert Grant.objects.live().count() == 0


def at_once(call: Callable[[], int], count: int = 6) -> list[int]:
    """Run the call in several threads that start together; returns the results."""
    results: list[int] = []
    barrier = threading.Barrier(count)

    def run() -> None:
        barrier.wait()
        results.append(call())
        connection.close()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == count
    return results
