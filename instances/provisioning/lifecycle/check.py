"""Check whether an instance works."""

from typing import Any

from instances.errors import (
    CredentialsRefusedError,
    GoneError,
    InstancesError,
    PlatformError,
    StateConflictError,
)
from instances.models import Instance
from instances.platforms.base import PlatformInstance
from instances.platforms.registry import platform_for
from instances.provisioning.lifecycle.reconcile import is_stuck, reconcile_instance
from instances.provisioning.lifecycle.refresh import refresh_instance
from instances.provisioning.lifecycle.schedule import can_refresh
from instances.provisioning.lifecycle.states import (
    CREATED,
    NO_CAUSE,
    State,
    cause_of,
    move_instance,
)
from instances.provisioning.platform_requests import platform_request
from instances.queries.database_clock import database_now


def check_instance(instance: Instance, *, actor: str) -> Instance:
    """Ask the platform whether an instance works, and record the result.

    An instance whose create has an unknown outcome or was cut off is reconciled instead. Rejected credentials move a
    connected instance to needs_reauthorization; an outage does not change its state.

    Raises StateConflictError if there is nothing to check, and the error that the check found.
    """
    if instance.state == State.UNKNOWN or is_stuck(instance):
        return reconcile_instance(instance, actor=actor)
    if instance.state not in CREATED:
        raise StateConflictError(
            f"{instance.label} is in the state “{instance.get_state_display()}”, so there is nothing to check yet."
        )
    # An instance whose Element token cannot be read does not work, whatever the provider answers.
    instance.require_readable()
    now = database_now()
    try:
        found = _fetch(instance, actor=actor)
    except (CredentialsRefusedError, GoneError) as error:
        _mark_refused(instance, error, actor=actor)
        raise
    except InstancesError:
        Instance.objects.filter(pk=instance.pk).update(last_checked_at=now)
        raise
    if not found.is_valid:
        invalid = CredentialsRefusedError(
            f"{instance.label}: the platform reports that it no longer works. Authenticate it again."
        )
        _mark_refused(instance, invalid, actor=actor)
        raise invalid
    columns: dict[str, Any] = {"last_checked_at": now, "last_succeeded_at": now, **NO_CAUSE}
    if instance.state == State.CONNECTED:
        unmoved = Instance.objects.filter(pk=instance.pk, state=State.CONNECTED)
        if unmoved.update(**columns) != 1:
            raise StateConflictError(
                f"{instance.label} was changed or deleted by another process. Reload it and try again."
            )
        for name, value in columns.items():
            setattr(instance, name, value)
    else:
        why = "A check succeeded."
        move_instance(instance, State.CONNECTED, expect=CREATED, actor=actor, why=why, **columns)
    return instance


def _fetch(instance: Instance, *, actor: str) -> PlatformInstance:
    """Ask the platform about the instance.

    An access token that has expired or that the provider rejects is refreshed first, once.
    """
    tokens = platform_request(instance, actor=actor).tokens
    is_renewable = tokens is not None and can_refresh(instance.authentication, tokens)
    is_expired = bool(instance.expires_at and instance.expires_at <= database_now())
    if is_renewable and instance.state == State.CONNECTED and is_expired:
        refresh_instance(instance, actor=actor)
        instance.refresh_from_db()
        is_renewable = False
    request = platform_request(instance, actor=actor)
    platform = platform_for(request.organization)
    try:
        return platform.get_instance(request)
    except CredentialsRefusedError:
        if not is_renewable or instance.state != State.CONNECTED:
            raise
    refresh_instance(instance, actor=actor)
    instance.refresh_from_db()
    return platform.get_instance(platform_request(instance, actor=actor))


def _mark_refused(instance: Instance, error: PlatformError, *, actor: str) -> None:
    is_gone = isinstance(error, GoneError)
    gone: dict[str, Any] = {"token": "", "remote_id": None} if is_gone else {}
    move_instance(
        instance,
        State.FAILED if is_gone else State.NEEDS_REAUTHORIZATION,
        expect=CREATED,
        actor=actor,
        why=str(error),
        only_if={"tokens_version": instance.tokens_version},
        last_checked_at=database_now(),
        **cause_of(error),
        **gone,
    )
