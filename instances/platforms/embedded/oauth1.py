"""OAuth 1.0a with HMAC-SHA1 (RFC 5849)."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from authlib.common.urls import add_params_to_uri
from authlib.integrations.requests_client import OAuth1Auth
from authlib.oauth1.rfc5849.errors import InsecureTransportError
from authlib.oauth1.rfc5849.signature import construct_base_string, hmac_sha1_signature
from authlib.oauth1.rfc5849.util import escape

from instances.catalogue.authentication import EndpointName
from instances.errors import (
    AccessForbiddenError,
    ClientRefusedError,
    GrantRejectedError,
    InputError,
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
    tokens = request.tokens or TokenSet("")
    auth = _auth(request, token=tokens.access_token, token_secret=tokens.token_secret)
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
    tokens = request.tokens or TokenSet("")
    auth = _auth(request, token=tokens.access_token, token_secret=tokens.token_secret)
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
    auth = OAuth1Auth(*(values[key] for key in keys), **signed)
    auth.SIGNATURE_METHODS = {auth.signature_method: _sign}
    return auth


def _insecure(request: PlatformRequest) -> InputError:
    return InputError(
        f"{request.label}: OAuth 1.0a requires an address that begins with https://. Correct the provider's address."
    )


def _sign(client: Any, request: Any) -> str:
    """Return the HMAC-SHA1 signature (RFC 5849 3.4.2).

    Authlib decodes the header's parameters once too often, which breaks the signature of a callback URL with
    percent-encoded characters, so they are encoded once more here.
    """
    parameters = [
        (name, escape(value) if name.startswith("oauth_") else value)
        for name, value in request.params
    ]
    base = construct_base_string(request.method, request.uri, parameters)
    return str(hmac_sha1_signature(base, client.client_secret, client.token_secret))


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
