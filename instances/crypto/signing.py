"""Signatures: JSON Web Tokens (RFC 7515, RFC 7519), and requests to AWS (Signature Version 4)."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any
from urllib.parse import quote, unquote_to_bytes, urlsplit

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from instances.crypto.keys import SigningKey

_AWS_ALGORITHM = "AWS4-HMAC-SHA256"
# The only service whose paths are encoded once, and which wants the digest of the body as a header too.
_S3 = "s3"
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class AwsKeys:
    """The keys of an AWS account. session_token: of temporary ones."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class AwsRequest:
    """What is signed of a request. headers: those that nothing on the way changes. body_sha256: in hex."""

    method: str
    url: str
    headers: Mapping[str, str]
    body_sha256: str


def sign_jwt(claims: Mapping[str, Any], key: SigningKey, *, headers: Mapping[str, str]) -> str:
    """Return the claims, signed, in compact form. headers: in addition to alg and typ."""
    private_key, algorithm = key.private_key, str(key.algorithm)
    jwk: RSAKey | ECKey
    if isinstance(private_key, RSAPrivateKey):
        jwk = RSAKey.import_key(private_key)
    else:
        jwk = ECKey.import_key(private_key)
    # The algorithm is named again, since the library takes PS256 only if it is asked for.
    return jwt.encode({"alg": algorithm, **headers}, dict(claims), jwk, algorithms=[algorithm])


def sign_aws(
    request: AwsRequest, keys: AwsKeys, *, region: str, service: str, at: datetime
) -> dict[str, str]:
    """Return the headers that a signed request to AWS has in addition to its own, in lower case.

    at: aware, UTC. Source: AWS's "Create a signed AWS API request" (IAM User Guide, 2026-11).
    """
    stamp, day = f"{at:%Y%m%dT%H%M%SZ}", f"{at:%Y%m%d}"
    added = {"x-amz-date": stamp}
    if service == _S3:
        added["x-amz-content-sha256"] = request.body_sha256
    if keys.session_token:
        added["x-amz-security-token"] = keys.session_token
    given = {name.lower(): " ".join(value.split()) for name, value in request.headers.items()}
    signed = dict(sorted({**given, **added, "host": _host_header(request.url)}.items()))
    names = ";".join(signed)
    lines = [f"{name}:{value}" for name, value in signed.items()]
    parts = [request.method, _path(request.url, service), _query(request.url), *lines, "", names]
    canonical = "\n".join([*parts, request.body_sha256])
    scope = f"{day}/{region}/{service}/aws4_request"
    to_sign = "\n".join([_AWS_ALGORITHM, stamp, scope, sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{keys.secret_access_key}".encode()
    for text in (*scope.split("/"), to_sign):
        key = hmac.digest(key, text.encode(), "sha256")
    credential = f"Credential={keys.access_key_id}/{scope}"
    authorization = f"{_AWS_ALGORITHM} {credential}, SignedHeaders={names}, Signature={key.hex()}"
    return added | {"authorization": authorization}


def _host_header(url: str) -> str:
    """Return the Host header that HTTP clients send."""
    parts = urlsplit(url)
    name = parts.hostname or ""
    host = f"[{name}]" if ":" in name else name
    is_default = parts.port in {None, _DEFAULT_PORTS.get(parts.scheme)}
    return host if is_default else f"{host}:{parts.port}"


def _path(url: str, service: str) -> str:
    path = urlsplit(url).path or "/"
    # S3 decodes what it gets and encodes it again, so that "a=b" and "a%3Db" have one signature.
    return quote(unquote_to_bytes(path) if service == _S3 else path, safe="/")


def _query(url: str) -> str:
    pairs = (pair.partition("=") for pair in urlsplit(url).query.split("&") if pair)
    encoded = sorted((_encoded(name), _encoded(value)) for name, _, value in pairs)
    return "&".join(f"{name}={value}" for name, value in encoded)


def _encoded(text: str) -> str:
    return quote(unquote_to_bytes(text.replace("+", " ")), safe="")
