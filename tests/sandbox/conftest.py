"""A browser and a client program for the sandbox, and the flow from the authorization endpoint to tokens."""

import base64
import hashlib
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from django.test import Client

from instances.catalogue.sandbox import (
    SANDBOX_CLIENT_ID,
    SANDBOX_CLIENT_SECRET,
    SANDBOX_PASSWORD,
    SANDBOX_USERNAME,
)

CALLBACK = "http://127.0.0.1:51234/oauth/callback"
VERIFIER = "a-verifier-of-at-least-forty-three-characters-0123456789"
CHALLENGE = (
    base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
)
AUTHORIZE = "/sandbox/common/oauth2/authorize"
TOKEN = "/sandbox/common/oauth2/token"
REVOKE = "/sandbox/common/oauth2/revoke"
WHO_AM_I = "/sandbox/api/data/v9.2/WhoAmI"
RESOURCE = "https://yourcompanyname.crm.dynamics.com"


def authorize_url(path: str = AUTHORIZE, **changes: str | None) -> str:
    """An authorization request; a parameter that is None is omitted."""
    parameters = {
        "client_id": SANDBOX_CLIENT_ID,
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "state": "the-state",
        "resource": RESOURCE,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    } | changes
    return f"{path}?{urlencode({name: value for name, value in parameters.items() if value is not None})}"


def query_of(response: Any) -> dict[str, str]:
    """The query parameters of a redirect."""
    return {
        name: values[0] for name, values in parse_qs(urlsplit(response["Location"]).query).items()
    }


def local_client(**options: Any) -> Client:
    """A test client that calls the sandbox by a loopback name, since only those allow http."""
    return Client(SERVER_NAME="localhost", SERVER_PORT="8000", **options)


@dataclass(frozen=True)
class Program:
    """A client program that has the client's credentials, and calls the token endpoint and the API."""

    http: Client

    def token(self, *, path: str = TOKEN, **changes: str | None) -> Any:
        form = {
            "client_id": SANDBOX_CLIENT_ID,
            "client_secret": SANDBOX_CLIENT_SECRET,
        } | changes
        return self.http.post(
            path, {name: value for name, value in form.items() if value is not None}
        )

    def redeem(self, code: str | None, **changes: str | None) -> Any:
        form: dict[str, Any] = {
            "code": code,
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
        } | changes
        return self.token(grant_type="authorization_code", **form)

    def refresh(self, refresh_token: str) -> Any:
        return self.token(grant_type="refresh_token", refresh_token=refresh_token)

    def sign_in(self, **changes: str | None) -> Any:
        form: dict[str, Any] = {
            "username": SANDBOX_USERNAME,
            "password": SANDBOX_PASSWORD,
        } | changes
        return self.token(grant_type="password", resource=RESOURCE, **form)

    def get(self, path: str, access_token: str) -> Any:
        return self.http.get(path, headers={"Authorization": f"Bearer {access_token}"})


@pytest.fixture
def browser(db):
    return local_client()


@pytest.fixture
def signed_in(browser):
    """A browser that is signed in to the sandbox."""
    browser.post(authorize_url(), {"username": SANDBOX_USERNAME, "password": SANDBOX_PASSWORD})
    return browser


@pytest.fixture
def staff(browser, admin_user):
    browser.force_login(admin_user)
    return browser


@pytest.fixture
def program(db):
    return Program(local_client(enforce_csrf_checks=True))


@pytest.fixture
def code(signed_in):
    return query_of(signed_in.post(authorize_url(), {"decision": "allow"}))["code"]


@pytest.fixture
def tokens(program, code):
    return program.redeem(code).json()
