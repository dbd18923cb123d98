"""A strict authorization server that listens: each client proves itself with assertions (RFC 7521, RFC 7523) or its secret.

It verifies with the primitives of `cryptography`, independently of the library that the program signs with.
"""

import base64
import itertools
import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.hashes import SHA256

from tests.support.loopback import LoopbackHandler, LoopbackServer

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
CLIENT_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
# RFC 7523 3: an assertion that is valid for unreasonably long may be rejected.
MAX_LIFETIME_SECONDS = 600


class AssertionRefusedError(Exception):
    """Why an assertion was not accepted."""


@dataclass(frozen=True)
class Registered:
    """A client's key. header: what the header must be, in addition to typ."""

    public_key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey
    header: dict[str, str]


class AssertionProvider(LoopbackServer):
    """POST …/token issues tokens for client assertions and signed grants, and every other path is an API that takes the tokens.

    provider.clients["id"] = Registered(…)    who is known
    provider.secrets["id"] = "…"              who proves itself with a secret instead
    provider.is_forbidden = True              the API answers 403 to valid tokens
    provider.forms, provider.paths            the token requests
    provider.grants                           the claims of signed grants
    provider.refusals                         why assertions were not accepted
    provider.audience                         what aud must be; None: the URL that is called
    """

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.clients: dict[str, Registered] = {}
        self.secrets: dict[str, str] = {}
        self.is_forbidden = False
        self.forms: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.refusals: list[str] = []
        self.grants: list[dict[str, Any]] = []
        self.audience: str | None = None
        self.tokens: set[str] = set()
        self._seen: set[str] = set()
        self._numbers = itertools.count(1)

    @property
    def assertions(self) -> list[str]:
        return [form.get("client_assertion") or form["assertion"] for form in self.forms]

    def answer_token(self, url: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        self.forms.append(form)
        if form.get("grant_type") == JWT_BEARER:
            return self._answer_grant(url, form)
        if form.get("client_id") in self.secrets:
            return self._answer_secret(form)
        try:
            if form.get("client_assertion_type") != CLIENT_ASSERTION_TYPE:
                raise AssertionRefusedError("no client_assertion_type")
            claims = self.verify(form.get("client_assertion", ""), audience=self.audience or url)
            if claims["iss"] != claims["sub"] or form.get("client_id") != claims["sub"]:
                raise AssertionRefusedError("iss, sub and client_id differ")
            if form.get("grant_type") != "client_credentials" or "client_secret" in form:
                raise AssertionRefusedError("another grant, or a secret next to the assertion")
        except AssertionRefusedError as refusal:
            self.refusals.append(str(refusal))
            # Hostile: what was sent comes back in an error message.
            echo = f"{refusal}: got {form.get('client_assertion')}"
            return 401, {"error": "invalid_client", "error_description": echo}
        return 200, self._issue()

    def _answer_secret(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """RFC 6749 4.4: nothing but the client and the scope."""
        is_known = form.get("client_secret") == self.secrets[form["client_id"]]
        if is_known and form.keys() == {"grant_type", "client_id", "client_secret", "scope"}:
            return 200, self._issue()
        self.refusals.append("unknown client, or another secret")
        echo = f"AADSTS7000215: not the secret of {form['client_id']}: {form.get('client_secret')}"
        return 401, {"error": "invalid_client", "error_description": echo}

    def _answer_grant(self, url: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """RFC 7523 2.1: nothing but the grant, which names its own scope."""
        try:
            if form.keys() != {"grant_type", "assertion"}:
                raise AssertionRefusedError("other parameters")
            self.grants.append(self.verify(form["assertion"], audience=self.audience or url))
        except AssertionRefusedError as refusal:
            self.refusals.append(str(refusal))
            echo = f"{refusal}: got {form.get('assertion')}"
            return 400, {"error": "invalid_grant", "error_description": echo}
        # Such a provider has no use for a refresh token, and this one would refuse it.
        return 200, self._issue() | {"refresh_token": "never-to-be-used"}

    def _issue(self) -> dict[str, Any]:
        token = f"access-token-{next(self._numbers)}"
        self.tokens.add(token)
        return {"access_token": token, "token_type": "Bearer", "expires_in": 3600}

    def verify(self, assertion: str, *, audience: str) -> dict[str, Any]:
        """Return the claims of an assertion that was not used before. Raises AssertionRefusedError."""
        try:
            head, body, signature = assertion.split(".")
            header, claims = json.loads(_decoded(head)), json.loads(_decoded(body))
        except ValueError:
            raise AssertionRefusedError("not a JWT") from None
        known = self.clients.get(claims.get("iss", ""))
        if known is None or header != {"typ": "JWT", **known.header}:
            raise AssertionRefusedError("unknown client, or another header")
        _check_signature(header["alg"], known.public_key, f"{head}.{body}", _decoded(signature))
        if claims.get("aud") != audience:
            raise AssertionRefusedError("for another audience")
        now = time.time()
        if not claims["iat"] - 5 <= now < claims["exp"] <= now + MAX_LIFETIME_SECONDS:
            raise AssertionRefusedError("expired, or valid for too long")
        if not claims.get("jti") or claims["jti"] in self._seen:
            raise AssertionRefusedError("used before")
        self._seen.add(claims["jti"])
        return dict(claims)


def _decoded(part: str) -> bytes:
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)


def _check_signature(algorithm: str, key: Any, signed: str, signature: bytes) -> None:
    """RFC 7518 3.3 to 3.5."""
    try:
        if algorithm == "ES256":
            if len(signature) != 64:
                raise InvalidSignature
            r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
            der = utils.encode_dss_signature(r, s)
            key.verify(der, signed.encode(), ec.ECDSA(SHA256()))
            return
        pss = padding.PSS(padding.MGF1(SHA256()), salt_length=32)
        scheme = {"RS256": padding.PKCS1v15(), "PS256": pss}[algorithm]
        key.verify(signature, signed.encode(), scheme, SHA256())
    except InvalidSignature:
        raise AssertionRefusedError("wrong signature") from None


class _Handler(LoopbackHandler):
    def _serve(self) -> None:
        provider: AssertionProvider = self.server.owner
        body = self.read_body().decode()
        if self.path.endswith("/token"):
            form = {name: values[0] for name, values in parse_qs(body).items()}
            provider.paths.append(self.path)
            status, answer = provider.answer_token(provider.url + self.path, form)
        else:
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            status, answer = (200, {}) if token in provider.tokens else (401, {"error": "no token"})
            if status == 200 and provider.is_forbidden:
                status, answer = 403, {"error": {"code": "0x80072560", "message": "Not a member."}}
        sent = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    do_GET = do_POST = _serve  # noqa: N815
