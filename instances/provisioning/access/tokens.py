"""Reveal an Element token or the secrets of the platform API.

It needs a permission that no role includes, and each time is recorded.
"""

from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.utils import timezone

from instances.errors import PermissionRefusedError, StateConflictError
from instances.models import Instance, Interaction, OrganizationUser
from instances.provisioning.access.permissions import InstancePermission, require_permission


@dataclass(frozen=True, slots=True)
class PlatformSecrets:
    """The two secrets of every platform API call, in plain text."""

    user: str = field(repr=False)
    organization: str = field(repr=False)


def reveal_token(instance: Instance, *, user: User | AnonymousUser) -> str:
    """Return the Element token in plain text, and record who saw it as an interaction.

    Raises PermissionRefusedError without the permission reveal_token, StateConflictError if there is no token,
    UnreadableSecretError.
    """
    require_permission(user, instance, InstancePermission.REVEAL)
    if not instance.has_token:
        raise StateConflictError(f"{instance.label} has no Element token yet. Provision it first.")
    token: str = instance.reveal("token")
    _record(
        "reveal Element token",
        user=user,
        instance=instance,
        organization=instance.organization,
        subject=instance.label,
    )
    return token


def reveal_secrets(
    organization_user: OrganizationUser, *, user: User | AnonymousUser
) -> PlatformSecrets:
    """Return an organization user's two platform secrets in plain text, and record who saw them.

    Raises PermissionRefusedError without the permission reveal_secrets, UnreadableSecretError.
    """
    is_within_reach = (
        OrganizationUser.objects.operated_by(user).filter(pk=organization_user.pk).exists()
    )
    if not (user.has_perm("instances.reveal_secrets") and is_within_reach):
        raise PermissionRefusedError(
            f"You do not have permission to see the secrets of {organization_user}. Ask an administrator for reveal_secrets."
        )
    secrets = PlatformSecrets(
        organization_user.secret.reveal(), organization_user.organization.secret.reveal()
    )
    _record(
        "reveal platform secrets",
        user=user,
        organization=organization_user.organization,
        subject=str(organization_user)[:400],
    )
    return secrets


def _record(operation: str, *, user: User | AnonymousUser, **about: Any) -> None:
    Interaction.objects.create(
        operation=operation,
        direction=Interaction.Direction.IN,
        actor=user.get_username(),
        method="REVEAL",
        url="",
        status=200,
        started_at=timezone.now(),
        **about,
    )
