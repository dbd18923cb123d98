"""Reveal or replace an Element token, and reveal the secrets of the platform API.

Revealing needs a permission that no role includes, and each time is recorded.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.utils import timezone

from instances.errors import PermissionRefusedError, StateConflictError
from instances.models import Instance, Interaction, OrganizationUser, StateChange
from instances.platforms.embedded.embedded_platform import generate_token
from instances.provisioning.access.permissions import InstancePermission, require_permission
from instances.provisioning.lifecycle.changes import locked
from instances.queries.database_clock import database_now

MAX_OVERLAP = timedelta(days=30)
_TOKEN_COLUMNS = (
    "token",
    "token_digest",
    "previous_token",
    "previous_token_digest",
    "previous_token_until",
)


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
    record_reveal("reveal Element token", instance, actor=user.get_username())
    return token


def replace_token(instance: Instance, *, actor: str, overlap: timedelta) -> None:
    """Give the instance a new Element token, for example because the old one leaked.

    overlap: how long the old token works beside the new one; at most MAX_OVERLAP. An older one ends at once.

    Raises StateConflictError if it has no token, or its platform is a remote one, InstanceDeletedError,
    UnreadableSecretError.
    """
    if instance.organization.is_remote:
        raise StateConflictError(
            f"{instance.label} is on a remote platform, so its Element token can only be replaced there."
        )
    overlap = min(overlap, MAX_OVERLAP)
    with locked(instance) as stored:
        if not stored.has_token:
            raise StateConflictError(
                f"{instance.label} has no Element token yet. Connect it first."
            )
        stored.previous_token = stored.reveal("token") if overlap else ""
        stored.previous_token_until = database_now() + overlap if overlap else None
        stored.token = generate_token()
        stored.save(update_fields=_TOKEN_COLUMNS)
        until = f"{stored.previous_token_until:%Y-%m-%d %H:%M} UTC" if overlap else "now"
        StateChange.objects.create(
            instance=stored,
            from_state=stored.state,
            to_state=stored.state,
            actor=actor,
            reason=f"Element token replaced. The old one ends {until}.",
        )
    instance.refresh_from_db()


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
        actor=user.get_username(),
        organization=organization_user.organization,
        subject=str(organization_user)[:400],
    )
    return secrets


def record_reveal(operation: str, instance: Instance, *, actor: str) -> None:
    """Record that somebody got a secret of an instance in plain text."""
    _record(
        operation,
        actor=actor,
        instance=instance,
        organization=instance.organization,
        subject=instance.label,
    )


def _record(operation: str, *, actor: str, **about: Any) -> None:
    Interaction.objects.create(
        operation=operation,
        direction=Interaction.Direction.IN,
        actor=actor,
        method="REVEAL",
        url="",
        status=200,
        started_at=timezone.now(),
        **about,
    )
