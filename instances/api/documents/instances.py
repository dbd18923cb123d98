"""Instances, their configuration, health and recorded exchanges (contract 5, 8.2, 8.3)."""

from typing import Annotated, Any, Literal, Self

from django.utils import timezone
from pydantic import Field

from instances.api.documents.base import ResponseDocument, WireDate, is_none
from instances.api.documents.elements import (
    ENTRIES_PER_OWNER,
    ConfigurationEntry,
    ElementDocument,
    ElementSummaryDocument,
)
from instances.catalogue.configuration_keys import MASK, ConfigurationKey
from instances.models import Instance, Interaction, OrganizationUser
from instances.provisioning.status.explain import explain, explain_unverified
from instances.provisioning.status.meaning import facts_of, meaning_of
from instances.wire import Document

_DEFAULTS = {"filter.response.nulls": "true", "event.notification.enabled": "false"}


class UserReference(ResponseDocument):
    """The user that an instance belongs to (contract 5)."""

    id: int
    email_address: str
    first_name: str
    last_name: str

    @classmethod
    def of(cls, user: OrganizationUser) -> Self:
        return cls(
            id=user.pk,
            email_address=user.email,
            first_name=user.first_name,
            last_name=user.last_name,
        )


class InstanceDocument(ResponseDocument):
    """An instance (contract 5)."""

    id: int
    name: str
    created_date: WireDate
    token: str
    element: ElementDocument | ElementSummaryDocument
    element_id: int
    tags: list[str]
    provision_interactions: tuple[()] = ()
    valid: bool
    disabled: bool
    max_cache_size: Literal[0] = 0
    cache_time_to_live: Literal[0] = 0
    configuration: dict[str, str | None]
    events_enabled: bool
    events_notification_callback_url: str | None = Field(None, exclude_if=is_none)
    trace_logging_enabled: bool
    caching_enabled: Literal[False] = False
    external_authentication: Annotated[
        str, Field(json_schema_extra={"enum": [*Instance.ExternalAuthentication.values]})
    ]
    user: UserReference

    @classmethod
    def of(cls, instance: Instance, *, token: str, is_hydrated: bool = True) -> Self:
        """Build the document.

        token: the Element token as the caller may see it.

        Decrypts the secrets to find out whether they are readable: if not, the instance is not valid, and its
        configuration is not shown.
        """
        is_readable = instance.is_readable
        configuration = _masked_configuration(instance)
        has_events = configuration["event.notification.enabled"] == "true"
        callback = configuration.get("event.notification.callback.url") or ""
        return cls(
            id=wire_id(instance),
            name=instance.name,
            created_date=instance.created_at,
            token=token,
            element=(
                ElementDocument.of(instance.element, kind=instance.authentication_type)
                if is_hydrated
                else ElementSummaryDocument.of(instance.element)
            ),
            element_id=instance.element_id,
            tags=instance.tag_names,
            valid=instance.is_connected and is_readable,
            disabled=instance.is_disabled,
            configuration=configuration if is_hydrated and is_readable else {},
            events_enabled=has_events,
            events_notification_callback_url=callback if has_events else None,
            trace_logging_enabled=instance.is_traced(at=timezone.now()),
            external_authentication=instance.external_authentication,
            user=UserReference.of(instance.organization_user),
        )


class ElementCountDocument(ResponseDocument):
    """Number of the caller's instances of one element."""

    element_id: int
    element_key: str
    instances: int


class InstanceCountDocument(ResponseDocument):
    """Number of the caller's instances (contract 8.2)."""

    total_instances: int
    element_instances: list[ElementCountDocument]


class InstanceConfigurationDocument(ConfigurationEntry):
    """One configuration key of an instance with its value.

    Secrets are masked (contract 8.3).
    """

    property_value: str | None

    @classmethod
    def all_of(cls, instance: Instance) -> list[Self]:
        """Build the configuration entries of an instance.

        One for every key of the element, set or not, then one for each of the client's own keys.
        """
        values = _masked_configuration(instance)
        declared = instance.element.parsed.configuration_keys
        own = [
            ConfigurationKey(key=key, label=key)
            for key in sorted(values.keys() - {key.key for key in declared})
        ]
        keys = [*declared, *own][:ENTRIES_PER_OWNER]
        return [
            cls.of(
                key,
                owner=instance.pk,
                number=number,
                property_value=values.get(key.key, key.default),
            )
            for number, key in enumerate(keys)
        ]


class SwaggerDocument(ResponseDocument):
    """Swagger 2.0 document of an element, an instance or an object (contract 8.2)."""

    swagger: Literal["2.0"] = "2.0"
    info: dict[str, str]
    host: str
    schemes: list[str]
    base_path: str
    consumes: tuple[str, ...] = ("application/json",)
    produces: tuple[str, ...] = ("application/json",)
    security_definitions: dict[str, Any] = {
        "authorization": {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "User <secret>, Element <token>",
        }
    }
    security: list[dict[str, list[str]]] = [{"authorization": []}]
    paths: dict[str, Any]
    definitions: dict[str, Any]


class TraceLoggingBody(Document):
    """How long trace logging is to last.

    The unit is ours: no source states it.
    """

    duration: int | None = Field(
        None, gt=0, le=10_000_000, description="Minutes; at most 1440, and 60 if it is not given"
    )


class ExchangedDocument(ResponseDocument):
    """The request or the response of a recorded exchange, redacted."""

    headers: dict[str, Any]
    body: str


class InteractionDocument(ResponseDocument):
    """A recorded exchange of an instance. Not part of the vendor's API.

    status: null if there was no response; error then says why.
    """

    id: int
    started_at: WireDate
    duration_ms: int
    # Of data calls.
    request_bytes: int | None = Field(None, exclude_if=is_none)
    response_bytes: int | None = Field(None, exclude_if=is_none)
    step: str
    direction: Annotated[str, Field(json_schema_extra={"enum": [*Interaction.Direction.values]})]
    actor: str
    method: str
    url: str
    status: int | None
    error: str
    request: ExchangedDocument
    response: ExchangedDocument

    @classmethod
    def of(cls, interaction: Interaction) -> Self:
        """Build a recorded exchange, which was redacted when it was recorded."""
        return cls(
            id=interaction.pk,
            started_at=interaction.started_at,
            duration_ms=interaction.duration_ms,
            request_bytes=interaction.request_bytes,
            response_bytes=interaction.response_bytes,
            step=interaction.operation,
            direction=interaction.direction,
            actor=interaction.actor,
            method=interaction.method,
            url=interaction.url,
            status=interaction.status,
            error=interaction.error,
            request=ExchangedDocument(
                headers=interaction.request_headers, body=interaction.request_body
            ),
            response=ExchangedDocument(
                headers=interaction.response_headers, body=interaction.response_body
            ),
        )


class InstanceHealthDocument(ResponseDocument):
    """The health of an instance. Not part of the vendor's API.

    cause, responsible, advice and nextStep are null if there is nothing to report. advice also says what verifies
    credentials that are not verified.

    status: what pages show: healthy, attention, broken, unverified, paused, waiting or busy.

    nextStep: provision, authorize, check, reauthenticate, enable or delete. interactionId: the recorded exchange
    that shows the cause. verified: whether an exchange with the provider proved the credentials. missingScopes: asked
    for, and not granted. account: what identifies the account at the provider, by the provider's names; empty: not
    known. nextCheckAt, nextRefreshAt: when these are scheduled; null: not scheduled.
    """

    state: str
    status: str
    valid: bool
    disabled: bool
    verified: bool
    missing_scopes: list[str]
    account: dict[str, str]
    cause: str | None
    responsible: str | None
    advice: str | None
    next_step: str | None
    interaction_id: int | None
    last_checked_at: WireDate | None
    last_succeeded_at: WireDate | None
    next_check_at: WireDate | None
    next_refresh_at: WireDate | None
    expires_at: WireDate | None

    @classmethod
    def of(cls, instance: Instance) -> Self:
        explanation = explain(instance)
        return cls(
            state=instance.state,
            status=meaning_of(facts_of(instance)).status,
            valid=instance.is_connected and instance.is_readable,
            disabled=instance.is_disabled,
            verified=instance.is_verified,
            missing_scopes=instance.missing_scopes,
            account=instance.account_identity or {},
            cause=explanation.cause if explanation else None,
            responsible=explanation.who_acts if explanation else None,
            advice=explanation.advice if explanation else explain_unverified(instance) or None,
            next_step=explanation.action.name if explanation else None,
            interaction_id=instance.cause_interaction_id if explanation else None,
            last_checked_at=instance.last_checked_at,
            last_succeeded_at=instance.last_succeeded_at,
            next_check_at=instance.next_check_at,
            next_refresh_at=instance.next_refresh_at,
            expires_at=instance.expires_at,
        )


def wire_id(instance: Instance) -> int:
    """Return the id that clients know.

    It is the remote platform's, so that they can switch between the hosts.
    """
    return instance.remote_id or instance.pk


def _masked_configuration(instance: Instance) -> dict[str, str | None]:
    """Return the configuration with secrets masked, without decrypting them."""
    masked = dict.fromkeys(instance.secret_keys, MASK)
    return {**_DEFAULTS, **instance.configuration, **masked}
