"""The proxy passes calls and responses on as they are, with the credentials of the instance."""

import pytest

from instances.models import Interaction
from tests.support.provider_api import Reply


def test_a_call_arrives_as_it_was_sent(program, provider_api):
    response = program.call(
        "POST",
        "v1/contacts;a=1/%C3%A9%20x/(7)?where=email%3D'a'&where=&x+y",
        b'{"name": "Ada"}',
        content_type="application/json",
        **{"X-Own": "kept", "Accept": "text/csv"},
    )
    assert (response.status_code, response["Elements-Provider-Status"]) == (200, "200")
    assert response.body == b'{"ok": true}'
    received = provider_api.last
    assert received.method == "POST"
    assert received.target == "/api/v1/contacts;a=1/%C3%A9%20x/(7)?where=email%3D'a'&where=&x+y"
    assert received.body == b'{"name": "Ada"}'
    assert received.header("Authorization") == "Bearer access-token-0"
    assert received.header("X-Own") == "kept"
    assert received.header("Accept") == "text/csv"
    assert received.header("Content-Type") == "application/json"
    assert received.header("Content-Length") == "15"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"])
def test_every_method_goes_through(method, program, provider_api):
    assert program.call(method, "things").status_code == 200
    assert provider_api.last.method == method


def test_the_base_url_itself_can_be_called(program, provider_api):
    assert program.get("").status_code == 200
    assert provider_api.last.target == "/api"


def test_what_is_about_this_server_does_not_reach_the_provider(program, provider_api):
    program.get(
        "things",
        **{
            "Cookie": "sessionid=1",
            "Forwarded": "for=1",
            "X-Forwarded-For": "1.2.3.4",
            "X-Forwarded-Anything": "1",
            "Elements-Version": "Helium",
            "Connection": "close, X-Private",
            "X-Private": "1",
            "TE": "trailers",
            "Proxy-Authorization": "Basic x",
            "Keep-Alive": "1",
        },
    )
    names = {name.lower() for name, _ in provider_api.last.headers}
    assert names == {"host", "accept-encoding", "user-agent", "authorization"}
    assert provider_api.last.header("Host") == provider_api.netloc


def test_the_callers_own_secrets_never_leave(program, provider_api):
    program.get("things")
    sent = str(provider_api.last)
    assert program.token not in sent
    assert program.api.user.secret.reveal() not in sent


def test_the_answer_comes_back_as_it_was_sent(program, provider_api):
    headers = {
        "Content-Type": "text/html; charset=latin-1",
        "Content-Encoding": "gzip",
        "ETag": '"7"',
        "Link": '<https://x.example/2>; rel="next"',
        "WWW-Authenticate": "Bearer",
        "Set-Cookie": "a=b",
        "Access-Control-Allow-Origin": "https://evil.example",
        "Strict-Transport-Security": "max-age=1",
        "Clear-Site-Data": "*",
        "Content-Security-Policy": "default-src *",
        "Elements-Request-Id": "of-the-provider",
        "Connection": "X-Hop",
        "X-Hop": "1",
    }
    provider_api.replies["page"] = lambda _: Reply(418, b"\x1f\x8b raw", headers)
    response = program.get("page")
    assert (response.status_code, response.body) == (418, b"\x1f\x8b raw")
    assert response["Elements-Provider-Status"] == "418"
    assert response["Elements-Element-Instance-Id"] == str(program.instance.pk)
    assert response["Elements-Request-Id"] != "of-the-provider"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Security-Policy"] == "sandbox"
    assert response["Cache-Control"] == "no-store"
    kept = {"Content-Type", "Content-Encoding", "ETag", "Link", "WWW-Authenticate"}
    assert {name: response[name] for name in kept} == {name: headers[name] for name in kept}
    assert response["Content-Length"] == "6"
    gone = {"Set-Cookie", "Strict-Transport-Security", "Clear-Site-Data", "X-Hop", "Connection"}
    assert not {name for name in gone if name in response}
    assert response.get("Access-Control-Allow-Origin") is None


def test_a_key_in_a_header_replaces_the_callers(key_program, provider_api):
    response = key_program.get("things", **{"X-Api-Key": "of-the-caller", "Accept": "text/csv"})
    assert response.status_code == 200
    assert provider_api.last.header("X-Api-Key") == "k3y-of-the-account"
    assert provider_api.last.header("Accept") == "text/csv"
    assert key_program.get("things").status_code == 200
    assert provider_api.last.header("Accept") == "application/json"


def test_a_redirect_is_followed_within_the_origin(program, provider_api):
    provider_api.replies["old"] = lambda _: Reply(302, b"", {"Location": "/api/new?x=1"})
    assert program.get("old").status_code == 200
    assert provider_api.last.target == "/api/new?x=1"
    assert provider_api.last.header("Authorization") == "Bearer access-token-0"


@pytest.mark.parametrize(
    ("location", "target"),
    [
        (b"/api/a b?c=d e", "/api/a%20b?c=d%20e"),
        ("/api/é".encode(), "/api/%C3%A9"),
        (b"/api/\xe9", "/api/%C3%A9"),
        (b"new/%7e%2F%zz;a=(b)?x=[1]|%41", "/api/new/%7e%2F%zz;a=(b)?x=[1]%7C%41"),
    ],
)
def test_a_redirect_that_is_not_encoded_is_followed(location, target, program, provider_api):
    head = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: "
    provider_api.replies["old"] = lambda _: Reply(raw=head + location + b"\r\n\r\n")
    assert program.get("old").status_code == 200
    assert provider_api.last.target == target


@pytest.mark.parametrize(
    ("method", "location"),
    [
        ("GET", "http://elsewhere.example/api/new"),
        ("GET", "//elsewhere.example/api/new"),
        ("GET", "http://127.0.0.1:1/api/new"),
        ("POST", "/api/new"),
    ],
)
def test_any_other_redirect_is_relayed(method, location, program, provider_api):
    provider_api.replies["old"] = lambda _: Reply(307, b"", {"Location": location})
    response = program.call(method, "old")
    assert (response.status_code, response["Location"]) == (307, location)
    assert len(provider_api.received) == 1


def test_an_element_without_an_api_is_refused(db, provider_api):
    from tests.hubs.conftest import make_program
    from tests.support.factories import KEY_DEFINITION

    program = make_program(KEY_DEFINITION, {"api.key": "k3y", "site": "acme"})
    response = program.get("things")
    assert response.status_code == 400
    assert "base URL" in response.json()["message"]
    assert "Elements-Provider-Status" not in response


def test_a_dead_token_is_401_and_nothing_is_sent(program, provider_api):
    for token in ("", "unknown"):
        assert program.get("things", token=token).status_code == 401
    assert program.get("things", **{"Authorization": "Bearer x"}).status_code == 401
    assert provider_api.received == []


def test_another_users_secret_does_not_open_the_instance(program, provider_api):
    from tests.api.conftest import make_api_client

    for organization in ("Acme", "Other"):
        program.api = make_api_client(organization, "eve@example.com")
        assert program.get("things").status_code == 401
    assert provider_api.received == []


def test_a_disabled_instance_is_403(program, provider_api):
    assert program.api.delete(f"instances/{program.instance.pk}/enabled").status_code == 200
    assert program.get("things").status_code == 403
    assert provider_api.received == []


def test_an_instance_that_lost_its_authorization_is_403(program, provider_api):
    from instances.provisioning.lifecycle.states import State, move_instance

    move_instance(
        program.stored(),
        State.NEEDS_REAUTHORIZATION,
        expect={State.CONNECTED},
        actor="test",
        why="test",
    )
    assert program.get("things").status_code == 403
    assert provider_api.received == []


def test_the_first_success_verifies_the_instance(program, provider_api):
    assert not program.stored().is_verified
    provider_api.replies["broken"] = lambda _: Reply(500)
    provider_api.replies["page"] = lambda _: Reply(200, b"<html>", {"Content-Type": "text/html"})
    program.get("broken")
    program.get("page")
    # What a server can do, it tells without credentials.
    provider_api.replies["options"] = lambda _: Reply(204, b"")
    assert program.call("OPTIONS", "options").status_code == 204
    assert not program.stored().is_verified
    program.get("things")
    assert program.stored().is_verified


def test_a_body_that_is_too_large_is_413(program, provider_api, settings):
    settings.DATA_CALL_MAX_BODY_BYTES = 10
    assert program.call("POST", "things", b"x" * 10).status_code == 200
    assert program.call("POST", "things", b"x" * 11).status_code == 413
    assert len(provider_api.received) == 1


def test_a_long_body_arrives_whole(program, provider_api):
    body = bytes(range(256)) * 10_000
    assert program.call("PUT", "files/1", body).status_code == 200
    assert provider_api.last.body == body


def test_every_answer_is_recorded_without_bodies_and_query(program):
    program.call(
        "POST", "v1/things?where=email%3D'ada@example.com'", b"name=Ada", content_type="text/plain"
    )
    record = Interaction.objects.get(kind="data")
    assert record.method == "POST"
    assert record.url.endswith("/api/v1/things")
    assert (record.status, record.request_bytes, record.response_bytes) == (200, 8, 12)
    assert (record.request_headers, record.response_headers) == ({}, {})
    assert (record.request_body, record.response_body) == ("", "")
    assert (record.operation, record.instance_id) == ("Proxy call", program.instance.pk)
    assert record.actor == "API: ada@example.com"
