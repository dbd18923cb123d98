"""AWS on the loopback: STS at /, and S3 below it. It is strict: botocore recomputes the signature of what arrives."""

import re
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from urllib.parse import quote, unquote

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.support.loopback import LoopbackHandler, LoopbackServer

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, "
    r"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})"
)
_SIGNERS = {"s3": S3SigV4Auth, "sts": SigV4Auth}
# RequestTimeTooSkewed.
_MOST_SKEW = timedelta(minutes=15)


class _RefusedError(Exception):
    """args: AWS's error code."""


class AwsProvider(LoopbackServer):
    """provider.keys["AKIA…"] = "secret": who is known; provider.session_token: what each request must carry.

    calls: method, path with query, and body of what was accepted; signatures, refusals: of everything.
    """

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.keys: dict[str, str] = {}
        self.session_token: str | None = None
        self.clock_is_wrong_by = timedelta(0)
        self.denied_services: set[str] = set()
        self.calls: list[tuple[str, str, bytes]] = []
        self.headers: list[dict[str, str]] = []
        self.signatures: list[str] = []
        self.refusals: list[str] = []

    def answer(
        self, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, str]:
        self.headers.append(headers)
        try:
            self._check(method, target, headers, body)
        except _RefusedError as refused:
            code = str(refused)
            self.refusals.append(code)
            # Hostile, as AWS is: it repeats what was sent.
            echo = f"{headers.get('authorization')} {self.signatures[-1:]}"
            return 403, f"<Error><Code>{code}</Code><Message>{echo}</Message></Error>"
        self.calls.append((method, target, body))
        return 200, "<Result/>"

    def _check(self, method: str, target: str, headers: dict[str, str], body: bytes) -> None:
        found = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
        if found is None:
            raise _RefusedError("MissingAuthenticationToken")
        key_id, day, region, service, names, signature = found.groups()
        self.signatures.append(signature)
        if not re.fullmatch(r"[a-z0-9-]+", region):
            raise _RefusedError("SignatureDoesNotMatch")
        if key_id not in self.keys:
            raise _RefusedError("InvalidClientTokenId")
        if headers.get("x-amz-security-token") != self.session_token:
            raise _RefusedError("InvalidToken")
        stamp = headers["x-amz-date"]
        at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if abs(datetime.now(UTC) + self.clock_is_wrong_by - at) > _MOST_SKEW:
            raise _RefusedError("RequestTimeTooSkewed")
        signed = names.split(";")
        must_be_signed = {"host", *(name for name in headers if name.startswith("x-amz-"))}
        if not must_be_signed <= set(signed) or not stamp.startswith(day):
            raise _RefusedError("SignatureDoesNotMatch")
        digest = headers.get("x-amz-content-sha256")
        if service == "s3" and digest != sha256(body).hexdigest():
            raise _RefusedError("XAmzContentSHA256Mismatch")
        sent = {name: headers[name] for name in signed}
        path, mark, query = target.partition("?")
        url = f"{self.url}{quote(unquote(path))}{mark}{query}"
        request = AWSRequest(method, url, headers=sent, data=body)
        request.context["timestamp"] = stamp
        signer = _SIGNERS[service](Credentials(key_id, self.keys[key_id]), service, region)
        canonical = signer.canonical_request(request)
        if signer.signature(signer.string_to_sign(request, canonical), request) != signature:
            raise _RefusedError("SignatureDoesNotMatch")
        if service in self.denied_services:
            raise _RefusedError("AccessDenied")


class _Handler(LoopbackHandler):
    def _serve(self) -> None:
        provider: AwsProvider = self.server.owner
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, document = provider.answer(self.command, self.path, headers, self.read_body())
        self.send_response(status)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(document)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(document.encode())

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815
