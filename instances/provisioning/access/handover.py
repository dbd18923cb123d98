"""Hand instances over to another user, for example when someone leaves."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from django.contrib.auth.models import AnonymousUser, User
from django.db import transaction

from instances.errors import (
    InputError,
    InstancesError,
    PermissionRefusedError,
    StateConflictError,
)
from instances.models import Instance, OrganizationUser, StateChange
from instances.platforms.registry import platform_for
from instances.provisioning.access.permissions import InstancePermission, require_permission
from instances.provisioning.lifecycle.states import State
from instances.provisioning.platform_requests import platform_request

# A process that is working on the instance uses the former user's secret at the platform.
_IN_PROGRESS = {State.PROVISIONING, State.UNKNOWN, State.DELETING}


@dataclass(frozen=True, slots=True)
class Handover:
    """The number of instances handed over, and an error message for each other one."""

    count: int
    refusals: list[str] = field(default_factory=list)


def hand_over_instances(
    instances: Iterable[Instance],
    to: OrganizationUser,
    *,
    user: User | AnonymousUser,
    why: str,
) -> Handover:
    """Hand over each instance on its own; an error of one does not affect the others.

    Safe to run again: it continues with the rest.
    """
    count, refusals = 0, []
    for instance in instances:
        try:
            hand_over_instance(instance, to, user=user, why=why)
        except InstancesError as refusal:
            refusals.append(str(refusal))
        else:
            count += 1
    return Handover(count, refusals)


def hand_over_instance(
    instance: Instance, to: OrganizationUser, *, user: User | AnonymousUser, why: str
) -> None:
    """Hand an instance over to another user of its organization.

    Id, Element token, state and history stay.

    A remote platform is asked first whether that user can access the instance. why: the reason in the history.

    Raises PermissionRefusedError, InputError, StateConflictError while other work is in progress, PlatformError.
    """
    former = instance.organization_user
    require_permission(user, instance, InstancePermission.CHANGE)
    if not OrganizationUser.objects.operated_by(user).filter(pk=to.pk).exists():
        raise PermissionRefusedError(
            f"You may not hand over {instance.label} to {to}. Ask an operator of that organization."
        )
    _require_possible(instance, to, why)
    if instance.organization.is_remote and instance.remote_id:
        request = platform_request(instance, actor=user.get_username())
        platform_for(request.organization).get_instance(replace(request, organization_user=to))
    with transaction.atomic():
        unmoved = Instance.objects.filter(
            pk=instance.pk, organization_user=former, state=instance.state
        )
        if unmoved.update(organization_user=to) != 1:
            raise StateConflictError(
                f"{instance.label} was changed by another process. Reload it and try again."
            )
        StateChange.objects.create(
            instance=instance,
            from_state=instance.state,
            to_state=instance.state,
            actor=user.get_username(),
            reason=f"Handed over from {former.email} to {to.email}: {why.strip()}",
        )
    instance.organization_user = to


def _require_possible(instance: Instance, to: OrganizationUser, why: str) -> None:
    label = instance.label
    if not why.strip():
        raise InputError(f"Enter the reason for handing over {label}.")
    if to == instance.organization_user:
        raise InputError(f"{label} already belongs to {to}.")
    if to.organization_id != instance.organization_user.organization_id:
        raise InputError(
            f"{label} cannot be handed over to {to}, who is in another organization. Choose a user of the "
            "instance's own organization."
        )
    theirs = Instance.objects.filter(organization_user=to, remote_id=instance.remote_id)
    if instance.remote_id is not None and theirs.exists():
        raise InputError(
            f"{label} cannot be handed over to {to}, who already has an instance with the same id on the platform. "
            "Delete the one that is wrong here."
        )
    if instance.state in _IN_PROGRESS:
        raise StateConflictError(
            f"{label} is in the state “{instance.get_state_display()}”, so it cannot be handed over now. "
            "Try again in a few minutes."
        )
