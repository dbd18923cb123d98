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
from instances.provisioning.lifecycle.states import NO_CAUSE, State, cause_of, move_instance
from instances.provisioning.plan import authentication_of
from instances.provisioning.platform_requests import platform_request
from instances.queries.database_clock import database_now


def check_instance(instance: Instance, *, actor: str) -> Instance:
    """Ask the provider or the platform whether it works, and record the answer.

    An instance whose creation is unknown, or was cut off, is reconciled instead. A refusal makes a connected
    instance one that needs reauthorization; an outage changes nothing. Raises what the check found.
    """
    if instance.state == State.UNKNOWN or is_stuck(instance):
        return reconcile_instance(instance, actor=actor)
    checkable = {State.CONNECTED, State.NEEDS_REAUTHORIZATION}
    if instance.state not in checkable:
        raise StateConflictError(
            f"{instance.label} is {instance.get_state_display()}: there is nothing to check yet."
        )
    # Without its Element token it is not connected, whatever the provider says.
    instance.require_readable()
    now = database_now()
    try:
        found = _ask_for(instance, actor=actor)
    except (CredentialsRefusedError, GoneError) as error:
        _mark_refused(instance, error, actor=actor)
        raise
    except InstancesError:
        Instance.objects.filter(pk=instance.pk).update(last_checked_at=now)
        raise
    if not found.is_valid:
        invalid = CredentialsRefusedError(
            f"{instance.label}: the platform says that it no longer works. Authenticate it again."
        )
        _mark_refused(instance, invalid, actor=actor)
        raise invalid
    columns: dict[str, Any] = {"last_checked_at": now, "last_succeeded_at": now, **NO_CAUSE}
    if instance.state == State.CONNECTED:
        unmoved = Instance.objects.filter(pk=instance.pk, state=State.CONNECTED)
        if unmoved.update(**columns) != 1:
            raise StateConflictError(f"{instance.label} was changed or deleted in the meantime.")
        for name, value in columns.items():
            setattr(instance, name, value)
    else:
        why = "A check succeeded."
        move_instance(instance, State.CONNECTED, expect=checkable, actor=actor, why=why, **columns)
    return instance


def _ask_for(instance: Instance, *, actor: str) -> PlatformInstance:
    """Ask the platform; an access token that has run out, or that the provider refuses, is renewed first, once."""
    tokens = platform_request(instance, actor=actor).tokens
    is_renewable = tokens is not None and can_refresh(authentication_of(instance), tokens)
    has_run_out = bool(instance.expires_at and instance.expires_at <= database_now())
    if is_renewable and instance.state == State.CONNECTED and has_run_out:
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
        expect={State.CONNECTED, State.NEEDS_REAUTHORIZATION},
        actor=actor,
        why=str(error),
        only_if={"tokens_version": instance.tokens_version},
        last_checked_at=database_now(),
        **cause_of(error),
        **gone,
    )
