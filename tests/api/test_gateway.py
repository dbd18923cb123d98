"""Two Instance Managers in separate processes, one of them the remote platform of the other."""

import json
import re
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

import pytest
import requests

from instances.catalogue.sandbox import (
    SANDBOX_CLIENT_ID,
    SANDBOX_CLIENT_SECRET,
    SANDBOX_PASSWORD,
    SANDBOX_USERNAME,
)
from tests.support.factories import CUSTOM_CONFIGURATION
from tests.support.oauth1_provider import OAuth1Provider
from tests.support.provider import CLIENT_ID, CLIENT_SECRET
from tests.support.server import CALL_SECONDS, Link, Server

# Starting two processes takes longer than all the requests.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("gateway")]

CALLBACK = "http://127.0.0.1:51234/oauth/callback"
CODE_CONFIGURATION = {
    "oauth.callback.url": CALLBACK,
    "oauth.api.key": SANDBOX_CLIENT_ID,
    "oauth.api.secret": SANDBOX_CLIENT_SECRET,
    "dynamics.tenant": "yourcompanyname.crm.dynamics.com",
}
SIGNED_ELEMENT = """
key = "signed"
id = 900200
name = "Signed"
hub = "social"
description = "An element that speaks OAuth 1.0a."

[[authentication]]
type = "oauth1"
request_token_endpoint = "{url}/request_token"
authorization_endpoint = "{url}/authorize"
token_endpoint = "{url}/access_token"
provider_data = ["oauth_token", "oauth_verifier", "secret"]
fields = [
    {{key = "oauth.api.key", label = "Consumer key", required = true, secret = true}},
    {{key = "oauth.api.secret", label = "Consumer secret", required = true, secret = true}},
    {{key = "oauth.callback.url", label = "Callback URL", type = "url", required = true}},
]
"""


@dataclass(frozen=True)
class Client:
    """A program with one pair of secrets, which it uses on either host."""

    host: str
    header: str

    def call(self, method, path, body=None, **sent):
        headers = {"Authorization": self.header} | sent.pop("headers", {})
        url = f"{self.host}/elements/api-v2/{path}"
        return requests.request(
            method, url, json=body, headers=headers, timeout=CALL_SECONDS, **sent
        )

    def read(self, path, **sent):
        response = self.call("GET", path, **sent)
        assert response.status_code == 200, response.text
        return response.json()

    def create(self, body, key=""):
        return self.call("POST", "instances", body, headers={"Idempotency-Key": key} if key else {})


@dataclass(frozen=True)
class Pair:
    """client calls the gateway; direct calls the platform behind it with the same secrets."""

    gateway: Server
    second: Server
    link: Link
    provider: OAuth1Provider
    client: Client
    direct: Client

    def named(self, name):
        """The instances of this name on the platform."""
        response = self.direct.call("GET", "instances", params={"searchText": name})
        return response.json() if response.ok else []


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folders = [tmp_path_factory.mktemp(name) for name in ("gateway", "second")]
    with OAuth1Provider() as provider:
        second = Server(
            folders[1], SANDBOX_ENABLED="true", PROVIDER_ALLOWED_PRIVATE_HOSTS=provider.netloc
        )
        with Link(second.port) as link:
            gateway = Server(
                folders[0], PROVIDER_ALLOWED_PRIVATE_HOSTS=link.netloc, HTTP_TIMEOUT_SECONDS="20"
            )
            _prepare_databases(gateway, second, provider)
            header = _make_accounts(gateway, second, link)
            clients = [Client(server.url, header) for server in (gateway, second)]
            try:
                gateway.start()
                second.start()
                yield Pair(gateway, second, link, provider, *clients)
            finally:
                gateway.stop()
                second.stop()


def _prepare_databases(gateway, second, provider):
    element_file = gateway.database.with_name("signed.toml")
    element_file.write_text(SIGNED_ELEMENT.format(url=provider.url))
    gateway.manage("migrate", "--verbosity", "0")
    gateway.manage("sync_elements")
    gateway.manage("sync_elements", str(element_file))
    shutil.copy(gateway.database, second.database)


def _make_accounts(gateway, second, link):
    who = ["create_account", "--organization", "Acme", "--user", "ada@example.com", "--json"]
    user = json.loads(second.manage(*who, "--sandbox"))
    secrets = [
        f"--organization-secret={user['organizationSecret']}",
        f"--user-secret={user['userSecret']}",
    ]
    gateway.manage(*who, "--platform-url", f"http://{link.netloc}", *secrets)
    return f"User {user['userSecret']}, Organization {user['organizationSecret']}"


@pytest.fixture
def name():
    return f"Acme {uuid4()}"


def custom_body(name):
    return {
        "element": {"key": "dynamicscrmadfs"},
        "name": name,
        "tags": ["acme"],
        "configuration": CUSTOM_CONFIGURATION,
    }


def consent(url):
    """Sign in to the sandbox and allow, like a person; returns the callback's parameters."""
    with requests.Session() as browser:
        user = {"username": SANDBOX_USERNAME, "password": SANDBOX_PASSWORD}
        for form in (user, {"decision": "allow"}):
            browser.get(url, timeout=CALL_SECONDS)
            form["csrfmiddlewaretoken"] = browser.cookies["csrftoken"]
            answer = browser.post(url, form, timeout=CALL_SECONDS, allow_redirects=False)
    assert answer.headers["Location"].startswith(CALLBACK)
    return dict(parse_qsl(urlsplit(answer.headers["Location"]).query))


def code_body(pair, name):
    parameters = {
        "apiKey": SANDBOX_CLIENT_ID,
        "apiSecret": SANDBOX_CLIENT_SECRET,
        "callbackUrl": CALLBACK,
        "siteAddress": "yourcompanyname.crm.dynamics.com",
        "state": "a b/c",
    }
    url = pair.client.read("elements/dynamicscrmadfs/oauth/url", params=parameters)["oauthUrl"]
    assert url.startswith(f"{pair.second.url}/sandbox/")
    back = consent(url)
    assert back["state"] == "a b/c"
    return {
        "element": {"key": "dynamicscrmadfs"},
        "name": name,
        "providerData": {"code": back["code"]},
        "configuration": CODE_CONFIGURATION,
    }


def comparable(document):
    """The document without what differs between platforms: tags, creation time, and the authentication type sent."""
    told = document["configuration"].items()
    configuration = {key: value for key, value in told if key != "authentication.type"}
    return document | {"tags": [], "createdDate": "", "configuration": configuration}


def test_an_instance_is_the_same_at_both(pair, name):
    created = pair.client.create(custom_body(name))
    assert created.status_code == 200, created.text
    there = pair.direct.read(f"instances/{created.json()['id']}")
    assert comparable(created.json()) == comparable(there)
    assert created.json()["tags"] == ["acme"]
    assert [tag for tag in there["tags"] if not tag.startswith("im-")] == ["acme"]
    number = created.json()["id"]
    assert pair.client.read(f"instances/{number}") == created.json()
    assert pair.client.read("instances", params={"searchText": name}) == [created.json()]
    assert created.json() in pair.client.read("instances", params={"tags[]": "acme"})
    listed = pair.client.read("elements/dynamicscrmadfs/instances")
    assert created.json() in listed
    assert not [tag for one in listed for tag in one["tags"] if tag.startswith("im-")]


def test_a_change_of_name_and_tags_reaches_both_and_contacts_no_provider(pair, name):
    number = pair.client.create(custom_body(name)).json()["id"]
    change = {"name": f"{name} two", "tags": ["north", "gold"]}
    changed = pair.client.call("PATCH", f"instances/{number}", change).json()
    assert (changed["name"], changed["tags"]) == (f"{name} two", ["north", "gold"])
    there = pair.direct.read(f"instances/{number}")
    assert there["name"] == f"{name} two"
    assert there["tags"][:2] == ["north", "gold"]
    whole = pair.client.call("PUT", f"instances/{number}", changed)
    assert whole.json() == changed


def test_authenticating_again_keeps_id_and_token_at_both(pair, name):
    created = pair.client.create(code_body(pair, name)).json()
    again = pair.client.call("PUT", f"instances/{created['id']}", code_body(pair, name))
    assert again.status_code == 200, again.text
    there = pair.direct.read(f"instances/{created['id']}")
    assert {one["token"] for one in (created, again.json(), there)} == {created["token"]}
    steps = pair.direct.read(f"instances/{created['id']}/interactions")
    assert [one["step"] for one in steps].count("Exchange code") == 2


def test_what_the_platform_refuses_comes_back_in_its_own_words(pair, name):
    created = pair.client.create(custom_body(name)).json()
    wrong = {"configuration": {"user.password": "not-the-password"}}
    path = f"instances/{created['id']}"
    answers = [one.call("PUT", path, wrong) for one in (pair.direct, pair.client)]
    assert [one.status_code for one in answers] == [400, 400]
    there, here = (one.json() for one in answers)
    assert here["message"] == there["message"]
    assert here["providerMessage"] == there["providerMessage"]
    assert here["requestId"] != there["requestId"]
    assert pair.client.read(path) == created


def test_a_create_that_the_provider_refuses_leaves_nothing_at_either(pair, name):
    body = custom_body(name)
    body["configuration"] = CUSTOM_CONFIGURATION | {"user.password": "not-the-password"}
    refused = pair.client.create(body)
    assert (refused.status_code, "providerMessage" in refused.json()) == (400, True)
    assert "not-the-password" not in refused.text
    spent = code_body(pair, name)
    pair.client.create(spent | {"name": "The first"})
    refused = pair.client.create(spent)
    assert (refused.status_code, "providerMessage" in refused.json()) == (400, True)
    assert pair.named(name) == []
    assert pair.client.call("GET", "instances", params={"searchText": name}).status_code == 404


def test_it_is_disabled_enabled_and_deleted_at_both(pair, name):
    created = pair.client.create(custom_body(name)).json()
    path = f"instances/{created['id']}"
    for method, is_disabled in (("DELETE", True), ("DELETE", True), ("PUT", False)):
        switched = pair.client.call(method, f"{path}/enabled")
        assert switched.status_code == 200, switched.text
        states = [one.read(path)["disabled"] for one in (pair.client, pair.direct)]
        assert states == [is_disabled, is_disabled]
    assert pair.client.call("DELETE", path).status_code == 200
    gone = [one.call("GET", path) for one in (pair.client, pair.direct)]
    assert [one.status_code for one in gone] == [404, 404]
    assert gone[0].json()["message"] == gone[1].json()["message"]


@pytest.mark.parametrize("path", ["hubs/crm/contacts", "proxy/contacts", "nosuch", "contacts/x"])
def test_a_hub_call_is_answered_as_the_platform_answers(path, pair, name):
    token = pair.client.create(custom_body(name)).json()["token"]
    header = {"Authorization": f"{pair.client.header}, Element {token}"}
    sent = {"params": {"pageSize": "2", "$top": "2"}, "headers": header}
    here, there = (one.call("GET", path, **sent) for one in (pair.client, pair.direct))
    counts = [one.headers.get("Elements-Returned-Count") for one in (here, there)]
    assert (here.status_code, counts[0]) == (there.status_code, counts[1])
    bodies = [re.sub('"requestId": *"[^"]*"', "", one.text) for one in (here, there)]
    assert bodies[0] == bodies[1]


def test_what_is_deleted_at_the_platform_is_told_in_its_words(pair, name):
    path = f"instances/{pair.client.create(custom_body(name)).json()['id']}"
    pair.direct.call("DELETE", path)
    missing = pair.client.call("PATCH", path, {"name": "New"})
    assert missing.status_code == 404
    assert missing.json()["message"] == pair.direct.call("GET", path).json()["message"]


def test_a_client_that_the_platform_holds_need_not_be_known_here(pair, name):
    body = code_body(pair, name)
    body["configuration"] = {
        key: value for key, value in CODE_CONFIGURATION.items() if not key.startswith("oauth.api.")
    }
    assert pair.client.create(body).status_code == 200
    del body["configuration"]["dynamics.tenant"]
    answers = [one.create(body) for one in (pair.direct, pair.client)]
    assert {one.status_code for one in answers} == {400}
    assert {one.json()["message"] for one in answers} == {
        "Missing required configuration: dynamics.tenant"
    }


def test_oauth_1_takes_its_three_steps_through_both(pair, name):
    parameters = {"apiKey": CLIENT_ID, "apiSecret": CLIENT_SECRET, "callbackUrl": CALLBACK}
    given = pair.client.read("elements/signed/oauth/token", params=parameters | {"state": "mine"})
    asked = parameters | {"requestToken": given["token"]}
    url = pair.client.read("elements/signed/oauth/url", params=asked)["oauthUrl"]
    back = pair.provider.authorize(url)
    assert back["state"] == "mine"
    body = {
        "element": {"key": "signed"},
        "name": name,
        "providerData": back | {"secret": given["secret"]},
        "configuration": {
            "oauth.api.key": CLIENT_ID,
            "oauth.api.secret": CLIENT_SECRET,
            "oauth.callback.url": CALLBACK,
        },
    }
    created = pair.client.create(body)
    assert created.status_code == 200, created.text
    assert pair.direct.read(f"instances/{created.json()['id']}")["valid"] is True


@pytest.fixture
def lost(pair):
    """Set what is lost between the two; afterwards nothing is, and the platform is running."""

    def lose(fate, before_the_cut=lambda: None):
        pair.link.fate, pair.link.before_the_cut = fate, before_the_cut

    yield lose
    pair.link.fate, pair.link.before_the_cut = "delivered", lambda: None
    if not pair.second.is_running:
        pair.second.start()


def assert_connected_once(pair, name, response):
    assert response.status_code == 200, response.text
    [there] = pair.named(name)
    assert (response.json()["id"], response.json()["token"]) == (there["id"], there["token"])
    assert pair.client.read("instances", params={"searchText": name}) == [response.json()]


def assert_unknown(pair, name, response):
    assert response.status_code == 502
    assert "It is not known whether the instance was created" in response.json()["message"]
    assert pair.client.call("GET", "instances", params={"searchText": name}).status_code == 404


@pytest.mark.parametrize("make_body", [custom_body, code_body])
def test_after_a_lost_answer_the_same_request_finds_the_one_instance(pair, name, lost, make_body):
    body = make_body(name) if make_body is custom_body else make_body(pair, name)
    lost("answer lost")
    assert_unknown(pair, name, pair.client.create(body, name))
    lost("delivered")
    assert_connected_once(pair, name, pair.client.create(body, name))
    assert_connected_once(pair, name, pair.client.create(body, name))


def test_a_platform_that_is_killed_after_it_created_ends_with_one_instance(pair, name, lost):
    lost("answer lost", pair.second.kill)
    assert_unknown(pair, name, pair.client.create(custom_body(name), name))
    lost("delivered")
    down = pair.client.create(custom_body(name), name)
    assert down.status_code == 502
    pair.second.start()
    assert_connected_once(pair, name, pair.client.create(custom_body(name), name))


def test_a_request_that_never_arrived_is_sent_again_once_that_is_certain(pair, name, lost):
    lost("request lost")
    assert_unknown(pair, name, pair.client.create(custom_body(name), name))
    lost("delivered")
    early = pair.client.create(custom_body(name), name)
    assert early.status_code == 409
    assert pair.named(name) == []
    _let_time_pass(pair.gateway)
    assert_connected_once(pair, name, pair.client.create(custom_body(name), name))


def _let_time_pass(server):
    with closing(sqlite3.connect(server.database, timeout=20)) as database, database:
        database.execute(
            "UPDATE instances_instance SET state_changed_at = datetime('now', '-5 minutes') "
            "WHERE state = 'unknown'"
        )


def test_what_the_platform_had_before_is_imported_with_its_id_and_token(pair, name):
    created = pair.direct.create(custom_body(name)).json()
    out = pair.gateway.manage("import_instances", "--user", "ada@example.com")
    assert f"{name}: imported" in out
    read = pair.client.read(f"instances/{created['id']}")
    assert (read["token"], read["valid"]) == (created["token"], True)
    assert len(pair.named(name)) == 1
