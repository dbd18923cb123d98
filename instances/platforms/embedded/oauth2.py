"""OAuth 2.0: authorization code with PKCE, password, client credentials, refresh, revocation (RFC 6749, 7636, 7009)."""

from collections.abc import Mapping
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

type Refusal = type[GrantRejectedError | CredentialsRefusedError]

CALLBACK_URL_KEY = "oauth.callback.url"
_STANDARD_FIELDS = {
    "access_token", "expires_in", "id_token", "refresh_token", "scope", "token_type"
}  # fmt: skip
# RFC 6749 5.2.
_CLIENT_ERRORS = {"invalid_client", "unauthorized_client"}
_GRANT_ERRORS = {"invalid_grant", "invalid_code", "bad_verification_code"}


def authorization_url(request: PlatformRequest, *, state: str) -> str:
    """Where the browser goes to ask for a code (RFC 6749 4.1.1, RFC 7636 4.3).

    Raises CatalogueError where the endpoint is not known, InputError.
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
    """Trade the code in provider_data for tokens (RFC 6749 4.1.3, RFC 7636 4.5). A code works once.

    Raises MissingCodeError, IssuerMismatchError before anything is sent, GrantRejectedError for a code that is no
    good, ClientRefusedError, PlatformError.
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
    return _ask(request, "exchange the code", "token_endpoint", form, GrantRejectedError)


def _check_issuer(request: PlatformRequest) -> None:
    """Compare an iss that an API client brings from a callback of its own (RFC 9207 2.4); few clients do."""
    iss, template = request.provider_data.get("iss"), request.authentication.issuer
    if iss is None or not template:
        return
    issuer = address_of(request, template)
    if iss != issuer:
        raise IssuerMismatchError(request.label, issuer)


def obtain_token(request: PlatformRequest) -> TokenSet:
    """A token for credentials alone: the account's password, or the client's own (RFC 6749 4.3, 4.4).

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
    return _ask(request, "sign in", "token_endpoint", form, CredentialsRefusedError)


def refresh_token(request: PlatformRequest) -> TokenSet:
    """New tokens for the refresh token (RFC 6749 6), which is kept where the provider sends no new one.

    An answer that comes late is waited for longer than others: it may hold the only refresh token that still works.
    Raises GrantRejectedError when it is no good any more, ClientRefusedError, PlatformError.
    """
    tokens = request.tokens or TokenSet("")
    form = {"grant_type": "refresh_token", "refresh_token": tokens.refresh_token}
    has_own = request.authentication.refresh_endpoint is not None
    endpoint: EndpointName = "refresh_endpoint" if has_own else "token_endpoint"
    seconds = settings.REFRESH_TIMEOUT_SECONDS
    return _ask(
        request, "refresh the token", endpoint, form, GrantRejectedError, timeout_seconds=seconds
    )


def revoke_token(request: PlatformRequest) -> None:
    """Give the grant back, by its refresh token where there is one (RFC 7009 2.1).

    Raises PlatformError, CatalogueError where the endpoint is not known, InputError.
    """
    tokens = request.tokens or TokenSet("")
    form = {
        "token": tokens.refresh_token or tokens.access_token,
        "token_type_hint": "refresh_token" if tokens.refresh_token else "access_token",
    }
    subject = subject_of(request, "revoke the token")
    answer = _post(request, subject, "revocation_endpoint", form)
    raise_for_fault(answer, subject)
    if not answer.ok:
        why = f"was refused ({answer.status_code}), so it may still work there. Revoke it at the provider."
        raise error_of(RefusedError, why, answer, subject)


def _ask(
    request: PlatformRequest,
    operation: str,
    endpoint: EndpointName,
    form: Mapping[str, str | None],
    refusal: Refusal,
    *,
    timeout_seconds: float | None = None,
) -> TokenSet:
    """One token request. refusal: what it means for this grant that the provider does not take it."""
    subject = subject_of(request, operation, timeout_seconds=timeout_seconds)
    answer = _post(request, subject, endpoint, form)
    raise_for_fault(answer, subject)
    document = document_of(answer, subject)
    if "error" in document or not answer.ok:
        raise _refusal(answer, subject, str(document.get("error", "")), refusal)
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
    """None where a challenge must not be sent; sent with both requests or with neither (RFC 7636 4.6)."""
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
    """expires_in is only RECOMMENDED (RFC 6749 5.1): without it, the first 401 tells."""
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


def _refusal(answer: Answer, subject: Subject, code: str, refusal: Refusal) -> RefusedError:
    """What a token endpoint's error means (RFC 6749 5.2)."""
    if code in _CLIENT_ERRORS:
        why = "was refused: the provider does not know the OAuth client, or its secret is wrong. Correct it."
        return error_of(ClientRefusedError, why, answer, subject)
    if answer.status_code == 403:
        why = "is forbidden (403). Ask the account's holder for the rights it needs."
        return error_of(AccessForbiddenError, why, answer, subject)
    if code in _GRANT_ERRORS and refusal is GrantRejectedError:
        why = "was refused: the grant is expired, revoked or used already. Authorize again."
        return error_of(GrantRejectedError, why, answer, subject)
    if code in _GRANT_ERRORS or answer.status_code == 401:
        why = "was refused: the provider does not take the credentials. Enter the right ones."
        return error_of(CredentialsRefusedError, why, answer, subject)
    why = (
        f"was refused ({answer.status_code}). Read the recorded exchange, and correct what it says."
    )
    return error_of(RefusedError, why, answer, subject)
