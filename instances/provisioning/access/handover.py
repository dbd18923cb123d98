"""Instances handed over to another user of their organization, when somebody leaves."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from django.contrib.auth.models import AnonymousUser, User
from django.db import transaction
from django.utils.translation import gettext as _

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

# Whoever is at work on it speaks to the platform with the former user's secret.
_UNDER_WAY = {State.PROVISIONING, State.UNKNOWN, State.DELETING}


@dataclass(frozen=True, slots=True)
class Handover:
    """How many went over, and a sentence about each that did not."""

    count: int
    refusals: list[str] = field(default_factory=list)


def hand_over_instances(
    instances: Iterable[Instance],
    to: OrganizationUser,
    *,
    account: User | AnonymousUser,
    why: str,
) -> Handover:
    """Each by itself: what is refused leaves the others alone, and doing so again goes on with the rest."""
    count, refusals = 0, []
    for instance in instances:
        try:
            hand_over_instance(instance, to, account=account, why=why)
        except InstancesError as refusal:
            refusals.append(str(refusal))
        else:
            count += 1
    return Handover(count, refusals)


def hand_over_instance(
    instance: Instance, to: OrganizationUser, *, account: User | AnonymousUser, why: str
) -> None:
    """Make it belong to another user of its organization; id, Element token, state and history stay.

    A remote platform is asked first whether it lets that user have it. Raises PermissionRefusedError,
    InputError, StateConflictError while something is under way, PlatformError.
    """
    former = instance.organization_user
    require_permission(account, instance, InstancePermission.CHANGE)
    if not OrganizationUser.objects.operated_by(account).filter(pk=to.pk).exists():
        raise PermissionRefusedError(
            _("Your account may not give %(name)s to %(to)s. Ask an operator of that organization.")
            % {"name": instance.label, "to": to}
        )
    _require_sense(instance, to, why)
    if instance.organization.is_remote and instance.remote_id:
        request = platform_request(instance, actor=account.get_username())
        platform_for(request.organization).get_instance(replace(request, organization_user=to))
    with transaction.atomic():
        unmoved = Instance.objects.filter(
            pk=instance.pk, organization_user=former, state=instance.state
        )
        if unmoved.update(organization_user=to) != 1:
            raise StateConflictError(
                _("%s was changed by somebody else in the meantime; look at it again.")
                % instance.label
            )
        StateChange.objects.create(
            instance=instance,
            from_state=instance.state,
            to_state=instance.state,
            actor=account.get_username(),
            reason=_("Handed over from %(former)s to %(to)s: %(why)s")
            % {"former": former.email, "to": to.email, "why": why.strip()},
        )
    instance.organization_user = to


def _require_sense(instance: Instance, to: OrganizationUser, why: str) -> None:
    words = {"name": instance.label, "to": to, "state": instance.get_state_display()}
    if not why.strip():
        raise InputError(_("Say why %(name)s is handed over.") % words)
    if to == instance.organization_user:
        raise InputError(_("%(name)s belongs to %(to)s already.") % words)
    if to.organization_id != instance.organization_user.organization_id:
        raise InputError(
            _(
                "%(name)s cannot be given to %(to)s, who is of another organization. Choose a user of its own."
            )
            % words
        )
    theirs = Instance.objects.filter(organization_user=to, remote_id=instance.remote_id)
    if instance.remote_id is not None and theirs.exists():
        raise InputError(
            _(
                "%(name)s cannot be given to %(to)s, who has an instance with the same id at the platform already. "
                "Delete the one that is wrong here."
            )
            % words
        )
    if instance.state in _UNDER_WAY:
        raise StateConflictError(
            _("%(name)s is %(state)s, so it cannot be handed over now. Try again in a few minutes.")
            % words
        )
