"""Delete an instance here and at its platform."""

from collections.abc import Iterable
from dataclasses import replace

from django.utils import timezone

from instances.errors import InputError, InstancesError, UnreadableSecretError
from instances.models import Instance, Interaction
from instances.platforms.registry import platform_for
from instances.provisioning.lifecycle.changes import remove_row
from instances.provisioning.lifecycle.leases import wait_until_unleased
from instances.provisioning.lifecycle.reconcile import is_stuck, own_copies
from instances.provisioning.lifecycle.states import State, cause_of, move_instance
from instances.provisioning.platform_requests import platform_request


def delete_instance(instance: Instance, *, actor: str, is_forced: bool = True) -> None:
    """Delete an instance at its platform and here; its interactions stay.

    If the platform fails, the instance stays in the state deleting, and the same call continues. is_forced: delete it
    here even if its secrets cannot be read, so that the platform cannot be told; an interaction records that.

    Raises PlatformError, StateConflictError while it is being provisioned, UnreadableSecretError unless is_forced.
    """
    expect = set(State.values) - {State.PROVISIONING}
    if is_stuck(instance):
        expect.add(State.PROVISIONING)
    move_instance(instance, State.DELETING, expect=expect, actor=actor, why="Deletion started.")
    # A refresh in progress may bring new tokens, which must be revoked too.
    wait_until_unleased(instance.pk)
    instance.refresh_from_db()
    try:
        _delete_at_platform(instance, actor=actor)
    except InstancesError as error:
        if not (is_forced and isinstance(error, UnreadableSecretError)):
            Instance.objects.filter(pk=instance.pk).update(**cause_of(error))
            raise
        _record_left_behind(instance, error, actor=actor)
    remove_row(instance)


def remaining_access(instances: Iterable[Instance]) -> list[str]:
    """Say where the access of these instances is removed at the providers, which cannot be told from here.

    Each sentence is of an element's file, once.
    """
    return list(dict.fromkeys(filter(None, map(_removal_of, instances))))


def _removal_of(instance: Instance) -> str:
    try:
        way = instance.authentication
    except InputError:
        return ""
    return way.removal if instance.has_token and not way.revocation_endpoint else ""


def _delete_at_platform(instance: Instance, *, actor: str) -> None:
    request = platform_request(instance, actor=actor)
    platform = platform_for(request.organization)
    if instance.has_token:
        platform.delete_instance(request)
        return
    for copy in own_copies(platform.find_instances(request), instance, request):
        platform.delete_instance(replace(request, remote_id=copy.remote_id))


def _record_left_behind(instance: Instance, error: UnreadableSecretError, *, actor: str) -> None:
    Interaction.objects.create(
        instance=instance,
        organization=instance.organization,
        subject=instance.label,
        operation="delete",
        direction=Interaction.Direction.OUT,
        actor=actor,
        method="DELETE",
        url="",
        error=(
            f"{instance.label} was deleted only here, and nothing was sent. {error.reason} If it still has access, "
            "revoke it at the provider or on the remote platform."
        ),
        started_at=timezone.now(),
    )


def forget_instance(instance: Instance, *, actor: str) -> None:
    """Delete the row of an instance that its platform rejected; its interactions stay."""
    move_instance(
        instance,
        State.DELETING,
        expect={State.DRAFT, State.FAILED},
        actor=actor,
        why="Discarded, because the platform rejected it.",
    )
    remove_row(instance)
