"""A provider (OAuth 2.0, Basic, API key) and a remote platform in one server on the loopback."""

import base64
import gzip
import hashlib
import itertools
import json
import re
import socket
import threading
import time
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import parse_qs, parse_qsl, urlsplit

from tests.support.loopback import LoopbackHandler, LoopbackServer

type Answer = tuple[int, Any]
type Mode = Literal[
    "obey",
    "hang",
    "cut before",
    "cut after",
    "cut body",
    "drip",
    "drip headers",
    "flood",
    "gzip bomb",
    "html",
    "nonsense",
    "redirect",
]

CLIENT_ID = "client-of-the-provider"
CLIENT_SECRET = "client-secret-of-the-provider"
USERNAME = "ada@example.com"
PASSWORD = "correct horse/battery+staple&é"
API_KEY = "api-key-of-the-account"
ORGANIZATION_SECRET = "9b1d77e0c2a94f3f8b1e5a6d7c8e9f00"
USER_SECRET = "4f0cRkFrZVVzZXJTZWNyZXQvd2l0aCs9c2lnbnMvaW4raXQ="
SECRETS_401 = "Invalid Organization or User secret, or invalid Element token provided."


@dataclass(frozen=True)
class Request:
    """One received request."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: str

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body))

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Provider(LoopbackServer):
    """A server that really listens, and behaves well unless told otherwise.

    with Provider() as provider:
        provider.url, provider.netloc    where it listens; put netloc into PROVIDER_ALLOWED_PRIVATE_HOSTS
        provider.requests                received requests, in order; provider.last: the latest
        provider.mode = "hang"           how every request is answered from now on: see Mode. "cut before" closes the
                                         connection at once, "cut after" performs the request first
        provider.override = (429, {…})   the status and body (JSON or text) for every request; override_headers
        provider.delay_seconds           how long /token delays its response, after performing the request
        provider.connections             the number of connections opened so far
        provider.authorize(url)          the callback's parameters, as if a person had consented in a browser
        provider.instances               the remote platform's instances, by id; page_size: instances per page
        provider.client_secrets          the client secrets that it accepts
        provider.secrets                 all secrets that it knows or has issued

    Provider: /authorize, /token (code with PKCE, password, client credentials, refresh), /revoke, and /probe, which
    accepts an access token, USERNAME and PASSWORD, or API_KEY in X-Api-Key. Platform: /elements/api-v2/….
    """

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.mode: Mode = "obey"
        self.override: Answer | None = None
        self.override_headers: dict[str, str] = {}
        self.delay_seconds = 0.0
        self.redirect_to = "https://elsewhere.example/login?token=token-in-the-redirect"
        self.requests: list[Request] = []
        self.connections = 0
        self.page_size = 200
        self.instances: dict[int, dict[str, Any]] = {}
        self.codes: dict[str, dict[str, str]] = {}
        self.client_secrets = {CLIENT_SECRET}
        self.access_tokens: set[str] = set()
        self.refresh_tokens: set[str] = set()
        self.issued: set[str] = set()
        self._numbers = itertools.count(4711)
        self.released = threading.Event()

    def __exit__(self, *exception: object) -> None:
        self.released.set()
        super().__exit__(*exception)

    @property
    def last(self) -> Request:
        return self.requests[-1]

    @property
    def secrets(self) -> set[str]:
        known = {CLIENT_ID, CLIENT_SECRET, PASSWORD, API_KEY, ORGANIZATION_SECRET, USER_SECRET}
        return (
            known
            | self.client_secrets
            | self.issued
            | {str(one["token"]) for one in self.instances.values()}
        )

    def authorize(self, url: str) -> dict[str, str]:
        """Consent, and remember what the code is bound to."""
        asked = dict(parse_qsl(urlsplit(url).query))
        code = self._issue("code")
        self.codes[code] = asked
        return {"code": code, "state": asked["state"]}

    def answer(self, request: Request) -> Answer:
        """The response of a server that behaves well."""
        if request.path.startswith("/elements/api-v2/"):
            return self._answer_platform(request, request.path.removeprefix("/elements/api-v2"))
        match request.path:
            case "/token":
                answer = self._answer_token(request)
                time.sleep(self.delay_seconds)
                return answer
            case "/revoke":
                self.refresh_tokens.discard(request.form["token"])
                self.access_tokens.discard(request.form["token"])
                return 200, {}
            case "/probe":
                return self._answer_probe(request)
            case "/redirected":
                return self._answer_probe(request)
        return 404, {"message": "Not found"}

    def _issue(self, kind: str) -> str:
        value = f"{kind}-{next(self._numbers)}-of-the-provider"
        self.issued.add(value)
        return value

    def _answer_token(self, request: Request) -> Answer:
        form = request.form
        if not any(_is_client(request, secret) for secret in self.client_secrets):
            return 401, {"error": "invalid_client", "error_description": "Who are you?"}
        match form["grant_type"]:
            case "authorization_code":
                bound = self.codes.pop(form["code"], None)
                is_good = bound is not None and _fits(bound, form)
            case "password":
                is_good = (form["username"], form["password"]) == (USERNAME, PASSWORD)
            case "refresh_token":
                is_good = form["refresh_token"] in self.refresh_tokens
                self.refresh_tokens.discard(form["refresh_token"])
            case _:
                is_good = form["grant_type"] == "client_credentials"
        if not is_good:
            return 400, {"error": "invalid_grant", "error_description": "No good any more."}
        access_token, refresh_token = self._issue("access-token"), self._issue("refresh-token")
        self.access_tokens.add(access_token)
        self.refresh_tokens.add(refresh_token)
        return 200, {
            "access_token": access_token,
            "refresh_token": refresh_token,
            "token_type": "Bearer",
            "expires_in": 3600,
            "scope": "everything",
            "instance_url": self.url,
        }

    def _answer_probe(self, request: Request) -> Answer:
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        is_good = request.headers.get("x-api-key") == API_KEY
        if scheme == "Bearer":
            is_good = value in self.access_tokens
        if scheme == "Basic":
            is_good = base64.b64decode(value).decode() == f"{USERNAME}:{PASSWORD}"
        return (200, {"hello": USERNAME}) if is_good else (401, {"message": "Unauthorized"})

    def _answer_platform(self, request: Request, path: str) -> Answer:
        if url := re.fullmatch(r"/elements/(\w+)/oauth/url", path):
            query = f"client_id={request.query.get('apiKey', '')}&state={request.query['state']}"
            return 200, {"element": url[1], "oauthUrl": f"{self.url}/authorize?{query}"}
        if (
            request.headers.get("authorization")
            != f"User {USER_SECRET}, Organization {ORGANIZATION_SECRET}"
        ):
            return _error(401, SECRETS_401)
        if path == "/instances":
            return self._answer_instances(request)
        found = re.fullmatch(r"/instances/(\d+)(/enabled)?", path)
        if not found or int(found[1]) not in self.instances:
            return _error(404, f"No element instance found with ID {found[1] if found else path}")
        instance = self.instances[int(found[1])]
        if found[2]:
            instance["disabled"] = request.method == "DELETE"
            return 200, ""
        if request.method == "DELETE":
            del self.instances[instance["id"]]
            return 200, ""
        if request.method == "PUT":
            instance.update(name=request.json["name"], tags=request.json["tags"])
        return 200, instance

    def _answer_instances(self, request: Request) -> Answer:
        if request.method == "GET" and "tags[]" not in request.query:
            return self._answer_page(request)
        if request.method == "GET":
            tag = request.query["tags[]"]
            tagged = [one for one in list(self.instances.values()) if tag in one["tags"]]
            return (200, tagged) if tagged else _error(404, "No instances found")
        body = request.json
        if body["element"]["key"] == "nosuchelement":
            return _error(404, "No element found with key nosuchelement")
        number = next(self._numbers)
        self.instances[number] = {
            "id": number,
            "name": body["name"],
            "token": f"element-token-{number}-of-the-platform",
            "tags": body["tags"],
            "valid": True,
            "disabled": False,
            "element": {"key": body["element"]["key"]},
            "configuration": dict.fromkeys(body["configuration"], "********"),
        }
        return 200, self.instances[number]

    def _answer_page(self, request: Request) -> Answer:
        begin = int(request.query.get("nextPage", 0))
        end = begin + min(int(request.query["pageSize"]), self.page_size)
        everything = list(self.instances.values())
        has_more = end < len(everything)
        self.override_headers = {"Elements-Next-Page-Token": str(end)} if has_more else {}
        page = everything[begin:end]
        return (200, page) if page else _error(404, "No instances found")


class _Handler(LoopbackHandler):
    def setup(self) -> None:
        super().setup()
        self.server.owner.connections += 1

    def _serve(self) -> None:
        provider: Provider = self.server.owner
        body = self.read_body().decode()
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, parts.path, query, headers, body)
        provider.requests.append(request)
        mode = provider.mode
        if mode in {"hang", "cut before"}:
            if mode == "hang":
                provider.released.wait()
            return self._cut()
        status, answer = provider.override or provider.answer(request)
        match mode:
            case "cut after":
                self._cut()
            case "html":
                self._send(
                    status, b"<html><title>Sign in</title></html>", {"Content-Type": "text/html"}
                )
            case "nonsense":
                self.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")
                self._cut()
            case "redirect" if request.path != "/redirected":
                self._send(302, b"", {"Location": provider.redirect_to})
            case "flood":
                self._send(status, b"x" * 2_000_000, {})
            case "gzip bomb":
                self._send(status, gzip.compress(b"x" * 50_000_000), {"Content-Encoding": "gzip"})
            case "cut body":
                self._send(status, b'{"half": ', {"Content-Length": "1000"})
                self._cut()
            case "drip":
                self._send(status, b"{", {"Content-Length": "1000"})
                self._drip(provider)
            case "drip headers":
                self._drip(provider)
            case _:
                is_text = isinstance(answer, str)
                content_type = "text/plain" if is_text else "application/json"
                sent = answer if is_text else json.dumps(answer)
                extra = {"Content-Type": content_type, **provider.override_headers}
                self._send(status, sent.encode(), extra)

    do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            self._cut()

    def _drip(self, provider: Provider) -> None:
        while not provider.released.wait(0.1):
            try:
                self.wfile.write(b" ")
            except OSError:
                break
        self._cut()

    def _cut(self) -> None:
        self.close_connection = True
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            return


def _error(status: int, message: str) -> Answer:
    return status, {"requestId": "6743a1b2c3d4e5f60718293a", "message": message}


def _is_client(request: Request, secret: str) -> bool:
    basic = base64.b64encode(f"{CLIENT_ID}:{secret}".encode()).decode()
    if request.headers.get("authorization") == f"Basic {basic}":
        return True
    return (request.form.get("client_id"), request.form.get("client_secret")) == (CLIENT_ID, secret)


def _fits(bound: dict[str, str], form: dict[str, str]) -> bool:
    """The redirect URI and the PKCE verifier that the code is bound to (RFC 6749 4.1.3, RFC 7636 4.6)."""
    if bound["redirect_uri"] != form.get("redirect_uri"):
        return False
    digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    return bound.get("code_challenge") in {None, challenge}
