"""Build the JSON documents of the API from rows (contract 5, 6, 8)."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from zlib import crc32

from instances.catalogue.configuration_keys import (
    MASK,
    ConfigurationKey,
    KeyType,
    common_configuration,
)
from instances.catalogue.definition import ElementDefinition
from instances.models import Element, Instance, Interaction, Organization, OrganizationUser
from instances.provisioning.status.explain import explain
from instances.provisioning.status.meaning import facts_of, meaning_of

# More than any instance has configuration keys, so that entry ids are unique across instances (contract 8.3).
ENTRIES_PER_OWNER = 1_000
_TYPES = {
    KeyType.BOOLEAN: "BOOLEAN",
    KeyType.PASSWORD: "PASSWORD",
    KeyType.INTEGER: "TEXTFIELD_32",
    KeyType.LIST: "TEXTAREA",
}
_DEFAULTS = {"filter.response.nulls": "true", "event.notification.enabled": "false"}


def wire_date(at: datetime) -> str:
    """Format as ISO 8601 in UTC with seconds and Z (contract 5)."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def wire_id(instance: Instance) -> int:
    """Return the id that clients know.

    It is the remote platform's, so that they can switch between the hosts.
    """
    return instance.remote_id or instance.pk


def element_summary(element: Element) -> dict[str, Any]:
    """Build the short form of an element.

    For `abridged` lists, and instances that are not hydrated.
    """
    definition = element.parsed
    return {
        "id": element.pk,
        "key": element.key,
        "name": element.name,
        "description": definition.description,
        "hub": element.hub,
        "image": f"elements/provider_{element.key}.png",
        "active": element.is_active,
        "deleted": False,
        "typeOauth": any(way.needs_browser for way in definition.authentication),
        "trialAccount": False,
        "transformationsEnabled": False,
        "bulkDownloadEnabled": False,
        "bulkUploadEnabled": False,
        "cloneable": False,
        "extendable": False,
        "beta": False,
        "extended": False,
        "private": element.source == Element.Source.OWN,
    }


def element_document(element: Element, *, authentication_type: str = "") -> dict[str, Any]:
    """Build an element (contract 6).

    authentication_type: the one that the enclosing instance uses, if any.
    """
    kind = authentication_type or element.parsed.authentication[0].type
    return element_summary(element) | {
        "authentication": {"type": str(kind)},
        "protocolType": "http",
        "resources": [],
        "parameters": [],
    }


def element_configuration(element: Element) -> list[dict[str, Any]]:
    """Build the configuration keys of all authentication types (contract 6)."""
    return [
        {
            "id": element.pk * ENTRIES_PER_OWNER + number,
            "key": key.key,
            "name": key.label,
            "description": key.description,
            "defaultValue": key.default,
            "type": _TYPES.get(key.type, "TEXTFIELD_1000"),
            "required": key.required,
            "active": True,
            "internal": False,
            "groupControl": False,
            "hideFromConsole": False,
            "resellerConfig": False,
            "companyConfig": False,
            "displayOrder": number,
        }
        for number, key in enumerate(configuration_keys(element.parsed))
    ]


def configuration_keys(definition: ElementDefinition) -> list[ConfigurationKey]:
    """List the element's keys, then the common ones, each once, in display order."""
    ways = [key for way in definition.authentication for key in way.fields]
    unique: dict[str, ConfigurationKey] = {}
    for key in [*ways, *common_configuration()]:
        unique.setdefault(key.key, key)
    return list(unique.values())


def element_metadata(element: Element, *, is_expanded: bool) -> dict[str, Any]:
    """Build the capabilities of an element (contract 8.1)."""
    events = element.parsed.events or ()
    document = {
        "id": element.pk,
        "key": element.key,
        "name": element.name,
        "description": element.parsed.description,
        "events": {"supported": bool(events), "methods": list(events)},
    }
    if is_expanded:
        full = element_document(element)
        document |= {name: full[name] for name in ("image", "active", "beta", "cloneable", "hub")}
        document["authenticationType"] = full["authentication"]["type"]
    return document


def hub_document(key: str) -> dict[str, Any]:
    """Build a hub. Its id is derived from its key, since hubs are not stored."""
    return {
        "id": crc32(key.encode()),
        "key": key,
        "name": key.capitalize(),
        "description": f"Elements of the {key} hub",
    }


def instance_document(
    instance: Instance, *, token: str, is_hydrated: bool = True
) -> dict[str, Any]:
    """Build an instance (contract 5).

    token: its Element token as the caller may see it.

    Decrypts the secrets to find out whether they are readable: if not, the instance is not valid, and its
    configuration is not shown.
    """
    user = instance.organization_user
    is_readable = instance.is_readable
    configuration = masked_configuration(instance)
    element = (
        element_document(instance.element, authentication_type=instance.authentication_type)
        if is_hydrated
        else element_summary(instance.element)
    )
    events_enabled = configuration["event.notification.enabled"] == "true"
    document = {
        "id": wire_id(instance),
        "name": instance.name,
        "createdDate": wire_date(instance.created_at),
        "token": token,
        "element": element,
        "elementId": instance.element_id,
        "tags": instance.tag_names,
        "provisionInteractions": [],
        "valid": instance.is_connected and is_readable,
        "disabled": instance.is_disabled,
        "maxCacheSize": 0,
        "cacheTimeToLive": 0,
        "configuration": configuration if is_hydrated and is_readable else {},
        "eventsEnabled": events_enabled,
        "traceLoggingEnabled": instance.is_trace_logging,
        "cachingEnabled": False,
        "externalAuthentication": instance.external_authentication,
        "user": {
            "id": user.pk,
            "emailAddress": user.email,
            "firstName": user.first_name,
            "lastName": user.last_name,
        },
    }
    if events_enabled:
        callback = configuration.get("event.notification.callback.url") or ""
        document["eventsNotificationCallbackUrl"] = callback
    return document


def masked_configuration(instance: Instance) -> dict[str, str | None]:
    """Return the configuration with secrets masked, without decrypting them."""
    masked = dict.fromkeys(instance.secret_keys, MASK)
    return {**_DEFAULTS, **instance.configuration, **masked}


def instance_configuration(instance: Instance) -> list[dict[str, Any]]:
    """Build the configuration entries of an instance (contract 8.3).

    One for every key of the element, set or not, then one for each of the client's own keys.
    """
    values = masked_configuration(instance)
    declared = configuration_keys(instance.element.parsed)
    own = [
        ConfigurationKey(key=key, label=key)
        for key in sorted(values.keys() - {key.key for key in declared})
    ]
    return list(_entries(instance, [*declared, *own], values))


def _entries(
    instance: Instance, keys: list[ConfigurationKey], values: dict[str, str | None]
) -> Iterator[dict[str, Any]]:
    for number, key in enumerate(keys[:ENTRIES_PER_OWNER]):
        yield {
            "id": instance.pk * ENTRIES_PER_OWNER + number,
            "key": key.key,
            "name": key.label,
            "description": key.description,
            "propertyValue": values.get(key.key, key.default),
            "type": _TYPES.get(key.type, "TEXTFIELD_1000"),
            "required": key.required,
            "active": True,
            "hideFromConsole": False,
        }


def account_document(organization: Organization) -> dict[str, Any]:
    """Build an account, which is an organization (contract 8.4)."""
    return {
        "id": organization.pk,
        "name": organization.name,
        "description": organization.name,
        "externalId": str(organization.uid),
        "companyId": organization.pk,
        "defaultAccount": True,
        "active": True,
        "createdDate": wire_date(organization.created_at),
        "type": "organization",
    }


def user_document(user: OrganizationUser) -> dict[str, Any]:
    """Build a user, without the secret (contract 8.4)."""
    return {
        "id": user.pk,
        "firstName": user.first_name,
        "lastName": user.last_name,
        "fullName": f"{user.first_name} {user.last_name}".strip(),
        "email": user.email,
        "active": True,
        "organizationId": user.organization_id,
        "accountId": user.organization_id,
        "createdDate": wire_date(user.created_at),
    }


def interaction_document(interaction: Interaction) -> dict[str, Any]:
    """Build a recorded exchange.

    It was redacted when it was recorded. Not part of the vendor's API.
    """
    return {
        "id": interaction.pk,
        "startedAt": wire_date(interaction.started_at),
        "durationMs": interaction.duration_ms,
        "step": interaction.operation,
        "direction": interaction.direction,
        "actor": interaction.actor,
        "method": interaction.method,
        "url": interaction.url,
        "status": interaction.status,
        "error": interaction.error,
        "request": {
            "headers": interaction.request_headers,
            "body": interaction.request_body,
        },
        "response": {
            "headers": interaction.response_headers,
            "body": interaction.response_body,
        },
    }


def health_document(instance: Instance) -> dict[str, Any]:
    """Build the health of an instance. Not part of the vendor's API."""
    explanation = explain(instance)
    instants = {
        "lastCheckedAt": instance.last_checked_at,
        "lastSucceededAt": instance.last_succeeded_at,
        "nextCheckAt": instance.next_check_at,
        "nextRefreshAt": instance.next_refresh_at,
        "expiresAt": instance.expires_at,
    }
    return {
        "state": instance.state,
        "status": meaning_of(facts_of(instance)).status,
        "valid": instance.is_connected and instance.is_readable,
        "disabled": instance.is_disabled,
        "cause": explanation and explanation.cause,
        "responsible": explanation and explanation.who_acts,
        "advice": explanation and explanation.advice,
        "nextStep": explanation and explanation.action.name,
        "interactionId": instance.cause_interaction_id if explanation else None,
    } | {name: wire_date(at) if at else None for name, at in instants.items()}
