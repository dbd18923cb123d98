"""Showing an Element token to a person: allowed to few, and recorded."""

from django.contrib.auth.models import AnonymousUser, User
from django.utils import timezone

from instances.errors import StateConflictError
from instances.models import Instance, Interaction
from instances.provisioning.permissions import Verb, require_permission


def reveal_token(instance: Instance, *, account: User | AnonymousUser) -> str:
    """The Element token in clear; that it was shown, and to whom, becomes an interaction.

    Raises PermissionRefusedError without the permission reveal_token, StateConflictError when there is no
    token, UnreadableSecretError.
    """
    require_permission(account, instance, Verb.REVEAL)
    if not instance.has_token:
        raise StateConflictError(f"{instance.label} has no Element token yet; provision it first.")
    token: str = instance.reveal("token")
    Interaction.objects.create(
        instance=instance,
        organization=instance.organization,
        subject=instance.label,
        step="reveal Element token",
        direction=Interaction.Direction.IN,
        actor=account.get_username(),
        method="REVEAL",
        url="",
        status=200,
        started_at=timezone.now(),
    )
    return token
