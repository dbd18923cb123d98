"""Check whether an instance works."""

from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db import transaction

from instances.errors import (
    ClockSkewError,
    CredentialsRefusedError,
    DisabledOnPlatformError,
    GoneError,
    GrantRejectedError,
    InstancesError,
    LeaseLostError,
    NoCheckError,
    PlatformError,
    RefreshLostError,
    StateConflictError,
)
from instances.models import Instance
from instances.models.accounts import account_digest
from instances.models.instance_querysets import InstanceQuerySet
from instances.platforms.base import PlatformInstance
from instances.platforms.registry import platform_for
from instances.provisioning.lifecycle.account_parts import save_account_parts
from instances.provisioning.lifecycle.reconcile import is_stuck, reconcile_instance
from instances.provisioning.lifecycle.refresh import MAX_REFUSALS, SECOND_ASKING, refresh_instance
from instances.provisioning.lifecycle.schedule import can_refresh, refresh_due_at
from instances.provisioning.lifecycle.states import (
    CREATED,
    NO_CAUSE,
    State,
    cause_of,
    move_instance,
    proved_columns,
)
from instances.provisioning.platform_requests import platform_request
from instances.queries.database_clock import database_now

# These say nothing about the instance.
_NO_RESULT = (StateConflictError, ClockSkewError, LeaseLostError)


class _NotRenewedError(Exception):
    """A refresh failed during a check, and has recorded its error."""

    def __init__(self, error: InstancesError) -> None:
        super().__init__(str(error))
        self.error = error


def check_instance(instance: Instance, *, actor: str) -> Instance:
    """Ask the platform whether an instance works, and record the result.

    An instance whose create has an unknown outcome or was cut off is reconciled instead. The second refusal in a row
    moves a connected instance to needs_reauthorization; any other error becomes its cause and does not change its
    state. A diagnosis is not replaced by a vaguer one.

    Raises StateConflictError if there is nothing to check, NoCheckError if the element has no check, and the error that
    the check found.
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
        _require_success(instance, found)
    except _NO_RESULT:
        raise
    except _NotRenewedError as failed:
        Instance.objects.filter(pk=instance.pk).update(last_checked_at=now)
        raise failed.error from None
    except InstancesError as error:
        _record_failure(instance, error, actor=actor, at=now)
        raise
    _record_success(instance, found, actor=actor, at=now)
    return instance


def _require_success(instance: Instance, found: PlatformInstance) -> None:
    """Check that the platform was asked, and says that the instance works.

    Raises CredentialsRefusedError, DisabledOnPlatformError, GrantRejectedError, NoCheckError.
    """
    if not found.is_valid:
        raise CredentialsRefusedError(
            f"{instance.label}: the platform reports that it no longer works. Authenticate it again."
        )
    is_news = not instance.is_disabled or instance.cause == DisabledOnPlatformError.cause
    if found.is_disabled and is_news:
        raise DisabledOnPlatformError(
            f"{instance.label}: the platform has disabled it. Enable it, or authenticate it again."
        )
    if found.is_proved:
        return
    if _has_ended(instance):
        raise GrantRejectedError(
            f"{instance.label}: its access token has expired and there is no refresh token. Authorize it again."
        )
    raise NoCheckError(instance.label, instance.element.name)


def _has_ended(instance: Instance) -> bool:
    """Whether the access token has expired; only for one that cannot be renewed."""
    return bool(instance.expires_at and instance.expires_at <= database_now())


def _record_success(
    instance: Instance, found: PlatformInstance, *, actor: str, at: datetime
) -> None:
    columns: dict[str, Any] = {"last_checked_at": at, **proved_columns(instance, at=at)}
    known = instance.account_identity or {}
    if found.account.keys() - known.keys():
        # Instances that were imported, or connected before the column existed, learn their account here.
        columns["account_identity"] = {**found.account, **known}
    if found.tokens:
        # With values that a lookup has added; the access and refresh tokens are the same.
        instance.tokens = found.tokens.to_json()
        columns["tokens"] = instance.tokens
        columns["expires_at"] = found.tokens.expires_at
        columns["refresh_due_at"] = refresh_due_at(instance.authentication, found.tokens, at=at)
    # A rejected refresh token stays a problem although the access token still works.
    is_refresh_refused = bool(instance.refresh_refusals and instance.refresh_due_at)
    if not is_refresh_refused:
        columns |= {"refresh_refusals": 0, **NO_CAUSE}
    if instance.state != State.CONNECTED:
        move_instance(
            instance,
            State.CONNECTED,
            expect=CREATED,
            actor=actor,
            why="A check succeeded.",
            # Newer tokens may have arrived late.
            only_if={"tokens_version": instance.tokens_version},
            **columns,
        )
        return
    _update(instance, columns)
    for name, value in columns.items():
        setattr(instance, name, value)


def _update(instance: Instance, columns: dict[str, Any]) -> None:
    """Change columns of an instance that is still connected. Raises StateConflictError."""
    identity = columns.get("account_identity")
    with transaction.atomic() if identity else nullcontext():
        if identity:
            columns["account_digest"] = account_digest(instance.element_id, identity)
        if _connected(instance).update(**columns) != 1:
            raise StateConflictError(
                f"{instance.label} was changed or deleted by another process. Reload it and try again."
            )
        if identity:
            # After the update, which makes another check of the same instance wait: both would insert the same parts.
            save_account_parts({instance.pk: identity})


def _fetch(instance: Instance, *, actor: str) -> PlatformInstance:
    """Ask the platform about the instance.

    An access token that has expired or that the provider rejects is refreshed first, once.
    """
    tokens = platform_request(instance, actor=actor).tokens
    is_renewable = tokens is not None and can_refresh(instance.authentication, tokens)
    is_renewable = is_renewable and instance.state == State.CONNECTED
    is_renewed = False
    if is_renewable and _has_ended(instance):
        _renew(instance, actor=actor)
        is_renewed = True
    request = platform_request(instance, actor=actor)
    platform = platform_for(request.organization)
    try:
        found = platform.get_instance(request)
    except (CredentialsRefusedError, GrantRejectedError):
        if is_renewed or not is_renewable:
            raise
    else:
        # Without a probe, new tokens are the proof.
        return replace(found, is_proved=found.is_proved or is_renewed)
    _renew(instance, actor=actor)
    return platform.get_instance(platform_request(instance, actor=actor))


def _renew(instance: Instance, *, actor: str) -> None:
    """Refresh the tokens. Raises _NotRenewedError."""
    try:
        refresh_instance(instance, actor=actor)
    except _NO_RESULT:
        raise
    except InstancesError as error:
        raise _NotRenewedError(error) from error
    instance.refresh_from_db()


def _record_failure(instance: Instance, error: InstancesError, *, actor: str, at: datetime) -> None:
    if isinstance(error, CredentialsRefusedError | GrantRejectedError | GoneError):
        _record_refusal(instance, error, actor=actor, at=at)
        return
    columns: dict[str, Any] = {"last_checked_at": at}
    if isinstance(error, DisabledOnPlatformError):
        columns["is_disabled"] = True
    if not _is_vaguer(error, instance):
        columns |= cause_of(error)
    Instance.objects.filter(pk=instance.pk, state=instance.state).update(**columns)


def _record_refusal(instance: Instance, error: PlatformError, *, actor: str, at: datetime) -> None:
    is_gone = isinstance(error, GoneError)
    refusals = instance.refresh_refusals + 1
    columns: dict[str, Any] = {"last_checked_at": at, "refresh_refusals": refusals}
    if not _is_vaguer(error, instance):
        columns |= cause_of(error)
    # A platform's own record, and the end of a token, need no second question.
    is_definite = is_gone or error.status is None or _has_ended(instance)
    if instance.state == State.CONNECTED and not is_definite and refusals < MAX_REFUSALS:
        _connected(instance).update(next_action_at=at + SECOND_ASKING, **columns)
        return
    if is_gone:
        columns |= {"token": "", "remote_id": None}
    move_instance(
        instance,
        State.FAILED if is_gone else State.NEEDS_REAUTHORIZATION,
        expect=CREATED,
        actor=actor,
        why=str(error),
        only_if={"tokens_version": instance.tokens_version},
        **columns,
    )


def _is_vaguer(error: InstancesError, instance: Instance) -> bool:
    """Whether the stored cause says more than this error of a check."""
    if isinstance(error, GoneError):
        return False
    if instance.state == State.NEEDS_REAUTHORIZATION:
        return bool(instance.cause)
    is_diagnosed = instance.cause in {GrantRejectedError.cause, RefreshLostError.cause}
    is_general = error.cause == CredentialsRefusedError.cause or error.is_retryable
    return (is_diagnosed or bool(instance.refresh_refusals)) and is_general and bool(instance.cause)


def _connected(instance: Instance) -> InstanceQuerySet:
    """The row, while it is connected and has the tokens that were checked."""
    return Instance.objects.filter(
        pk=instance.pk, state=State.CONNECTED, tokens_version=instance.tokens_version
    )
