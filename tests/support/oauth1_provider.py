"""An OAuth 1.0a provider on the loopback. It checks signatures as RFC 5849 describes, without a library."""

import base64
import hashlib
import hmac
import secrets
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from tests.support.provider import CLIENT_ID, CLIENT_SECRET, Answer, Provider, Request

CLIENT_FIELDS = [
    {"key": "oauth.api.key", "label": "Consumer key", "required": True, "secret": True},
    {"key": "oauth.api.secret", "label": "Consumer secret", "required": True, "secret": True},
    {"key": "oauth.callback.url", "label": "Callback URL", "type": "url", "required": True},
]


def signed_way(provider: Provider) -> dict[str, object]:
    """The authentication type of an element that uses this provider."""
    return {
        "type": "oauth1",
        "request_token_endpoint": f"{provider.url}/request_token",
        "authorization_endpoint": f"{provider.url}/authorize",
        "token_endpoint": f"{provider.url}/access_token",
        "authorize_params": {"perms": "write"},
        "provider_data": ["oauth_token", "oauth_verifier", "secret", "realmId"],
        "fields": CLIENT_FIELDS,
    }


def signed_element(provider: Provider) -> dict[str, object]:
    return {
        "key": "signed",
        "id": 900200,
        "name": "Signed",
        "hub": "social",
        "description": "An element that speaks OAuth 1.0a.",
        "authentication": [signed_way(provider)],
    }


class OAuth1Provider(Provider):
    """/request_token and /access_token (RFC 5849 2), and /signed, which accepts requests signed with an access token.

    callbacks: by request token, the URL to which the browser is sent back.
    """

    def __init__(self) -> None:
        super().__init__()
        self.callbacks: dict[str, str] = {}
        self.token_secrets: dict[str, str] = {}
        self.verifiers: dict[str, str] = {}
        self._nonces: set[str] = set()

    def authorize(self, url: str) -> dict[str, str]:
        """Consent; returns the parameters that the callback receives, including the state in its own query."""
        token = dict(parse_qsl(urlsplit(url).query))["oauth_token"]
        self.verifiers[token] = self._issue("verifier")
        came_with = dict(parse_qsl(urlsplit(self.callbacks[token]).query))
        return came_with | {"oauth_token": token, "oauth_verifier": self.verifiers[token]}

    def answer(self, request: Request) -> Answer:
        if request.path not in {"/request_token", "/access_token", "/signed"}:
            return super().answer(request)
        parameters = _parameters_of(request)
        token = parameters.get("oauth_token", "")
        token_secret = self.token_secrets.get(token, "")
        if parameters["oauth_consumer_key"] != CLIENT_ID:
            return 401, "oauth_problem=consumer_key_unknown"
        if parameters["oauth_nonce"] in self._nonces:
            return 401, "oauth_problem=nonce_used"
        self._nonces.add(parameters["oauth_nonce"])
        if not _is_signed(request, self.url, parameters, token_secret):
            return 401, "oauth_problem=signature_invalid"
        if request.path == "/signed":
            is_known = token.startswith("access-token") and token in self.token_secrets
            return (200, {"id": 1}) if is_known else (401, "oauth_problem=token_rejected")
        if request.path == "/request_token":
            given = self._give("request-token")
            self.callbacks[given["oauth_token"]] = parameters["oauth_callback"]
            return 200, urlencode(given | {"oauth_callback_confirmed": "true"})
        if self.verifiers.pop(token, None) != parameters.get("oauth_verifier"):
            return 401, "oauth_problem=token_rejected"
        return 200, urlencode(self._give("access-token") | {"screen_name": "ada"})

    def _give(self, kind: str) -> dict[str, str]:
        token, secret = self._issue(kind), f"{secrets.token_hex(8)}/+&={kind}-secret"
        self.issued.add(secret)
        self.token_secrets[token] = secret
        return {"oauth_token": token, "oauth_token_secret": secret}


def _parameters_of(request: Request) -> dict[str, str]:
    """The protocol parameters of the Authorization header (RFC 5849 3.5.1)."""
    scheme, _, pairs = request.headers["authorization"].partition(" ")
    assert scheme == "OAuth"
    split = [pair.strip().partition("=") for pair in pairs.split(",")]
    return {unquote(name): unquote(value.strip('"')) for name, _, value in split}


def _is_signed(
    request: Request, base_url: str, parameters: dict[str, str], token_secret: str
) -> bool:
    """Compute the signature (RFC 5849 3.4.1 and 3.4.2)."""
    signed = {name: value for name, value in parameters.items() if name != "oauth_signature"}
    signed |= request.query
    pairs = sorted((_encode(name), _encode(value)) for name, value in signed.items())
    normalized = "&".join(f"{name}={value}" for name, value in pairs)
    url = f"{base_url}{request.path}"
    base = "&".join([request.method, _encode(url), _encode(normalized)])
    key = f"{_encode(CLIENT_SECRET)}&{_encode(token_secret)}"
    digest = hmac.digest(key.encode(), base.encode(), hashlib.sha1)
    return base64.b64encode(digest).decode() == parameters["oauth_signature"]


def _encode(text: str) -> str:
    return quote(text, safe="~")
