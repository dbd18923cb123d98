"""docs/api.md is correct: each of its commands runs, and answers what the page shows below it."""

import json
import os
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from instances.catalogue.sandbox import SANDBOX_PASSWORD, SANDBOX_USERNAME

PAGE = Path(__file__).resolve().parents[2] / "docs/api.md"
BASE = "/elements/api-v2"


def commands():
    """Each command with the response that the page shows; None if it shows none."""
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    for (language, text), (next_language, next_text) in pairwise([*blocks, ("", "")]):
        if language == "sh":
            yield text, json.loads(next_text) if next_language == "json" else None


def run(command, variables, folder):
    """Status and body, as curl prints them."""
    (folder / ".curlrc").write_text('silent\nshow-error\nwrite-out = "\\n%{http_code}"\n')
    environment = {"PATH": os.environ["PATH"], "CURL_HOME": str(folder)} | variables
    done = subprocess.run(  # noqa: S603  the page's own commands
        ["bash", "-euc", command],  # noqa: S607
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    body, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(body) if body else None


def authorize(url):
    """Authorize in the sandbox's pages like a person; returns the code that the callback gets."""
    browser = requests.Session()
    browser.get(url, timeout=10)
    for form in (
        {"username": SANDBOX_USERNAME, "password": SANDBOX_PASSWORD},
        {"decision": "allow"},
    ):
        token = browser.cookies["csrftoken"]
        answer = browser.post(
            url, form | {"csrfmiddlewaretoken": token}, allow_redirects=False, timeout=10
        )
    query = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert query["state"] == ["what you know the browser by"]
    return query["code"][0]


def assert_shaped_as(answer, example, place="the answer"):
    """Assert that every field of the example is present, with a value of the same JSON type."""
    assert type(answer) is type(example), f"{place} is {answer!r}"
    if isinstance(example, dict):
        for name, value in example.items():
            assert name in answer, f"{place} has no {name}"
            assert_shaped_as(answer[name], value, f"{place}.{name}")
    elif isinstance(example, list) and example and isinstance(example[0], dict):
        assert answer, f"{place} is empty"
        assert_shaped_as(answer[0], example[0], f"{place}[0]")


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.django_db(transaction=True)
def test_every_command_of_the_page_answers_as_the_page_shows(sandbox, live_server, tmp_path):
    variables = {
        "HOST": live_server.url,
        "USER_SECRET": sandbox.secret.reveal(),
        "ORGANIZATION_SECRET": sandbox.organization.secret.reveal(),
    }
    for command, example in commands():
        status, answer = run(command, variables, tmp_path)
        is_refusal = isinstance(example, dict) and "message" in example
        assert (status, command) == (404 if is_refusal else 200, command), answer
        assert_shaped_as(answer, example)
        if isinstance(answer, dict) and "oauthUrl" in answer:
            variables |= {name: authorize(answer["oauthUrl"]) for name in ("CODE", "NEW_CODE")}
        if isinstance(answer, dict) and "token" in answer:
            name = "OAUTH_ID" if answer["name"] == "Acme CRM by OAuth" else "ID"
            variables.setdefault(name, str(answer["id"]))
            variables.setdefault("TOKEN", answer["token"])
    assert {"OAUTH_ID", "ID", "TOKEN", "NEW_CODE"} <= set(variables)


def test_the_page_shows_every_field_that_an_instance_has(client, api, instance):
    [example] = [
        example for command, example in commands() if example and "provisionInteractions" in example
    ]
    assert set(example) == set(instance)
    assert set(example["element"]) == set(instance["element"])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "elements"),
        ("PUT", "elements/sfdc"),
        ("POST", "elements/sfdc/clone"),
        ("GET", "elements/sfdc/export"),
        ("GET", "elements/oauthProxies"),
        ("POST", "elements/oauthProxies"),
        ("DELETE", "elements/oauthProxies/1"),
    ],
)
def test_what_decision_6_leaves_out_is_404_in_the_form_of_every_error(api, method, path):
    answer = api.call(method, path, {})
    assert answer.status_code == 404
    assert set(answer.json()) == {"requestId", "message"}


def test_the_openapi_document_is_answered_with_and_without_accept(client):
    for headers in ({}, {"Accept": "application/json"}, {"Accept": "text/html"}):
        answer = client.get(f"{BASE}/openapi.json", headers=headers)
        assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")


def test_every_operation_is_named_once_and_says_which_header_it_needs(client):
    document = client.get(f"{BASE}/openapi.json").json()
    operations = [one for path in document["paths"].values() for one in path.values()]
    names = [one["operationId"] for one in operations]
    assert len(names) == len(set(names)) > 50
    schemes = set(document["components"]["securitySchemes"])
    assert schemes == {"PlatformSecrets", "BearerToken", "ElementToken", "HubSecrets"}
    for operation in operations:
        needed = operation.get("security", document["security"])
        assert {name for requirement in needed for name in requirement} <= schemes


def test_every_document_has_the_names_of_the_wire(client):
    document = client.get(f"{BASE}/openapi.json").json()
    names = {
        name
        for schema in document["components"]["schemas"].values()
        for name in schema.get("properties", {})
    }
    assert [name for name in names if "_" in name] == []


def test_the_documentation_page_needs_nothing_from_elsewhere(client):
    page = client.get(f"{BASE}/docs", headers={"Accept": "text/html"})
    assert page.status_code == 200
    text = page.content.decode()
    assert re.findall(r"(?:src|href)=\"(?!/static/)", text) == []
    assert "<script>" not in text
    policy = page["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe-eval" not in policy
