"""Sections 1, 3 and 4 of the contract: rules for every response."""

import re

import pytest

from instances.api.middleware import EXPOSED_HEADERS
from tests.api.conftest import BASE, KEYED_BODY

pytestmark = pytest.mark.django_db


def assert_error(response, status):
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/json"
    document = response.json()
    assert set(document) <= {"requestId", "message", "providerMessage"}
    assert document["message"]
    assert re.fullmatch("[0-9a-f]{24}", document["requestId"])
    assert response["Elements-Request-Id"] == document["requestId"]
    return document["message"]


@pytest.mark.parametrize(
    "path", ["nowhere", "instances/abc", "instances/1/events", "objects/x/definitions", ""]
)
def test_an_unknown_path_is_404_in_the_contracts_form(api, path):
    assert_error(api.get(path), 404)
    assert_error(api.post(path, {}), 404)


def test_an_unknown_method_is_405_with_what_is_allowed(api):
    response = api.delete("elements/keys")
    assert_error(response, 405)
    assert response["Allow"] == "GET"
    assert "GET" in response.json()["message"]


def test_an_accept_that_excludes_json_is_406(api):
    assert_error(api.get("instances", Accept="text/html"), 406)
    for accept in ("*/*", "application/json", "application/*;q=0.5", "text/html, */*"):
        assert api.get("organizations/me", Accept=accept).status_code == 200


def test_a_body_that_is_not_json_by_its_type_is_415(api, instance):
    response = api.django.put(
        f"{BASE}/instances/{instance['id']}",
        "name=x",
        content_type="application/x-www-form-urlencoded",
        headers={"Authorization": api.header},
    )
    assert_error(response, 415)


def test_a_body_that_is_too_large_is_413(api):
    assert_error(api.post("instances", KEYED_BODY | {"name": "n" * 1_100_000}), 413)


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b'"x"', b"null", b"7", b"{}x", b"\xff\xfe", b"[" * 100_000, b'{"name": "\\u0000"}',
     b'{"name": "\\ud800"}', b"NaN", b""],
)  # fmt: skip
def test_a_body_that_is_no_json_object_is_400(api, body):
    response = api.django.post(
        f"{BASE}/instances",
        body,
        content_type="application/json",
        headers={"Authorization": api.header},
    )
    assert_error(response, 400)


def test_a_nul_in_the_address_is_400(api):
    assert_error(api.get("elements/a%00b"), 400)
    assert_error(api.get("instances?searchText=%00"), 400)


@pytest.mark.parametrize(
    "path", ["//instances/", "/instances//count/", "///organizations//me", "//nowhere//"]
)
def test_repeated_and_trailing_slashes_are_forgiven_without_a_redirect(api, path):
    assert api.get(f"{BASE}{path}").status_code in {200, 404}
    assert "detail" not in api.get(f"{BASE}{path}").json()
    assert api.post(f"{BASE}/instances//", KEYED_BODY).status_code == 200


def test_a_call_in_clear_to_an_https_server_is_refused_and_not_redirected(api, settings):
    settings.IS_HTTPS = True
    settings.SECURE_SSL_REDIRECT = True
    assert_error(api.post("instances", KEYED_BODY), 403)


def test_every_answer_names_its_request(api, instance):
    for path in ("instances", f"instances/{instance['id']}", "ping", "hubs", "elements"):
        assert re.fullmatch("[0-9a-f]{24}", api.get(path)["Elements-Request-Id"])


def test_a_browser_of_another_origin_may_call(api):
    preflight = api.call("OPTIONS", "instances", Authorization=None, Origin="https://app.example")
    assert preflight.status_code == 200
    assert "Authorization" in preflight["Access-Control-Allow-Headers"]
    response = api.get("instances", Origin="https://app.example")
    assert response["Access-Control-Allow-Origin"] == "*"
    assert response["Access-Control-Expose-Headers"] == EXPOSED_HEADERS
    assert "Access-Control-Expose-Headers" not in api.get("instances")


def test_a_fault_of_ours_is_500_in_the_contracts_form_and_tells_nothing(api, monkeypatch):
    from instances.api.documents.accounts import AccountDocument

    def fail(*_):
        raise RuntimeError("s3cret-inside")

    monkeypatch.setattr(AccountDocument, "of", fail)
    api.django.raise_request_exception = False
    response = api.get("organizations/me")
    assert_error(response, 500)
    assert "s3cret-inside" not in response.content.decode()
