"""Update an instance: its name, tags and configuration.

The rules for changes by several callers at once are in `lifecycle.changes`.
"""

from collections.abc import Iterable

from django.db import transaction

from instances.crypto import sealing
from instances.models import Instance, StateChange
from instances.platforms.base import code_in
from instances.provisioning.create import clean_name, clean_tags
from instances.provisioning.hosts import allowed_hosts, hosts_to_store, require_allowed_hosts
from instances.provisioning.lifecycle.changes import save_changes
from instances.provisioning.lifecycle.describe import describe_instance
from instances.provisioning.lifecycle.reauthenticate import reauthenticate_as_planned
from instances.provisioning.plan import plan_changes
from instances.provisioning.platform_requests import platform_request
from instances.wire import InstanceBody


def rename_instance(
    instance: Instance, *, actor: str, name: str | None = None, tags: Iterable[str] | None = None
) -> Instance:
    """Change the name or tags without contacting the provider (contract 7.6), and record who did.

    Raises InputError, InstanceDeletedError.
    """
    former = instance.name
    with transaction.atomic():
        save_changes(
            instance,
            name=None if name is None else clean_name(name) or instance.element.name,
            tags=None if tags is None else clean_tags(tags),
        )
        if name is None and tags is None:
            return instance
        StateChange.objects.create(
            instance=instance,
            from_state=instance.state,
            to_state=instance.state,
            actor=actor,
            reason="Changed the tags." if instance.name == former else f"Renamed from {former}.",
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
    code = code_in(body.provider_data)
    is_new_code = bool(body.provider_data) and instance.code_digest not in sealing.digests(code)
    provider_data = body.provider_data if is_new_code else {}
    plan = plan_changes(instance, body.configuration, provider_data=provider_data)
    stored = instance.readable_configuration()
    # Sending the same values again is how unreadable tokens are replaced.
    is_renewing = not instance.is_readable
    changed = {key for key, value in plan.given.items() if is_renewing or stored.get(key) != value}
    way = plan.authentication
    is_other_variant = way.variant_of(stored) != way.variant_of(plan.own_configuration)
    declared = {field.key for field in way.fields}
    needs_provider = is_new_code or is_other_variant or not declared.isdisjoint(changed)
    if is_reauthenticating and needs_provider:
        # Unchanged values count as given again too: a host may only change together with its secrets.
        reauthenticate_as_planned(instance, plan, actor=actor)
        changed = set()
    if changed or name is not None or tags is not None:
        if instance.organization.is_remote:
            # Fail before anything is changed here if the platform cannot be told.
            platform_request(instance, actor=actor)
            require_allowed_hosts(plan, allowed_hosts(plan, hosts_to_store(instance, plan)))
        # What was given again counts as given, also where it is as stored.
        save_changes(instance, configuration=plan.given if changed else None, name=name, tags=tags)
        if instance.is_readable:
            describe_instance(instance, actor=actor)
    return instance
