"""OAuth 2.0 grants, refresh and revocation (RFC 6749, 7636, 7009)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from authlib.integrations.requests_client import OAuth2Session
from django.conf import settings
from django.utils import timezone

from instances.catalogue.definition import (
    ClientAuthenticationMethod,
    EndpointName,
    GrantType,
)
from instances.catalogue.templates import fill_text
from instances.errors import (
    AccessForbiddenError,
    ClientRefusedError,
    CredentialsRefusedError,
    GrantRejectedError,
    InvalidConfigurationError,
    IssuerMismatchError,
    MissingCodeError,
    MissingConfigurationError,
    RefusedError,
)
from instances.platforms.base import PlatformRequest, TokenSet
from instances.platforms.embedded.templates import address_of, endpoint_of, texts_of, values_of
from instances.platforms.transport import (
    Answer,
    Subject,
    document_of,
    error_of,
    mount,
    raise_for_fault,
    subject_of,
    unusable,
)


@dataclass(frozen=True, slots=True)
class _Rejection:
    """The error, and its sentence, if a provider rejects the grant."""

    kind: type[GrantRejectedError | CredentialsRefusedError]
    sentence: str


CALLBACK_URL_KEY = "oauth.callback.url"
_STANDARD_FIELDS = {
    "access_token", "expires_in", "id_token", "refresh_token", "scope", "token_type"
}  # fmt: skip
# RFC 6749 5.2.
_CLIENT_ERRORS = {"invalid_client", "unauthorized_client"}
_GRANT_ERRORS = {"invalid_grant", "invalid_code", "bad_verification_code"}
_CODE_REJECTED = _Rejection(
    GrantRejectedError,
    "%(provider)s rejected the authorization code (HTTP %(status)d, %(code)s): it expired or was already used. "
    "Authorize again.",
)
_REFRESH_TOKEN_REJECTED = _Rejection(
    GrantRejectedError,
    "%(provider)s rejected the refresh token (HTTP %(status)d, %(code)s): it expired, was revoked or was already "
    "used. Authorize again.",
)
_CREDENTIALS_REJECTED = _Rejection(
    CredentialsRefusedError,
    "%(provider)s rejected the credentials (HTTP %(status)d). Enter valid credentials.",
)
_CLIENT_REJECTED = "%(provider)s rejected the OAuth client (HTTP %(status)d, %(code)s): its ID or secret is wrong. Correct them."
_FORBIDDEN = "%(provider)s denied access (HTTP %(status)d). Ask the account owner to grant the missing permissions."
_REJECTED = (
    "%(provider)s rejected the request (%(operation)s, HTTP %(status)d). Open the recorded exchange and correct what "
    "it complains about."
)
_NOT_REVOKED = "%(provider)s did not revoke the token (HTTP %(status)d), so it may still be valid. Revoke it at the provider."


def authorization_url(request: PlatformRequest, *, state: str) -> str:
    """Return the URL at which the browser gets a code (RFC 6749 4.1.1, RFC 7636 4.3).

    Raises CatalogueError if the endpoint is unknown, InputError.
    """
    with _session(request) as session:
        url, _ = session.create_authorization_url(
            endpoint_of(request, "authorization_endpoint"),
            state=state,
            code_verifier=_code_verifier(request),
            redirect_uri=_redirect_uri(request),
            scope=_scope(request),
            **texts_of(request, request.authentication.authorize_params),
        )
    return str(url)


def exchange_code(request: PlatformRequest) -> TokenSet:
    """Exchange the code in provider_data for tokens (RFC 6749 4.1.3, RFC 7636 4.5).

    A code works once.

    Raises MissingCodeError and IssuerMismatchError before anything is sent, GrantRejectedError for an invalid code,
    ClientRefusedError, PlatformError.
    """
    code = request.provider_data.get("code")
    if not code:
        raise MissingCodeError
    _check_issuer(request)
    form = {
        "grant_type": GrantType.AUTHORIZATION_CODE,
        "code": code,
        "redirect_uri": _redirect_uri(request),
        "code_verifier": _code_verifier(request),
        **texts_of(request, request.authentication.token_params),
    }
    return _request_tokens(request, "Exchange code", "token_endpoint", form, _CODE_REJECTED)


def _check_issuer(request: PlatformRequest) -> None:
    """Check the iss that an API client passes on from its callback (RFC 9207 2.4)."""
    iss, template = request.provider_data.get("iss"), request.authentication.issuer
    if iss is None or not template:
        return
    issuer = address_of(request, template)
    if iss != issuer:
        raise IssuerMismatchError(request.label, issuer)


def obtain_token(request: PlatformRequest) -> TokenSet:
    """Get a token by password or client credentials (RFC 6749 4.3, 4.4).

    Raises MissingConfigurationError, CredentialsRefusedError, ClientRefusedError, PlatformError.
    """
    way = request.authentication
    form = {
        "grant_type": way.grant_type,
        "scope": _scope(request),
        **texts_of(request, way.token_params),
    }
    if way.grant_type == GrantType.PASSWORD:
        form["username"] = _required(request, way.username_key)
        form["password"] = _required(request, way.password_key)
    return _request_tokens(
        request, "Get access token", "token_endpoint", form, _CREDENTIALS_REJECTED
    )


def refresh_token(request: PlatformRequest) -> TokenSet:
    """Exchange the refresh token for new tokens (RFC 6749 6).

    Keep it if the provider sends no new one.

    The timeout is longer than for other requests, since a lost response may hold the only valid refresh token.
    Raises GrantRejectedError if it expired or was revoked, ClientRefusedError, PlatformError.
    """
    tokens = request.tokens or TokenSet("")
    form = {"grant_type": "refresh_token", "refresh_token": tokens.refresh_token}
    has_own = request.authentication.refresh_endpoint is not None
    endpoint: EndpointName = "refresh_endpoint" if has_own else "token_endpoint"
    return _request_tokens(
        request,
        "Refresh token",
        endpoint,
        form,
        _REFRESH_TOKEN_REJECTED,
        timeout_seconds=settings.REFRESH_TIMEOUT_SECONDS,
    )


def revoke_token(request: PlatformRequest) -> None:
    """Revoke the grant, by its refresh token if there is one (RFC 7009 2.1).

    Raises PlatformError, CatalogueError if the endpoint is unknown, InputError.
    """
    tokens = request.tokens or TokenSet("")
    form = {
        "token": tokens.refresh_token or tokens.access_token,
        "token_type_hint": "refresh_token" if tokens.refresh_token else "access_token",
    }
    subject = subject_of(request, "Revoke token")
    answer = _post(request, subject, "revocation_endpoint", form)
    raise_for_fault(answer, subject)
    if not answer.ok:
        raise error_of(RefusedError, _NOT_REVOKED, answer, subject)


def _request_tokens(
    request: PlatformRequest,
    operation: str,
    endpoint: EndpointName,
    form: Mapping[str, str | None],
    rejection: _Rejection,
    *,
    timeout_seconds: float | None = None,
) -> TokenSet:
    """Send one token request.

    rejection: the error if the provider rejects this grant.
    """
    subject = subject_of(request, operation, timeout_seconds=timeout_seconds)
    answer = _post(request, subject, endpoint, form)
    raise_for_fault(answer, subject)
    document = document_of(answer, subject)
    if "error" in document or not answer.ok:
        raise _refusal(answer, subject, str(document.get("error", "")), rejection)
    tokens = _token_set(document, request)
    if not tokens.access_token:
        raise unusable(answer, subject)
    return tokens


def _post(
    request: PlatformRequest,
    subject: Subject,
    endpoint: EndpointName,
    form: Mapping[str, str | None],
) -> Answer:
    with _session(request) as session:
        mount(session, subject)
        answer: Answer = session.post(
            endpoint_of(request, endpoint),
            data=form,
            headers={"Accept": "application/json"},
            auth=session.client_auth(session.token_endpoint_auth_method),
        )
    return answer


def _session(request: PlatformRequest) -> OAuth2Session:
    way = request.authentication
    client_id = _required(request, way.client_id_key)
    client_secret = values_of(request).get(way.client_secret_key, "")
    method = way.token_endpoint_auth_method
    if not client_secret:
        method = ClientAuthenticationMethod.NONE
    if method == ClientAuthenticationMethod.CLIENT_SECRET_BASIC and not client_secret.isascii():
        raise InvalidConfigurationError(way.client_secret_key, "must be ASCII for this provider.")
    return OAuth2Session(
        client_id,
        client_secret,
        token_endpoint_auth_method=str(method),
        code_challenge_method="S256",
    )


def _code_verifier(request: PlatformRequest) -> str | None:
    """Return None if no challenge may be sent.

    It goes with both requests or with neither (RFC 7636 4.6).
    """
    return None if request.authentication.pkce is False else request.code_verifier or None


def _redirect_uri(request: PlatformRequest) -> str:
    return _required(request, CALLBACK_URL_KEY)


def _scope(request: PlatformRequest) -> str | None:
    way, values = request.authentication, values_of(request)
    scopes = [fill_text(scope, values) for scope in way.scopes]
    return values.get("oauth.scope") or way.scope_separator.join(scopes) or None


def _required(request: PlatformRequest, key: str | None) -> str:
    value = values_of(request).get(key or "")
    if not value:
        raise MissingConfigurationError([key or "authentication.type"])
    return value


def _token_set(document: Mapping[str, Any], request: PlatformRequest) -> TokenSet:
    """Read a token response.

    expires_in is only RECOMMENDED (RFC 6749 5.1): without it, wait for the first 401.
    """
    texts = {name: value for name, value in document.items() if isinstance(value, str)}
    way, before = request.authentication, request.tokens
    kept = {
        name: request.provider_data[name]
        for name in way.provider_data
        if name in request.provider_data
    }
    extra = {**(before.extra if before else {}), **kept, **texts}
    return TokenSet(
        access_token=texts.get("access_token", ""),
        refresh_token=texts.get("refresh_token") or (before.refresh_token if before else ""),
        scope=texts.get("scope", ""),
        expires_at=_expires_at(document.get("expires_in")),
        extra={
            name: value for name, value in extra.items() if name not in {"code", *_STANDARD_FIELDS}
        },
    )


def _expires_at(expires_in: Any) -> datetime | None:
    try:
        return timezone.now() + timedelta(seconds=int(float(expires_in)))
    except (TypeError, ValueError, OverflowError):
        return None


def _refusal(answer: Answer, subject: Subject, code: str, rejection: _Rejection) -> RefusedError:
    """Return the error for a token endpoint's error response (RFC 6749 5.2)."""
    if code in _CLIENT_ERRORS:
        facts = {"code": code}
        return error_of(ClientRefusedError, _CLIENT_REJECTED, answer, subject, facts=facts)
    if answer.status_code == 403:
        return error_of(AccessForbiddenError, _FORBIDDEN, answer, subject)
    if code in _GRANT_ERRORS:
        facts = {"code": code}
        return error_of(rejection.kind, rejection.sentence, answer, subject, facts=facts)
    if answer.status_code == 401:
        rejected = _CREDENTIALS_REJECTED
        return error_of(rejected.kind, rejected.sentence, answer, subject)
    return error_of(RefusedError, _REJECTED, answer, subject)
