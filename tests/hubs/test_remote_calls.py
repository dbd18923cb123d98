"""Hub calls of an instance on a remote platform are passed on to it, and answered as it answers."""

import json
from typing import Any

import pytest
from django.core.cache import cache
from django.db import OperationalError
from django.utils import timezone

from instances.models import Instance, Interaction, Organization
from instances.provisioning.lifecycle.states import State, move_instance
from tests.api.conftest import KEYED_BODY, ApiClient
from tests.support.factories import make_element, make_organization, make_organization_user
from tests.support.provider import ORGANIZATION_SECRET, USER_SECRET
from tests.support.provider_api import BLOCK, Reply

API = "/elements/api-v2"
TOKEN = "element-token-of-the-platform"


class RemoteProgram:
    """A client with an Element token of the platform."""

    def __init__(self, user):
        self.api = ApiClient(user, USER_SECRET, ORGANIZATION_SECRET)

    def call(self, method, path, body=b"", *, content_type="", token=TOKEN, **headers):
        response: Any = self.api.django.generic(
            method,
            f"{API}/{path}",
            data=body,
            content_type=content_type,
            headers={"Authorization": f"User {USER_SECRET}, Element {token}"} | headers,
        )
        response.body = response.getvalue() if response.streaming else response.content
        return response

    def get(self, path, **options):
        return self.call("GET", path, **options)

    def stored(self):
        return Instance.objects.get()

    def store(self, **columns):
        Instance.objects.update(**columns)


@pytest.fixture
def platform(settings, provider_api):
    """A remote platform: the server that others call a provider."""
    settings.PROVIDER_ALLOWED_PRIVATE_HOSTS = [provider_api.netloc]
    return provider_api


@pytest.fixture
def remote(db, platform):
    cache.clear()
    make_element()
    organization = make_organization(platform_url=platform.url, secret=ORGANIZATION_SECRET)
    user = make_organization_user(
        organization=organization, secret=USER_SECRET, email="ada@example.com"
    )
    created = {"id": 4711, "token": TOKEN, "name": "Acme", "element": {"key": "keyed"}}
    platform.replies[f"{API}/instances"] = lambda _: Reply(200, json.dumps(created).encode())
    program = RemoteProgram(user)
    response = program.api.post("instances", KEYED_BODY)
    assert response.status_code == 200, response.content
    platform.received.clear()
    return program


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "contacts?where=lastname%3D'de%20Wit'&pageSize=abc&nextPage=x%3D"),
        ("GET", "hubs/crm/contacts"),
        ("GET", "hubs/documents/files/7/links/3/x"),
        ("GET", "accounts?pageSize=1"),
        ("PATCH", "users/me"),
        ("GET", "ping"),
        ("GET", "hubs/crm/ping"),
        ("GET", "objects?getall=true"),
        ("GET", "objects/contacts/metadata"),
        ("GET", "objects/contacts/docs"),
        ("GET", "docs/crm"),
        ("POST", "bulk/query?q=select%20*%20from%20contacts"),
        ("DELETE", "contacts/%C3%A9%20(7)"),
        ("HEAD", "contacts"),
        ("OPTIONS", "contacts"),
        ("PUT", "proxy/v1/things?a=b"),
        ("GET", "proxy"),
    ],
)
def test_every_hub_call_arrives_as_it_was_sent(method, path, remote, platform):
    response = remote.call(method, path)
    assert (response.status_code, response["Elements-Provider-Status"]) == (200, "200")
    assert (platform.last.method, platform.last.target) == (method, f"{API}/{path}")
    assert platform.last.header("Authorization") == f"User {USER_SECRET}, Element {TOKEN}"


@pytest.mark.parametrize(
    "path",
    ["hubs", "hubs/crm", "hubs/crm/elements", "elements", "instances/docs", "instances;x", "docs"],
)
def test_the_platforms_own_paths_are_answered_here(path, remote, platform):
    remote.get(path, Authorization=f"{remote.api.header}, Element {TOKEN}")
    assert platform.received == []


def test_a_call_without_an_element_part_is_answered_here(remote, platform):
    assert remote.api.get("accounts").status_code == 200
    assert remote.api.get("contacts").status_code == 404
    assert platform.received == []


def test_a_body_of_any_kind_arrives_whole(remote, platform):
    body = b"--x\r\n" + b"f" * 3_000_000
    sent = remote.call("POST", "files", body, content_type="multipart/form-data; boundary=x")
    assert sent.status_code == 200
    assert platform.last.body == body
    assert platform.last.header("Content-Type") == "multipart/form-data; boundary=x"


def test_a_body_that_is_too_large_is_413(remote, platform, settings):
    settings.DATA_CALL_MAX_BODY_BYTES = 10
    assert remote.call("POST", "files", b"x" * 11).status_code == 413
    assert platform.received == []


def test_the_answer_comes_back_as_it_was_sent(remote, platform):
    headers = {
        "Content-Type": "text/csv",
        "elements-next-page-token": "bmV4dA==",
        "Elements-Returned-Count": "2",
        "Elements-Total-Count": "7",
        "Elements-Error": "where was ignored",
        "Elements-Request-Id": "of-the-platform",
        "Elements-Element-Instance-Id": "99",
        "Set-Cookie": "a=b",
        "Access-Control-Allow-Origin": "https://evil.example",
        "X-Sendfile": "/etc/passwd",
    }
    platform.replies[f"{API}/bulk/7/contacts"] = lambda _: Reply(206, iter([BLOCK] * 3), headers)
    response = remote.get("bulk/7/contacts", Accept="text/csv", Origin="https://app.example")
    assert (response.status_code, response.body) == (206, BLOCK * 3)
    assert response["Elements-Next-Page-Token"] == "bmV4dA=="
    assert response["Elements-Returned-Count"] == "2"
    assert response["Elements-Total-Count"] == "7"
    assert response["Elements-Error"] == "where was ignored"
    assert response["Elements-Element-Instance-Id"] == "4711"
    assert response["Elements-Request-Id"] != "of-the-platform"
    assert response["Access-Control-Allow-Origin"] == "*"
    assert not {"Set-Cookie", "X-Sendfile"} & set(response.headers)
    assert response["Content-Security-Policy"] == "sandbox"


def test_of_the_elements_headers_only_those_of_hub_calls_leave(remote, platform):
    remote.get(
        "objects",
        **{
            "Elements-Version": "Helium",
            "Elements-Retries": "0",
            "Elements-Own": "1",
            "Cookie": "sessionid=1",
            "X-Forwarded-For": "1.2.3.4",
        },
    )
    names = {name.lower() for name, _ in platform.last.headers}
    assert names == {"host", "accept-encoding", "user-agent", "authorization", "elements-version"}


def test_a_platform_that_repeats_what_it_got_gives_nothing_away(remote, platform):
    def echo(request):
        said = str(request).encode()
        return Reply(500, said, {"X-Echo": str(request.header("Authorization"))})

    platform.replies[f"{API}/contacts"] = echo
    # The caller has sent these itself; the organization's secret has not left.
    response = remote.get("contacts", Authorization=f"{remote.api.header}, Element {TOKEN}")
    assert response.status_code == 500
    assert ORGANIZATION_SECRET not in f"{response.body} {response.headers}"


def test_a_refusal_is_relayed_and_a_check_is_due(remote, platform):
    refusal = b'{"requestId": "1", "message": "Invalid"}'
    platform.replies[f"{API}/contacts"] = lambda _: Reply(401, refusal)
    response = remote.get("contacts")
    assert (response.status_code, response.body) == (401, refusal)
    assert response["Elements-Provider-Status"] == "401"
    assert len(platform.received) == 1
    stored = remote.stored()
    assert stored.state == "connected"
    assert stored.next_action_at <= timezone.now()


def test_without_the_database_the_response_is_passed_on(remote, platform, monkeypatch):
    def fail():
        raise OperationalError("too many clients already")

    monkeypatch.setattr("instances.hubs.calls.connection_again", fail)
    platform.replies[f"{API}/contacts"] = lambda _: Reply(401, b"{}")
    response = remote.call("POST", "contacts", b"{}", content_type="application/json")
    assert (response.status_code, response.get("Elements-Provider-Status")) == (401, "401")
    assert Interaction.objects.get(kind="data").status == 401


def test_the_first_success_verifies_the_instance(remote):
    remote.store(verified_at=None)
    assert remote.get("contacts").status_code == 200
    assert remote.stored().is_verified


@pytest.mark.parametrize("path", ["objects", "hubs/crm/ping", "docs/crm"])
def test_what_the_platform_answers_by_itself_verifies_nothing(remote, path):
    remote.store(verified_at=None)
    assert remote.get(path).status_code == 200
    assert not remote.stored().is_verified


def test_a_dead_token_or_another_users_secret_is_401(remote, platform):
    other = make_organization_user(secret="another-secret", email="eve@example.com")
    assert remote.get("contacts", token="unknown").status_code == 401
    header = f"User {other.secret.reveal()}, Element {TOKEN}"
    response = remote.get("contacts", Authorization=header)
    assert response.status_code == 401
    assert "Elements-Provider-Status" not in response
    assert platform.received == []


def test_who_may_not_call_is_told_so_whatever_the_body_is(remote, settings):
    upload = {"body": b"a;b", "content_type": "text/csv", "Accept": "text/csv"}
    assert remote.call("POST", "files", token="unknown", **upload).status_code == 401
    settings.API_CALLS_PER_MINUTE = 1
    statuses = [remote.call("POST", "files", **upload).status_code for _ in range(3)]
    assert statuses[-1] == 429


def test_a_disabled_instance_is_403_but_its_objects_are_listed(remote, platform):
    remote.store(is_disabled=True)
    for path in ("contacts", "ping", "objects/contacts/metadata", "proxy/x"):
        assert remote.get(path).status_code == 403
    assert platform.received == []
    assert remote.get("hubs/crm/objects").status_code == 200


def test_an_instance_that_lost_its_authorization_is_403(remote, platform):
    lost, connected = State.NEEDS_REAUTHORIZATION, {State.CONNECTED}
    move_instance(remote.stored(), lost, expect=connected, actor="test", why="test")
    assert remote.get("contacts").status_code == 403
    assert platform.received == []
    assert remote.get("ping").status_code == 200


@pytest.mark.parametrize("path", ["contacts/%2e%2e/x", "contacts//x", "contacts/a%2Fb", "x/..%5cy"])
def test_a_path_that_may_lead_elsewhere_is_refused(path, remote, platform):
    response = remote.api.django.generic(
        "GET",
        f"{API}/x",
        headers={"Authorization": f"User {USER_SECRET}, Element {TOKEN}"},
        RAW_URI=f"{API}/{path}",
    )
    assert response.status_code == 400
    assert platform.received == []


def test_a_redirect_to_another_origin_is_not_followed(remote, platform):
    headers = {"Location": "http://elsewhere.example/contacts"}
    platform.replies[f"{API}/contacts"] = lambda _: Reply(302, b"", headers)
    response = remote.get("contacts")
    assert (response.status_code, response["Location"]) == (302, headers["Location"])
    assert len(platform.received) == 1


def test_a_platform_that_is_down_is_502(remote, settings):
    settings.PROVIDER_ALLOWED_PRIVATE_HOSTS = ["127.0.0.1:1"]
    Organization.objects.update(platform_url="http://127.0.0.1:1")
    response = remote.get("contacts")
    assert response.status_code == 502
    assert "Elements-Provider-Status" not in response


def test_limits_hold(remote, platform, settings):
    settings.DATA_CALLS_PER_INSTANCE = 0
    assert remote.get("contacts").status_code == 429
    settings.DATA_CALLS_PER_INSTANCE = 1
    for _ in range(3):
        assert remote.get("contacts").status_code == 200


def test_a_call_is_recorded_without_bodies_and_query(remote):
    remote.call("POST", "contacts?x=ada@example.com", b'{"name": "Ada"}')
    remote.get("proxy/x")
    relayed, call = Interaction.objects.filter(kind="data").order_by("-pk")
    assert (call.method, call.status) == ("POST", 200)
    assert call.url.endswith(f"{API}/contacts")
    assert (call.request_bytes, call.response_bytes) == (15, 12)
    assert (call.request_headers, call.request_body, call.response_body) == ({}, "", "")
    assert (call.operation, call.instance_id) == ("Hub call", remote.stored().pk)
    assert call.actor == "API: ada@example.com"
    assert relayed.operation == "Proxy call"


def test_a_traced_call_is_recorded_without_secrets(remote, platform):
    assert remote.api.put("instances/4711/trace-logging").status_code == 200
    secrets = (USER_SECRET, TOKEN, ORGANIZATION_SECRET)
    platform.replies[f"{API}/contacts"] = lambda _: Reply(200, " and ".join(secrets).encode())
    remote.get("contacts")
    record = Interaction.objects.get(kind="data")
    assert "Authorization" in record.request_headers
    assert record.response_body
    assert not [secret for secret in secrets if secret in str(vars(record))]
