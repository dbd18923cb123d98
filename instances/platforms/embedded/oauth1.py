"""OAuth 1.0a (RFC 5849), also with HMAC-SHA256, which the RFC does not know yet."""

import base64
import hmac
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from authlib.common.urls import add_params_to_uri
from authlib.integrations.requests_client import OAuth1Auth
from authlib.oauth1.rfc5849.errors import InsecureTransportError
from authlib.oauth1.rfc5849.signature import construct_base_string, hmac_sha1_signature
from authlib.oauth1.rfc5849.util import escape

from instances.catalogue.authentication import EndpointName
from instances.catalogue.templates import fill_text, variables_in
from instances.errors import (
    AccessForbiddenError,
    ClientRefusedError,
    GrantRejectedError,
    InputError,
    InvalidConfigurationError,
    MissingCodeError,
    MissingConfigurationError,
    RefusedError,
)
from instances.platforms.base import PlatformRequest, RequestToken, TokenSet, callback_with_state
from instances.platforms.embedded.accounts import account_in
from instances.platforms.embedded.templates import endpoint_of, texts_of, values_of
from instances.platforms.transport import (
    Answer,
    Subject,
    error_of,
    exchange,
    json_of,
    raise_for_fault,
    subject_of,
    unusable,
)

# Fields of a callback or response that are used up, or stored in a column of their own.
_STANDARD_FIELDS = {
    "oauth_callback_confirmed", "oauth_token", "oauth_token_secret", "oauth_verifier", "secret", "state"
}  # fmt: skip
# Authlib puts it between quotation marks as it is (RFC 9110 5.6.4).
_REALM = re.compile(r"[A-Za-z0-9_. -]*")
_CLIENT_REFUSED = (
    "%(provider)s did not issue a request token (HTTP %(status)d). Check the consumer key, its secret and the "
    "callback URL."
)
_CLIENT_REJECTED = (
    "%(provider)s rejected the consumer key or its secret (HTTP %(status)d). Correct them."
)
_VERIFIER_REJECTED = (
    "%(provider)s rejected the request token (HTTP %(status)d): it expired, was denied or was already used. "
    "Authorize again."
)
_FORBIDDEN = "%(provider)s denied access (HTTP %(status)d). Ask the account owner to grant the missing permissions."


def request_token(request: PlatformRequest, *, state: str) -> RequestToken:
    """Request temporary credentials (RFC 5849 2.1).

    Raises MissingConfigurationError, ClientRefusedError, PlatformError, CatalogueError, InputError.
    """
    values = values_of(request)
    callback_url = values.get("oauth.callback.url")
    if not callback_url:
        raise MissingConfigurationError(["oauth.callback.url"])
    callback = callback_with_state(callback_url, state)
    subject = subject_of(request, "Get request token", secrets=[state])
    answer = _post(request, subject, "request_token_endpoint", redirect_uri=callback)
    if not answer.ok:
        raise _refusal(ClientRefusedError, _CLIENT_REFUSED, answer, subject)
    token, secret, _ = _credentials_in(answer, subject)
    return RequestToken(token, secret)


def authorization_url(request: PlatformRequest) -> str:
    """Return the URL that authorizes the request token (RFC 5849 2.2).

    Raises MissingConfigurationError, CatalogueError, InputError.
    """
    token = request.provider_data.get("oauth_token")
    if not token:
        raise MissingConfigurationError(["requestToken"])
    parameters = texts_of(request, request.authentication.authorize_params) | {"oauth_token": token}
    endpoint = endpoint_of(request, "authorization_endpoint")
    return str(add_params_to_uri(endpoint, parameters.items()))


def exchange_verifier(request: PlatformRequest) -> TokenSet:
    """Exchange the request token for an access token, once (RFC 5849 2.3).

    Raises MissingCodeError, InputError, GrantRejectedError, ClientRefusedError, PlatformError, CatalogueError.
    """
    callback = request.provider_data
    if not (callback.get("oauth_token") and callback.get("oauth_verifier")):
        raise MissingCodeError
    if not callback.get("secret"):
        raise InputError(
            "providerData lacks secret. With OAuth 1.0a, send the secret that oauth/token returned with the request token."
        )
    subject = subject_of(request, "Exchange verifier")
    answer = _post(
        request,
        subject,
        "token_endpoint",
        token=callback["oauth_token"],
        token_secret=callback["secret"],
        verifier=callback["oauth_verifier"],
    )
    if not answer.ok and b"consumer_key" in answer.content:
        # The problem reporting extension: consumer_key_unknown, _rejected, _refused.
        raise _refusal(ClientRefusedError, _CLIENT_REJECTED, answer, subject)
    if not answer.ok:
        raise _refusal(GrantRejectedError, _VERIFIER_REJECTED, answer, subject)
    access_token, token_secret, more = _credentials_in(answer, subject)
    kept = {
        name: callback[name] for name in request.authentication.provider_data if name in callback
    }
    extra = {
        name: value for name, value in {**kept, **more}.items() if name not in _STANDARD_FIELDS
    }
    return TokenSet(
        access_token, token_secret=token_secret, extra=extra, account=account_in({**kept, **more})
    )


def request_signed(
    request: PlatformRequest, subject: Subject, method: str, url: str, headers: Mapping[str, str]
) -> Answer:
    """Send a request signed with the access token (RFC 5849 3).

    Raises InputError, PlatformError.
    """
    auth = _auth(request, **_token_of(request))
    try:
        return exchange(subject, method, url, headers=headers, auth=auth)
    except InsecureTransportError:
        raise _insecure(request) from None


def signed_headers(
    request: PlatformRequest, method: str, url: str, *, form: str = ""
) -> dict[str, str]:
    """Return the Authorization header of a request that somebody else sends (RFC 5849 3.5.1).

    form: its body, if that is a form; other bodies are not signed.

    Raises InputError.
    """
    auth = _auth(request, **_token_of(request))
    try:
        content_type = {"Content-Type": "application/x-www-form-urlencoded"} if form else {}
        _, headers, _ = auth.sign(method, url, content_type, form)
    except InsecureTransportError:
        raise _insecure(request) from None
    return {name: str(value) for name, value in headers.items() if name == "Authorization"}


def _post(
    request: PlatformRequest, subject: Subject, endpoint: EndpointName, **signed: str
) -> Answer:
    """Send one signed request.

    Raises RateLimitedError, ProviderFaultError; a 4xx is returned.
    """
    auth = _auth(request, **signed)
    try:
        answer = exchange(subject, "POST", endpoint_of(request, endpoint), auth=auth)
    except InsecureTransportError:
        raise _insecure(request) from None
    raise_for_fault(answer, subject)
    return answer


def _auth(request: PlatformRequest, **signed: str) -> OAuth1Auth:
    way, values = request.authentication, values_of(request)
    keys = [way.client_id_key, way.client_secret_key]
    if missing := [key for key in keys if not values.get(key)]:
        raise MissingConfigurationError(missing)
    signature = way.oauth1_signature
    realm = fill_text(signature.realm, values)
    if not _REALM.fullmatch(realm):
        key = variables_in(signature.realm)[0]
        raise InvalidConfigurationError(key, "contains a character that is not allowed here.")
    client = (values[key] for key in keys)
    auth = OAuth1Auth(*client, signature_method=signature.method, realm=realm or None, **signed)
    auth.SIGNATURE_METHODS = {signature.method: _SIGNERS[signature.method]}
    return auth


def _token_of(request: PlatformRequest) -> dict[str, str]:
    """Return the access token and its secret: those that were issued, or those that were entered.

    Raises MissingConfigurationError.
    """
    signature, values = request.authentication.oauth1_signature, values_of(request)
    if not signature.token_key:
        tokens = request.tokens or TokenSet("")
        return {"token": tokens.access_token, "token_secret": tokens.token_secret}
    keys = {"token": signature.token_key, "token_secret": signature.token_secret_key or ""}
    if missing := [key for key in keys.values() if not values.get(key)]:
        raise MissingConfigurationError(missing)
    return {name: values[key] for name, key in keys.items()}


def _insecure(request: PlatformRequest) -> InputError:
    return InputError(
        f"{request.label}: OAuth 1.0a requires an address that begins with https://. Correct the provider's address."
    )


def _sign_sha1(client: Any, request: Any) -> str:
    """Return the HMAC-SHA1 signature (RFC 5849 3.4.2)."""
    signature = hmac_sha1_signature(
        _base_string(request), client.client_secret, client.token_secret
    )
    return str(signature)


def _sign_sha256(client: Any, request: Any) -> str:
    """Return the HMAC-SHA256 signature, which is made as that of RFC 5849 3.4.2."""
    key = "&".join(escape(secret or "") for secret in (client.client_secret, client.token_secret))
    digest = hmac.digest(key.encode(), _base_string(request).encode(), "sha256")
    return base64.b64encode(digest).decode()


def _base_string(request: Any) -> str:
    """Return what is signed (RFC 5849 3.4.1).

    Authlib decodes the header's parameters once too often, which breaks the signature of a callback URL with
    percent-encoded characters, so they are encoded once more here.
    """
    parameters = [
        (name, escape(value) if name.startswith("oauth_") else value)
        for name, value in request.params
    ]
    return str(construct_base_string(request.method, request.uri, parameters))


_SIGNERS = {"HMAC-SHA1": _sign_sha1, "HMAC-SHA256": _sign_sha256}


def _credentials_in(answer: Answer, subject: Subject) -> tuple[str, str, Mapping[str, str]]:
    """Return token, secret and all fields of a response.

    It is a form (RFC 5849 2.1), or JSON at some providers.
    """
    document = json_of(answer)
    decoded = (
        document
        if isinstance(document, dict)
        else dict(parse_qsl(answer.content.decode(errors="replace")))
    )
    fields = {name: value for name, value in decoded.items() if isinstance(value, str)}
    token, secret = fields.get("oauth_token"), fields.get("oauth_token_secret")
    if not (token and secret):
        raise unusable(answer, subject)
    return token, secret, fields


def _refusal(
    kind: type[RefusedError], sentence: str, answer: Answer, subject: Subject
) -> RefusedError:
    """Return an error of this kind; for a 403, one about permissions."""
    if answer.status_code == 403:
        return error_of(AccessForbiddenError, _FORBIDDEN, answer, subject)
    return error_of(kind, sentence, answer, subject)
