"""A remote platform that speaks the platform API v2: Cloud Elements, or another of this program."""

import re
from typing import Any, NoReturn
from urllib.parse import quote, urlsplit

from pydantic import ValidationError

from instances.errors import (
    AccessForbiddenError,
    AnswerLostError,
    ClientRefusedError,
    CredentialsRefusedError,
    GoneError,
    GrantRejectedError,
    InstancesError,
    MissingCodeError,
    MissingConfigurationError,
    OutcomeUnknownError,
    PlatformError,
    ProviderFaultError,
    RefusedError,
    UnknownElementError,
    UnusableAnswerError,
)
from instances.models import Organization
from instances.platforms.base import (
    InstanceDraft,
    PlatformInstance,
    RequestToken,
    callback_with_state,
)
from instances.platforms.transport import (
    Answer,
    Subject,
    error_of,
    json_of,
    raise_for_fault,
    session_for,
    subject_of,
    unusable,
)
from instances.redaction import redact_values
from instances.wire import (
    Document,
    ErrorDocument,
    InstanceBody,
    InstanceDocument,
    OAuthUrlDocument,
    RequestTokenDocument,
)

API_PATH = "/elements/api-v2"
# Contract 3.1: an empty list is answered as a 404 with such a message.
_NOTHING_FOUND = re.compile(r"No (.*) found")
# Contract 7.5.
_MISSING = re.compile(r"Missing required configuration: (.+)")
_OAUTH_URL_KEYS = {
    "oauth.api.key": "apiKey",
    "oauth.api.secret": "apiSecret",
    "oauth.callback.url": "callbackUrl",
    "oauth.scope": "scope",
}


class CloudElementsPlatform:
    """Implements base.Platform over HTTP. Masked values that it answers are never taken over."""

    def __init__(self, organization: Organization) -> None:
        self._organization = organization
        self._base_url = organization.platform_url.rstrip("/").removesuffix(API_PATH) + API_PATH

    def request_token(self, draft: InstanceDraft, *, state: str) -> RequestToken:
        subject = self._subject(draft, "ask for a request token", state)
        query = _oauth_query(draft, state)
        if callback_url := query.get("callbackUrl"):
            # Whether the platform itself brings the state back is not known (contract 11.1).
            query["callbackUrl"] = callback_with_state(callback_url, state)
        answer = self._ask_oauth("token", query, draft, subject)
        document = _read(RequestTokenDocument, answer, subject)
        return RequestToken(document.token, document.secret)

    def oauth_url(self, draft: InstanceDraft, *, state: str) -> str:
        """The URL that the platform makes (contract 8.1); it sends no PKCE challenge, so none is checked."""
        subject = self._subject(draft, "ask for the authorization URL", state)
        answer = self._ask_oauth("url", _oauth_query(draft, state), draft, subject)
        url = _read(OAuthUrlDocument, answer, subject).oauth_url
        if urlsplit(url).scheme not in {"http", "https"}:
            raise unusable(answer, subject)
        return url

    def create_instance(self, draft: InstanceDraft) -> PlatformInstance:
        subject = self._subject(draft, "create")
        try:
            answer = self._send("POST", "/instances", draft, subject, json=_body(draft))
            _raise_for_refusal(answer, draft, subject, not_found=UnknownElementError)
            return _instance(_read(InstanceDocument, answer, subject))
        except PlatformError as error:
            if not _may_have_created(error):
                raise
            raise OutcomeUnknownError(
                f"{error} Whether the instance was created is not known; "
                "check it, and the platform is asked before anything is sent again.",
                provider_message=error.provider_message,
                status=error.status,
                interaction=error.interaction,
            ) from error

    def update_instance(self, draft: InstanceDraft) -> PlatformInstance:
        return self._on_instance("PUT", draft, "authenticate again", json=_body(draft))

    def get_instance(self, draft: InstanceDraft) -> PlatformInstance:
        return self._on_instance("GET", draft, "check")

    def refresh_tokens(self, draft: InstanceDraft) -> None:
        """Nothing to do: the platform has the provider's tokens, and keeps them alive itself."""

    def describe_instance(self, draft: InstanceDraft) -> None:
        unchecked = {"reAuthenticate": "false"}
        self._on_instance("PUT", draft, "describe", json=_body(draft), params=unchecked)

    def set_enabled(self, draft: InstanceDraft, *, is_enabled: bool) -> None:
        method, step = ("PUT", "enable") if is_enabled else ("DELETE", "disable")
        subject = self._subject(draft, step)
        answer = self._send(method, f"{_path(draft)}/enabled", draft, subject)
        _raise_for_refusal(answer, draft, subject)

    def delete_instance(self, draft: InstanceDraft) -> None:
        subject = self._subject(draft, "delete")
        answer = self._send("DELETE", _path(draft), draft, subject)
        if answer.status_code == 404 and _error_document(answer).message:
            return
        _raise_for_refusal(answer, draft, subject)

    def find_instances(self, draft: InstanceDraft) -> list[PlatformInstance]:
        subject = self._subject(draft, "look for it by its tag")
        answer = self._send("GET", "/instances", draft, subject, params={"tags[]": draft.tag})
        if answer.status_code == 404 and _NOTHING_FOUND.fullmatch(_error_document(answer).message):
            return []
        _raise_for_refusal(answer, draft, subject)
        items = json_of(answer)
        if not isinstance(items, list):
            raise unusable(answer, subject)
        documents = [_validate(InstanceDocument, item, answer, subject) for item in items]
        # A platform that ignores the parameter answers strangers' instances, which must not be adopted.
        return [_instance(document) for document in documents if draft.tag in document.tags]

    def _ask_oauth(
        self, what: str, query: dict[str, str], draft: InstanceDraft, subject: Subject
    ) -> Answer:
        path = f"/elements/{quote(draft.element.key)}/oauth/{what}"
        answer = self._send("GET", path, draft, subject, params=query)
        _raise_for_refusal(answer, draft, subject, not_found=UnknownElementError)
        return answer

    def _on_instance(
        self, method: str, draft: InstanceDraft, step: str, **sent: Any
    ) -> PlatformInstance:
        subject = self._subject(draft, step)
        answer = self._send(method, _path(draft), draft, subject, **sent)
        _raise_for_refusal(answer, draft, subject)
        return _instance(_read(InstanceDocument, answer, subject))

    def _subject(self, draft: InstanceDraft, step: str, *secrets: str) -> Subject:
        organization, user = self._organization, draft.organization_user
        return subject_of(
            draft, step, secrets={organization.secret.reveal(), user.secret.reveal(), *secrets}
        )

    def _send(
        self, method: str, path: str, draft: InstanceDraft, subject: Subject, **sent: Any
    ) -> Answer:
        user_secret = draft.organization_user.secret.reveal()
        organization_secret = self._organization.secret.reveal()
        if not (user_secret and organization_secret):
            raise ClientRefusedError(
                f"{subject.label}: the secrets of {draft.organization_user} at the remote platform are not entered "
                "here, so nothing was sent. Enter the organization's and the user's secret."
            )
        headers = {
            "Accept": "application/json",
            "Authorization": f"User {user_secret}, Organization {organization_secret}",
        }
        return session_for(subject).request(method, self._base_url + path, headers=headers, **sent)


def _path(draft: InstanceDraft) -> str:
    if draft.remote_id is None:
        raise GoneError(f"{draft.label} has no id at the remote platform, so it cannot be there.")
    return f"/instances/{draft.remote_id}"


def _oauth_query(draft: InstanceDraft, state: str) -> dict[str, str]:
    """The parameters of oauth/url and oauth/token (contract 8.1)."""
    values = draft.authentication.values_of(draft.configuration)
    query = {name: values[key] for key, name in _OAUTH_URL_KEYS.items() if values.get(key)}
    plain = {
        key: value
        for key, value in values.items()
        if key not in _OAUTH_URL_KEYS and not draft.element.is_secret(key)
    }
    site_address = values.get(draft.authentication.site_address_key or "")
    request_token = draft.provider_data.get("oauth_token")
    return {
        **plain,
        **_naming_the_way(draft),
        **query,
        **({"siteAddress": site_address} if site_address else {}),
        **({"requestToken": request_token} if request_token else {}),
        "state": state,
    }


def _naming_the_way(draft: InstanceDraft) -> dict[str, str]:
    """An element with several ways of authentication is told which (contract 7.2)."""
    if len(draft.element.authentication) == 1:
        return {}
    return {"authentication.type": str(draft.authentication.type)}


def _body(draft: InstanceDraft) -> dict[str, Any]:
    """The body of a create or update (contract 7.1), found again by the draft's tag."""
    body: dict[str, Any] = {
        "element": {"key": draft.element.key},
        "name": draft.name,
        # With a tag of ours there, the platform no longer adds the name by itself (contract 7.1).
        "tags": [*(draft.tags or (draft.name,)), draft.tag],
        "configuration": {**_naming_the_way(draft), **draft.configuration},
    }
    if draft.provider_data:
        body["providerData"] = dict(draft.provider_data)
    if draft.external_authentication != "none":
        body["externalAuthentication"] = draft.external_authentication
    return InstanceBody.model_validate(body).to_wire()


def _instance(document: InstanceDocument) -> PlatformInstance:
    return PlatformInstance(
        token=document.token,
        remote_id=document.id,
        is_valid=document.valid,
        is_disabled=document.disabled,
    )


def _read[D: Document](kind: type[D], answer: Answer, subject: Subject) -> D:
    return _validate(kind, json_of(answer), answer, subject)


def _validate[D: Document](kind: type[D], document: Any, answer: Answer, subject: Subject) -> D:
    try:
        return kind.model_validate(document)
    except ValidationError:
        raise unusable(answer, subject) from None


def _error_document(answer: Answer) -> ErrorDocument:
    """An error in the contract's form; an empty one where the answer is something else."""
    try:
        return ErrorDocument.model_validate(json_of(answer))
    except ValidationError:
        return ErrorDocument()


def _may_have_created(error: PlatformError) -> bool:
    """After a lost answer, a 5xx, a success that cannot be read, or a redirect that follows a POST (303, 302)."""
    is_lost = isinstance(error, AnswerLostError | ProviderFaultError)
    is_unread = isinstance(error, UnusableAnswerError) and (error.status or 0) < 400
    return is_lost or is_unread or error.status in {302, 303}


def _raise_for_refusal(
    answer: Answer,
    draft: InstanceDraft,
    subject: Subject,
    *,
    not_found: type[GoneError | UnknownElementError] = GoneError,
) -> None:
    """Raises what a status other than 2xx means (contract 3), with the platform's own words."""
    if answer.ok:
        # A proxy's sign-in page must not pass for a deletion that was carried out.
        is_html = answer.headers.get("Content-Type", "").startswith("text/html")
        if is_html and answer.content:
            raise unusable(answer, subject)
        return
    try:
        _raise_for_status(answer, draft, subject, not_found)
    except InstancesError as error:
        _keep_words(error, answer, subject)
        raise


def _keep_words(error: InstancesError, answer: Answer, subject: Subject) -> None:
    """What the platform said for itself, and what it passes on from the provider, without a secret of ours."""
    told = _error_document(answer)
    error.platform_message = redact_values(told.message, subject.secrets)
    if isinstance(error, PlatformError) and told.message:
        error.provider_message = redact_values(told.provider_message or "", subject.secrets)


def _raise_for_status(
    answer: Answer,
    draft: InstanceDraft,
    subject: Subject,
    not_found: type[GoneError | UnknownElementError],
) -> None:
    raise_for_fault(answer, subject)
    message = _error_document(answer).message
    if not message:
        raise unusable(answer, subject)
    match answer.status_code:
        case 400:
            _raise_for_bad_request(answer, draft, subject, message)
        case 401:
            why = "was refused (401): the organization's or the user's secret is wrong. Enter them anew."
            raise error_of(ClientRefusedError, why, answer, subject)
        case 403:
            why = "is forbidden (403). Ask the account's holder, or the platform, for the right to do it."
            raise error_of(AccessForbiddenError, why, answer, subject)
        case 404 if not_found is UnknownElementError:
            raise UnknownElementError(
                f"{subject.label}: the remote platform has no element {draft.element.key}."
            )
        case 404:
            why = "found no such instance at the platform (404). Provision it anew."
            raise error_of(GoneError, why, answer, subject)
    why = (
        f"was refused ({answer.status_code}). Read the recorded exchange, and correct what it says."
    )
    raise error_of(RefusedError, why, answer, subject)


def _raise_for_bad_request(
    answer: Answer, draft: InstanceDraft, subject: Subject, message: str
) -> NoReturn:
    if missing := _MISSING.fullmatch(message):
        raise MissingConfigurationError([key.strip() for key in missing[1].split(",")])
    if message.startswith(str(MissingCodeError())):
        raise MissingCodeError
    told = _error_document(answer).provider_message
    if told is None:
        why = "was refused (400). Read the recorded exchange, and correct what it says."
        raise error_of(RefusedError, why, answer, subject)
    if "invalid_client" in told or "unauthorized_client" in told:
        why = "was refused: the provider does not know the OAuth client, or its secret is wrong."
        raise error_of(ClientRefusedError, why, answer, subject)
    if draft.provider_data:
        why = "was refused: the provider did not take the authorization code. Authorize again."
        raise error_of(GrantRejectedError, why, answer, subject)
    why = "was refused: the provider did not take the credentials. Correct them."
    raise error_of(CredentialsRefusedError, why, answer, subject)
