"""An API on the loopback that takes requests signed with a token (OAuth 1.0a). oauthlib recomputes each signature."""

import json
import re
import time
from urllib.parse import unquote

from oauthlib.oauth1 import Client

from tests.support.loopback import LoopbackHandler, LoopbackServer

CONSUMER = ("consumer-key", "consumer/secret+&=")
TOKEN = ("token-id", "token/secret+&=é")
REALM = "1234567_SB1"
MOST_SKEW_SECONDS = 300
_FORM = "application/x-www-form-urlencoded"
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')


class SignedApi(LoopbackServer):
    """calls: method, target and body of what was accepted; headers: Authorization of everything; refusals: why not.

    method: of the signature. clock_is_wrong_by: in seconds.
    """

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.method = "HMAC-SHA256"
        self.secret = TOKEN[1]
        self.clock_is_wrong_by = 0
        self.calls: list[tuple[str, str, bytes]] = []
        self.headers: list[str] = []
        self.refusals: list[str] = []
        self._nonces: set[str] = set()

    def answer(
        self, method: str, target: str, authorization: str, content_type: str, body: bytes
    ) -> int:
        self.headers.append(authorization)
        sent = dict(_PARAMETER.findall(authorization))
        if refusal := self._refusal(method, target, sent, content_type, body):
            self.refusals.append(refusal)
            return 401
        self.calls.append((method, target, body))
        return 200

    def _refusal(
        self, method: str, target: str, sent: dict[str, str], content_type: str, body: bytes
    ) -> str:
        nonce, stamp = sent.get("oauth_nonce", ""), sent.get("oauth_timestamp", "0")
        if sent.get("realm") != REALM or "oauth_body_hash" in sent:
            return "another realm, or a hash of the body"
        if not nonce or nonce in self._nonces:
            return "nonce used"
        self._nonces.add(nonce)
        if abs(time.time() + self.clock_is_wrong_by - int(stamp)) > MOST_SKEW_SECONDS:
            return "timestamp refused"
        client = Client(
            CONSUMER[0],
            CONSUMER[1],
            TOKEN[0],
            self.secret,
            signature_method=self.method,
            realm=REALM,
            nonce=unquote(nonce),
            timestamp=stamp,
        )
        is_form = content_type == _FORM
        signed, headers = (body.decode(), {"Content-Type": _FORM}) if is_form else (None, {})
        _, expected, _ = client.sign(self.url + target, method, body=signed, headers=headers)
        ours = dict(_PARAMETER.findall(expected["Authorization"]))
        return "" if ours == sent else "signature invalid"


class _Handler(LoopbackHandler):
    def _serve(self) -> None:
        api: SignedApi = self.server.owner
        body = self.read_body()
        authorization = self.headers.get("Authorization", "")
        content_type = self.headers.get("Content-Type", "")
        status = api.answer(self.command, self.path, authorization, content_type, body)
        # Hostile: it repeats what was sent.
        sent = json.dumps({"status": status, "echo": authorization}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815
