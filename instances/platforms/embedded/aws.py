"""Requests to AWS, which the account's keys sign (Signature Version 4)."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime

from instances.catalogue.parts import Api, Probe
from instances.catalogue.templates import fill_text
from instances.crypto.signing import AwsKeys, AwsRequest, sign_aws
from instances.errors import CatalogueError
from instances.platforms.base import PlatformRequest
from instances.platforms.embedded.templates import headers_of, values_of
from instances.platforms.transport import StreamBody

# Proxies may change other headers on the way; AWS requires those that begin with x-amz- to be signed.
_SIGNED = {"content-type", "content-md5"}
_BLOCK_BYTES = 65_536


def signed_headers(
    request: PlatformRequest,
    carrying: Probe | Api,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: StreamBody | None = None,
) -> dict[str, str]:
    """Return the headers of a signed request that it has in addition to its own.

    The digest of the whole body is signed: it is in a file before anything is sent.

    Raises CatalogueError if the element does not say which keys sign, InputError.
    """
    named = request.authentication.aws_signature
    if named is None:
        raise CatalogueError(f"{request.element.key}: which keys sign its requests is not known.")
    sent_keys = [named.region_key, named.access_key_id_key]
    values = values_of(request)
    if named.session_token_key and values.get(named.session_token_key):
        sent_keys.append(named.session_token_key)
    # In a header, whose characters are checked.
    region, key_id, *token = headers_of(request, {key: f"{{{key}}}" for key in sent_keys}).values()
    secret = fill_text(f"{{{named.secret_access_key_key}}}", values)
    lowered = {name.lower(): value for name, value in headers.items()}
    sent = {n: v for n, v in lowered.items() if n in _SIGNED or n.startswith("x-amz-")}
    return sign_aws(
        AwsRequest(method, url, sent, _digest(body)),
        AwsKeys(key_id, secret, "".join(token)),
        # As in the host, which is not case-sensitive.
        region=region.lower(),
        service=carrying.service,
        at=datetime.now(UTC),
    )


def signature_in(headers: Mapping[str, str]) -> str:
    """Return the signature, which AWS's error messages repeat."""
    return headers["authorization"].rpartition("=")[2]


def _digest(body: StreamBody | None) -> str:
    digest = hashlib.sha256()
    if body:
        body.file.seek(0)
        while block := body.file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
