"""Update an instance: its name, tags and configuration.

The rules for changes by several callers at once are in `lifecycle.changes`.
"""

from collections.abc import Iterable

from instances import crypto
from instances.models import Instance
from instances.platforms.base import code_in
from instances.provisioning.create import clean_name, clean_tags
from instances.provisioning.hosts import require_allowed_hosts
from instances.provisioning.lifecycle.changes import save_changes
from instances.provisioning.lifecycle.describe import describe_instance
from instances.provisioning.lifecycle.reauthenticate import reauthenticate_instance
from instances.provisioning.plan import authentication_of
from instances.provisioning.platform_requests import normalised_changes, platform_request
from instances.wire import InstanceBody


def rename_instance(
    instance: Instance, *, name: str | None = None, tags: Iterable[str] | None = None
) -> Instance:
    """Change the name or tags without contacting the provider (contract 7.6).

    Raises InputError, InstanceDeletedError.
    """
    save_changes(
        instance,
        name=None if name is None else clean_name(name) or instance.element.name,
        tags=None if tags is None else clean_tags(tags),
    )
    return instance


def update_instance(
    instance: Instance, body: InstanceBody, *, actor: str, is_reauthenticating: bool = True
) -> Instance:
    """Merge a body into an instance (contract 7.6, 8.2).

    Absent, empty and masked values change nothing, so concurrent changes of other keys are kept. The provider is
    contacted only for a new code or changed credentials; if it rejects them, nothing is changed.

    Raises InputError, PlatformError, StateConflictError (InstanceDeletedError), UnreadableSecretError.
    """
    name = None if body.name is None else clean_name(body.name) or instance.element.name
    tags = None if body.tags is None else clean_tags(body.tags)
    stored = instance.readable_configuration()
    given = normalised_changes(instance, body.configuration)
    changed = {key: value for key, value in given.items() if stored.get(key) != value}
    if not instance.is_readable:
        # Sending the same values again is how unreadable tokens are replaced.
        changed = dict(given)
    way = authentication_of(instance, stored | changed)
    provider_data = body.provider_data or {}
    code = code_in(provider_data)
    is_new_code = bool(provider_data) and instance.code_digest not in crypto.digests(code)
    is_other_variant = way.variant_of(stored) != way.variant_of(stored | changed)
    declared = {field.key for field in way.fields}
    needs_provider = is_new_code or is_other_variant or not declared.isdisjoint(changed)
    if is_reauthenticating and needs_provider:
        reauthenticate_instance(
            instance,
            actor=actor,
            # Unchanged values count as given again too: a host may only change together with its secrets.
            configuration=given,
            provider_data=provider_data if is_new_code else {},
        )
        changed = {}
    if changed or name is not None or tags is not None:
        if instance.organization.is_remote:
            # Fail before anything is changed here if the platform cannot be told.
            platform_request(instance, actor=actor)
            told = platform_request(instance, actor=actor, configuration=stored | changed)
            require_allowed_hosts(
                instance.organization,
                instance.element,
                told.authentication,
                told.configuration,
                told.allowed_hosts,
            )
        # What was given again counts as given, also where it is as stored.
        save_changes(instance, configuration=given if changed else None, name=name, tags=tags)
        if instance.is_readable:
            describe_instance(instance, actor=actor)
    return instance
