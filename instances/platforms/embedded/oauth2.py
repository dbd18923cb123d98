"""OAuth 2.0 grants, refresh and revocation (RFC 6749, 7636, 7009)."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus

from authlib.integrations.requests_client import OAuth2Session
from django.conf import settings

from instances.catalogue.authentication import ClientAuthenticationMethod, EndpointName, GrantType
from instances.catalogue.error_codes import ErrorMeaning, explanation_of, known_codes
from instances.catalogue.templates import fill_text
from instances.errors import (
    AccessForbiddenError,
    AccountUnusableError,
    ClientRefusedError,
    ConsentMissingError,
    CredentialsRefusedError,
    GrantRejectedError,
    IssuerMismatchError,
    MissingCodeError,
    MissingConfigurationError,
    RefusedError,
    SecondFactorNeededError,
    SettingsRefusedError,
)
from instances.platforms.base import PlatformRequest, TokenSet
from instances.platforms.embedded.assertions import assertions_in, client_assertion, grant_assertion
from instances.platforms.embedded.json_requests import has_client_in_body, json_body
from instances.platforms.embedded.templates import address_of, endpoint_of, texts_of, values_of
from instances.platforms.embedded.token_answers import is_refusal, token_document, token_set
from instances.platforms.transport import (
    Answer,
    Subject,
    codes_of,
    error_of,
    is_page,
    message_of,
    mount,
    raise_for_fault,
    sign_in_page,
    subject_of,
    unusable,
)


@dataclass(frozen=True, slots=True)
class _Rejection:
    """The error, and its sentence, if a provider rejects the grant."""

    kind: type[GrantRejectedError | CredentialsRefusedError]
    sentence: str
    # In place of it if the catalogue explains the provider's code, with the placeholder %(explained)s.
    explained: str
    # Finds a rejection in the provider's message, if its code says nothing: several send invalid_request.
    words: re.Pattern[str] | None = None


CALLBACK_URL_KEY = "oauth.callback.url"
_DEAD = (
    r"(in)?valid|expired|revoked|used|not found|does ?n.t exist|does not exist|unknown|malformed"
)
_CODE_REJECTED = _Rejection(
    GrantRejectedError,
    "%(provider)s rejected the authorization code (%(reason)s): it expired or was already used. Authorize again.",
    "%(provider)s rejected the authorization code (%(reason)s). %(explained)s Authorize again.",
    re.compile(rf"\bcode\b.{{0,80}}\b({_DEAD})\b|\b({_DEAD})\b.{{0,40}}\bcode\b", re.IGNORECASE),
)
_REFRESH_TOKEN_REJECTED = _Rejection(
    GrantRejectedError,
    "%(provider)s rejected the refresh token (%(reason)s): it expired, was revoked or was already used. Authorize "
    "again.",
    "%(provider)s rejected the refresh token (%(reason)s). %(explained)s Authorize again.",
    re.compile(
        rf"\b(refresh[ _]?)?token\b.{{0,80}}\b({_DEAD})\b|\b({_DEAD})\b.{{0,40}}\brefresh[ _]?token\b",
        re.IGNORECASE,
    ),
)
_CREDENTIALS_REJECTED = _Rejection(
    CredentialsRefusedError,
    "%(provider)s rejected the credentials (%(reason)s). Enter valid credentials.",
    "%(provider)s rejected the credentials (%(reason)s). %(explained)s",
)
_CLIENT_REJECTED = (
    "%(provider)s rejected the OAuth client (%(reason)s): its ID or secret is wrong. Correct them."
)
_CLIENT_EXPLAINED = "%(provider)s rejected the OAuth client (%(reason)s). %(explained)s"
_SETTINGS_REJECTED = "%(provider)s rejected the settings (%(reason)s). %(explained)s"
_NOT_EXPLAINED = "Correct the settings here, or the account at the provider."
# Why credentials may be rejected that are not wrong. A grant that is rejected for these is to be authorized again.
_NOT_WRONG: dict[ErrorMeaning, tuple[type[CredentialsRefusedError], str]] = {
    ErrorMeaning.SECOND_FACTOR_NEEDED: (
        SecondFactorNeededError,
        "%(provider)s accepts no password alone for this account (%(reason)s). %(explained)s Connect it by OAuth 2.0 or as "
        "an application instead.",
    ),
    ErrorMeaning.CONSENT_MISSING: (
        ConsentMissingError,
        "%(provider)s needs somebody's consent first (%(reason)s). %(explained)s",
    ),
    ErrorMeaning.ACCOUNT_UNUSABLE: (
        AccountUnusableError,
        "%(provider)s does not let the account sign in (%(reason)s). %(explained)s",
    ),
}
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
            **{request.authentication.scope_parameter: _scope(request)},
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
    """Get a token by password, client credentials or a signed grant (RFC 6749 4.3, 4.4, RFC 7523 2.1).

    Raises MissingConfigurationError, CredentialsRefusedError, ClientRefusedError, PlatformError.
    """
    way = request.authentication
    form = {
        "grant_type": way.grant_type,
        "scope": _scope(request),
        **texts_of(request, way.token_params),
    }
    if way.grant_type == GrantType.JWT_BEARER:
        scope = form.pop("scope") or ""
        form |= grant_assertion(request, endpoint_of(request, "token_endpoint"), scope=scope)
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
    form = {
        "grant_type": "refresh_token",
        "refresh_token": tokens.refresh_token,
        **texts_of(request, request.authentication.refresh_params),
    }
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
    form |= client_assertion(request, endpoint_of(request, "revocation_endpoint"))
    subject = subject_of(request, "Revoke token", secrets=assertions_in(form))
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
    scope = form.get("scope") or ""
    form = {**form, **client_assertion(request, endpoint_of(request, endpoint), scope=scope)}
    subject = subject_of(
        request, operation, secrets=assertions_in(form), timeout_seconds=timeout_seconds
    )
    answer = _post(request, subject, endpoint, form)
    document = token_document(answer)
    if not answer.ok or is_refusal(document or {}):
        raise_for_fault(answer, subject, request.authentication.error_codes, is_refused=True)
        raise _refusal(request, answer, subject, document, rejection)
    tokens = token_set(
        document or {},
        request,
        asked_scope=_scope(request),
        is_refresh=form["grant_type"] == "refresh_token",
    )
    if tokens.access_token:
        return tokens
    raise sign_in_page(answer, subject) if is_page(answer) else unusable(answer, subject)


def _post(
    request: PlatformRequest,
    subject: Subject,
    endpoint: EndpointName,
    form: Mapping[str, str | None],
) -> Answer:
    way = request.authentication
    with _session(request) as session:
        mount(session, subject)
        is_sent_in_body = way.sends_json and has_client_in_body(session)
        client = session.client_auth(session.token_endpoint_auth_method)
        answer: Answer = session.post(
            endpoint_of(request, endpoint),
            data=None if way.sends_json else form,
            json=json_body(session, form) if way.sends_json else None,
            headers={"Accept": "application/json"},
            auth=client if way.names_client and not is_sent_in_body else None,
            withhold_token=True,
        )
    return answer


def _encode_basic(
    client: OAuth2Session, method: str, uri: str, headers: dict[str, str], body: str
) -> tuple[str, dict[str, str], str]:
    """Send the client as RFC 6749 2.3.1 says: form-encoded, then as user name and password.

    Authlib does not encode, so that a server reads "+", "%" and ":" wrongly.
    """
    pair = f"{quote_plus(client.client_id)}:{quote_plus(client.client_secret)}"
    headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    return uri, headers, body


def _session(request: PlatformRequest) -> OAuth2Session:
    way = request.authentication
    client_id = _required(request, way.client_id_key) if way.names_client else ""
    client_secret = values_of(request).get(way.client_secret_key, "")
    method = way.token_endpoint_auth_method
    if not client_secret or method == ClientAuthenticationMethod.PRIVATE_KEY_JWT:
        # The assertion is part of the form, next to the client's id (RFC 7521 4.2).
        method = ClientAuthenticationMethod.NONE
    session = OAuth2Session(
        client_id,
        client_secret,
        token_endpoint_auth_method=str(method),
        code_challenge_method="S256",
    )
    session.register_client_auth_method(
        (str(ClientAuthenticationMethod.CLIENT_SECRET_BASIC), _encode_basic)
    )
    return session


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


def _refusal(
    request: PlatformRequest,
    answer: Answer,
    subject: Subject,
    document: Mapping[str, Any] | None,
    rejection: _Rejection,
) -> RefusedError:
    """Return the error for a token endpoint's error response, in RFC 6749 5.2's words or the provider's own."""
    codes, own = codes_of(document), request.authentication.error_codes
    known, (code, explained) = known_codes(codes, own), explanation_of(codes, own)
    status, way = answer.status_code, request.authentication
    # Only codes of the vocabulary are shown: the others are the provider's to choose.
    shown = [code] if code else next(iter(known.values()), [])[:1]
    reason = ", ".join([f"HTTP {status}", *shown])
    facts = {"reason": reason, "explained": explained or _NOT_EXPLAINED}

    def error(kind: type[RefusedError], sentence: str, if_explained: str = "") -> RefusedError:
        chosen = if_explained if if_explained and explained else sentence
        return error_of(kind, chosen, answer, subject, facts=facts)

    is_client = way.grant_type in {GrantType.CLIENT_CREDENTIALS, GrantType.JWT_BEARER}
    is_definite = status in {400, 401} and document is None
    if ErrorMeaning.CLIENT_REJECTED in known or (is_client and (is_definite or status == 401)):
        if is_client and request.has_own_client:
            # The client is the account's credential, so the operator cannot renew it.
            return error(
                _CREDENTIALS_REJECTED.kind,
                _CREDENTIALS_REJECTED.sentence,
                _CREDENTIALS_REJECTED.explained,
            )
        return error(ClientRefusedError, _CLIENT_REJECTED, _CLIENT_EXPLAINED)
    if ErrorMeaning.SETTINGS_REJECTED in known:
        return error(SettingsRefusedError, _SETTINGS_REJECTED)
    not_wrong = next((_NOT_WRONG[meaning] for meaning in known if meaning in _NOT_WRONG), None)
    if not_wrong and rejection.kind is CredentialsRefusedError:
        return error(*not_wrong)
    has_words = rejection.words and rejection.words.search(message_of(answer, subject))
    is_rejected = (
        ErrorMeaning.GRANT_REJECTED in known or not_wrong is not None or is_definite or has_words
    )
    if is_rejected or status == 401:
        return error(rejection.kind, rejection.sentence, rejection.explained)
    if status == 403:
        return error(AccessForbiddenError, _FORBIDDEN)
    return error(RefusedError, _REJECTED)
