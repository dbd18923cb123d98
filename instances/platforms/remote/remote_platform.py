"""A remote platform: Cloud Elements, or another Instance Manager."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlsplit

from pydantic import ValidationError

from instances.catalogue.hosts import refused_host
from instances.errors import (
    AnswerLostError,
    ClientRefusedError,
    GoneError,
    HostNotAllowedError,
    OutcomeUnknownError,
    PlatformError,
    ProviderFaultError,
    UnusableAnswerError,
)
from instances.models import Organization, OrganizationUser
from instances.platforms.base import (
    ListedInstance,
    PlatformInstance,
    PlatformRequest,
    RequestToken,
    UnusableListing,
    callback_with_state,
)
from instances.platforms.remote.calling import PLATFORM, api_url_of
from instances.platforms.remote.refusals import error_document, is_nothing_found, raise_for_refusal
from instances.platforms.transport import (
    Answer,
    Subject,
    exchange,
    json_of,
    subject_of,
    unusable,
)
from instances.redaction import storable
from instances.wire import (
    Document,
    InstanceBody,
    InstanceDocument,
    ListedInstanceDocument,
    OAuthUrlDocument,
    RequestTokenDocument,
)

# The largest page (contract 4).
PAGE_SIZE = 200
MAX_NAME_CHARACTERS = 200
MAX_URL_CHARACTERS = 16_000
_OAUTH_URL_KEYS = {
    "oauth.api.key": "apiKey",
    "oauth.api.secret": "apiSecret",
    "oauth.callback.url": "callbackUrl",
    "oauth.scope": "scope",
}
_WRONG_INSTANCE = (
    "%(provider)s answered with instance %(answered)s but was asked for %(asked)s (%(operation)s, HTTP %(status)d). "
    "Check the address, or try again later."
)
_WRONG_FIELDS = (
    "%(provider)s sent a response without a valid %(fields)s (%(operation)s, HTTP %(status)d). Check the address, or "
    "try again later."
)
_WRONG_ENTRY = "%(name)s: the platform's list has no valid %(fields)s for it. Correct it on the platform and import again."
_INVALID_ENTRY = (
    "%(name)s: the platform's list entry is invalid. Correct it on the platform and import again."
)


class CloudElementsPlatform:
    """Implement base.Platform over HTTP. Masked values in responses are never stored."""

    def __init__(self, organization: Organization) -> None:
        self._organization = organization
        # By the primary key of a user: that user's secret and the organization's.
        self._revealed: dict[int, tuple[str, str]] = {}
        self._base_url = api_url_of(organization)

    def request_token(self, request: PlatformRequest, *, state: str) -> RequestToken:
        subject = self._subject(request, "Get request token", state)
        query = _oauth_query(request, state)
        if callback_url := query.get("callbackUrl"):
            # It is unknown whether the platform itself returns the state (contract 11.1).
            query["callbackUrl"] = callback_with_state(callback_url, state)
        answer = self._ask_oauth("token", query, request, subject)
        document = _read(RequestTokenDocument, answer, subject)
        return RequestToken(document.token, document.secret)

    def oauth_url(self, request: PlatformRequest, *, state: str) -> str:
        """Return the platform's authorization URL (contract 8.1).

        The platform does not support PKCE.
        """
        subject = self._subject(request, "Get authorization URL", state)
        answer = self._ask_oauth("url", _oauth_query(request, state), request, subject)
        url = _read(OAuthUrlDocument, answer, subject).oauth_url
        if not _is_web_address(url):
            raise unusable(answer, subject)
        return url

    def find_choices(self, request: PlatformRequest) -> list[tuple[str, str]]:
        return []

    def creates_without_exchange(self, request: PlatformRequest) -> bool:
        return False

    def create_instance(self, request: PlatformRequest) -> PlatformInstance:
        subject = self._subject(request, "Create")
        try:
            answer = self._send(
                "POST", "/instances", request.organization_user, subject, json=_body(request)
            )
            raise_for_refusal(
                answer, subject, element=request.element.key, has_code=bool(request.provider_data)
            )
            return _instance(_read(InstanceDocument, answer, subject))
        except PlatformError as error:
            if not _may_have_created(error):
                raise
            raise OutcomeUnknownError(
                f"{error} It is not known whether the instance was created. The platform will be asked before anything "
                "is sent again; to ask now, run a check.",
                provider_message=error.provider_message,
                status=error.status,
                interaction=error.interaction,
            ) from error

    def update_instance(self, request: PlatformRequest) -> PlatformInstance:
        return self._on_instance("PUT", request, "Reauthenticate", json=_body(request))

    def get_instance(self, request: PlatformRequest) -> PlatformInstance:
        return self._on_instance("GET", request, "Check")

    def refresh_tokens(self, request: PlatformRequest) -> None:
        """Do nothing: the platform holds the provider's tokens and refreshes them itself."""

    def open_session(self, request: PlatformRequest) -> None:
        """Do nothing: the platform calls the provider."""

    def describe_instance(self, request: PlatformRequest) -> None:
        unchecked = {"reAuthenticate": "false"}
        self._on_instance("PUT", request, "Update", json=_body(request), params=unchecked)

    def set_enabled(self, request: PlatformRequest, *, is_enabled: bool) -> None:
        method, operation = ("PUT", "Enable") if is_enabled else ("DELETE", "Disable")
        subject = self._subject(request, operation)
        answer = self._send(method, f"{_path(request)}/enabled", request.organization_user, subject)
        raise_for_refusal(answer, subject)

    def delete_instance(self, request: PlatformRequest) -> None:
        subject = self._subject(request, "Delete")
        answer = self._send("DELETE", _path(request), request.organization_user, subject)
        if answer.status_code == 404 and error_document(answer).message:
            return
        raise_for_refusal(answer, subject)

    def find_instances(self, request: PlatformRequest) -> list[PlatformInstance]:
        subject = self._subject(request, "Look up by tag")
        answer = self._send(
            "GET", "/instances", request.organization_user, subject, params={"tags[]": request.tag}
        )
        if is_nothing_found(answer):
            return []
        raise_for_refusal(answer, subject)
        # A platform that ignores the parameter returns unrelated instances. They must not be adopted and need not be
        # valid; an entry that names our tag must be.
        documents = [
            _validate(InstanceDocument, item, answer, subject)
            for item in _items(answer, subject)
            if not isinstance(item, dict) or request.tag in str(item.get("tags"))
        ]
        return [_instance(document) for document in documents if request.tag in document.tags]

    def list_instances(
        self, user: OrganizationUser, *, actor: str
    ) -> Iterator[ListedInstance | UnusableListing]:
        subject = Subject(
            organization_id=self._organization.pk,
            instance_id=None,
            label=f"Instances of {user}",
            operation="List instances",
            provider=PLATFORM,
            actor=actor,
            secrets=frozenset(self._secrets_of(user)),
        )
        query = {"pageSize": str(PAGE_SIZE)}
        seen: set[str] = set()
        while True:
            answer = self._send("GET", "/instances", user, subject, params=query)
            if is_nothing_found(answer):
                return
            raise_for_refusal(answer, subject)
            items = _items(answer, subject)
            yield from map(_listed, items)
            next_page = answer.headers.get("Elements-Next-Page-Token")
            if not (items and next_page) or next_page in seen:
                return
            seen.add(next_page)
            query["nextPage"] = next_page

    def _ask_oauth(
        self, what: str, query: dict[str, str], request: PlatformRequest, subject: Subject
    ) -> Answer:
        path = f"/elements/{quote(request.element.key)}/oauth/{what}"
        answer = self._send("GET", path, request.organization_user, subject, params=query)
        raise_for_refusal(answer, subject, element=request.element.key)
        return answer

    def _on_instance(
        self, method: str, request: PlatformRequest, operation: str, **sent: Any
    ) -> PlatformInstance:
        subject = self._subject(request, operation)
        answer = self._send(method, _path(request), request.organization_user, subject, **sent)
        raise_for_refusal(answer, subject, has_code=bool(request.provider_data))
        document = _read(InstanceDocument, answer, subject)
        if document.id != request.remote_id:
            facts = {"answered": document.id, "asked": request.remote_id}
            raise unusable(answer, subject, _WRONG_INSTANCE, facts=facts)
        return _instance(document)

    def _subject(self, request: PlatformRequest, operation: str, *secrets: str) -> Subject:
        own = self._secrets_of(request.organization_user)
        return subject_of(request, operation, provider=PLATFORM, secrets={*own, *secrets})

    def _secrets_of(self, user: OrganizationUser) -> tuple[str, str]:
        """Return the secrets of the user and of the organization, decrypted once for this request."""
        if user.pk not in self._revealed:
            self._revealed[user.pk] = user.secret.reveal(), self._organization.secret.reveal()
        return self._revealed[user.pk]

    def _send(
        self, method: str, path: str, user: OrganizationUser, subject: Subject, **sent: Any
    ) -> Answer:
        user_secret, organization_secret = self._secrets_of(user)
        if not (user_secret and organization_secret):
            raise ClientRefusedError(
                f"{subject.label}: The remote platform's secrets of {user} are missing, so nothing was sent. Enter the "
                "organization's and the user's secret."
            )
        headers = {
            "Accept": "application/json",
            "Authorization": f"User {user_secret}, Organization {organization_secret}",
        }
        return exchange(subject, method, self._base_url + path, headers=headers, **sent)


def _path(request: PlatformRequest) -> str:
    if request.remote_id is None:
        raise GoneError(
            f"{request.label}: It has no ID on the remote platform, so it does not exist there. Connect it again."
        )
    return f"/instances/{request.remote_id}"


def _require_allowed_hosts(request: PlatformRequest) -> None:
    """The platform sends the client that it gets to the host that it gets, whichever that is.

    Raises HostNotAllowedError.
    """
    way = request.authentication
    templates = [template for _, template in way.url_templates()]
    values = way.values_of(request.configuration)
    if refused := refused_host(way, templates, values, allowed=request.allowed_hosts):
        raise HostNotAllowedError(*refused, request.element.name)


def _oauth_query(request: PlatformRequest, state: str) -> dict[str, str]:
    """Return the query parameters of oauth/url and oauth/token (contract 8.1).

    Raises HostNotAllowedError.
    """
    _require_allowed_hosts(request)
    values = request.authentication.values_of(request.configuration)
    query = {name: values[key] for key, name in _OAUTH_URL_KEYS.items() if values.get(key)}
    plain = {
        key: value
        for key, value in values.items()
        if key not in _OAUTH_URL_KEYS and not request.element.is_secret(key)
    }
    site_address = values.get(request.authentication.site_address_key or "")
    request_token = request.provider_data.get("oauth_token")
    return {
        **plain,
        **_authentication_type(request),
        **query,
        **({"siteAddress": site_address} if site_address else {}),
        **({"requestToken": request_token} if request_token else {}),
        "state": state,
    }


def _authentication_type(request: PlatformRequest) -> dict[str, str]:
    """Name the type if the element has several ways of authentication (contract 7.2)."""
    if len(request.element.authentication) == 1:
        return {}
    return {"authentication.type": str(request.authentication.type)}


def _body(request: PlatformRequest) -> dict[str, Any]:
    """Return the body of a create or update (contract 7.1), with our tag.

    Raises HostNotAllowedError.
    """
    _require_allowed_hosts(request)
    body: dict[str, Any] = {
        "element": {"key": request.element.key},
        "name": request.name,
        # Since a tag is sent, the platform does not add the name as one (contract 7.1).
        "tags": [*(request.tags or (request.name,)), request.tag],
        "configuration": {**_authentication_type(request), **request.configuration},
    }
    if request.provider_data:
        body["providerData"] = dict(request.provider_data)
    if request.external_authentication != "none":
        body["externalAuthentication"] = request.external_authentication
    return InstanceBody.model_validate(body).to_wire()


def _instance(document: InstanceDocument) -> PlatformInstance:
    return PlatformInstance(
        token=document.token,
        remote_id=document.id,
        is_valid=document.valid,
        is_disabled=document.disabled,
    )


def _listed(item: Any) -> ListedInstance | UnusableListing:
    try:
        document = ListedInstanceDocument.model_validate(item)
    except ValidationError as error:
        name = item.get("name") if isinstance(item, dict) else None
        name = storable(name)[:MAX_NAME_CHARACTERS] if isinstance(name, str) else "An instance"
        fields = _wrong_fields(error)
        sentence = _WRONG_ENTRY if fields else _INVALID_ENTRY
        return UnusableListing(name, sentence % {"name": name, "fields": fields})
    return ListedInstance(
        instance=_instance(document),
        name=document.name,
        element=document.element.key,
        authentication_type=document.element.authentication.type,
        tags=tuple(document.tags),
        configuration=document.configuration,
    )


def _read[D: Document](kind: type[D], answer: Answer, subject: Subject) -> D:
    return _validate(kind, json_of(answer), answer, subject)


def _items(answer: Answer, subject: Subject) -> list[Any]:
    items = json_of(answer)
    if not isinstance(items, list):
        raise unusable(answer, subject)
    return items


def _validate[D: Document](kind: type[D], document: Any, answer: Answer, subject: Subject) -> D:
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        fields = _wrong_fields(error) if isinstance(document, dict) else ""
        sentence = _WRONG_FIELDS if fields else ""
        raise unusable(answer, subject, sentence, facts={"fields": fields}) from None


def _wrong_fields(error: ValidationError) -> str:
    """List the invalid fields by our names for them, never their values.

    Empty if it is not about fields.
    """
    return ", ".join(dict.fromkeys(str(item["loc"][0]) for item in error.errors() if item["loc"]))


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    is_plain = url.isprintable() and " " not in url and len(url) <= MAX_URL_CHARACTERS
    return is_plain and parts.scheme in {"http", "https"} and bool(parts.hostname)


def _may_have_created(error: PlatformError) -> bool:
    """Whether a create may have succeeded.

    True after a lost response, a 5xx, an unreadable 2xx or 3xx, and a 302 or 303 redirect.
    """
    is_lost = isinstance(error, AnswerLostError | ProviderFaultError)
    is_unread = isinstance(error, UnusableAnswerError) and (error.status or 0) < 400
    return is_lost or is_unread or error.status in {302, 303}
