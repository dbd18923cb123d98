"""One listener that plays every host, and records which host each request was meant for."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from instances.platforms.transport.connections import GuardedAdapter
from tests.support.provider import Answer, Provider, Request

TOKENS = {
    "access_token": "access-token-of-the-internet",
    "refresh_token": "refresh-token-of-the-internet",
    "expires_in": 3600,
    "oauth_token": "oauth-token-of-the-internet",
    "oauth_token_secret": "oauth-token-secret-of-the-internet",
}


class Internet(Provider):
    """Answer every request with success, as any host.

    hosts: the requested host names, in order. token_values: what token answers contain besides tokens.
    """

    token_values: Mapping[str, str] = {}

    @property
    def hosts(self) -> list[str]:
        return [request.headers["host"] for request in self.requests]

    def answer(self, request: Request) -> Answer:
        return 200, TOKENS | self.token_values


def lead_everything_to(internet: Internet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redirect all outgoing requests to it, https included; the Host header keeps the name."""
    send = GuardedAdapter.send_once

    def redirected(self: GuardedAdapter, request: requests.PreparedRequest, **how: Any) -> Any:
        parts = urlsplit(request.url or "")
        request.headers["Host"] = parts.netloc
        request.url = parts._replace(scheme="http", netloc=internet.netloc).geturl()
        return send(self, request, **how)

    monkeypatch.setattr(GuardedAdapter, "send_once", redirected)
