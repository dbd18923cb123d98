"""Refresh access tokens, one process at a time, without losing a response.

Transient errors are retried with backoff and never become permanent. A grant that the provider rejects twice is
considered revoked and is not tried again.
"""

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from instances.catalogue.authentication import AuthenticationType
from instances.catalogue.refresh_tokens import Rotation
from instances.errors import (
    AnswerLostError,
    CredentialsRefusedError,
    GrantRejectedError,
    InstancesError,
    LeaseLostError,
    PlatformError,
    RefreshLostError,
    StateConflictError,
)
from instances.models import Instance
from instances.platforms.base import PlatformRequest, TokenSet
from instances.platforms.registry import platform_for
from instances.provisioning.lifecycle.leases import POLL_SECONDS, Lease, leased
from instances.provisioning.lifecycle.schedule import lease_duration, refresh_due_at, retry_after
from instances.provisioning.lifecycle.states import (
    NO_CAUSE,
    State,
    cause_of,
    move_instance,
    proved_columns,
    unexpected_error,
)
from instances.provisioning.platform_requests import platform_request
from instances.queries.outages import is_outage, outlast_outage

MAX_REFUSALS = 2
SECOND_ASKING = timedelta(minutes=1)
_MOVED_BY_A_REFRESH = ("tokens_version", "refresh_failures", "refresh_refusals")

log = structlog.stdlib.get_logger(__name__)


def refresh_instance(instance: Instance, *, actor: str, at: datetime | None = None) -> Instance:
    """Get new tokens in place of those that the instance was read with.

    If another process is refreshing them, wait for it and share its result, so that a grant that was just rejected is
    not sent again.

    Raises the provider's error: the second GrantRejectedError moves the instance to needs_reauthorization, an outage
    never does. Raises StateConflictError if the instance is not connected, if another process has just failed, or if
    it takes too long, and ClockSkewError.
    """
    # Its response may have held the only valid refresh token.
    is_lost = instance.refresh_started_at is not None
    deadline = time.monotonic() + 1.5 * lease_duration().total_seconds()
    expect = {name: getattr(instance, name) for name in _MOVED_BY_A_REFRESH}
    expect["state"] = State.CONNECTED
    while True:
        now = at or timezone.now()
        # Due from the moment of the claim, so that the scheduler retries if this process is killed.
        intent = {"refresh_started_at": now, "refresh_due_at": now}
        with leased(instance.pk, at=at, expect=expect, **intent) as lease, suppress(LeaseLostError):
            if lease:
                return _refresh_held(instance.pk, lease, actor=actor, at=now, is_lost=is_lost)
        if current := _refreshed_by_another(instance, expect):
            return current
        if time.monotonic() > deadline:
            raise StateConflictError(
                f"{instance.label} is being refreshed by another process. Try again in a minute."
            )
        time.sleep(POLL_SECONDS)


def token_columns(way: AuthenticationType, tokens: TokenSet, *, at: datetime) -> dict[str, Any]:
    """Return the columns that change with new tokens, except the tokens themselves."""
    return {
        "has_refresh_token": bool(tokens.refresh_token),
        "tokens_version": F("tokens_version") + 1,
        "expires_at": tokens.expires_at,
        "refresh_token_expires_at": tokens.refresh_expires_at,
        "refresh_due_at": refresh_due_at(way, tokens, at=at),
        "refresh_started_at": None,
        "refresh_failures": 0,
        "refresh_refusals": 0,
    }


def store_tokens(instance: Instance, tokens: TokenSet, *, at: datetime, **columns: Any) -> bool:
    """Store new tokens, unless newer ones were stored since the instance was read.

    The tokens exist nowhere else, so this waits for the end of a database outage and ignores an expired lease. Returns
    whether they are stored.
    """
    way = instance.authentication
    instance.tokens = tokens.to_json()
    unchanged = Instance.objects.filter(pk=instance.pk, tokens_version=instance.tokens_version)
    columns = {"tokens": instance.tokens, **token_columns(way, tokens, at=at), **columns}
    stored = outlast_outage(lambda: unchanged.update(**columns), what="tokens")
    outlast_outage(instance.refresh_from_db, what="tokens")
    # After a commit that was not confirmed, the retry matches no row.
    return stored == 1 or bool(instance.tokens.reveal() == tokens.to_json())


def _refreshed_by_another(instance: Instance, expect: Mapping[str, Any]) -> Instance | None:
    """Return the instance if another process refreshed it; None if not yet.

    Raises StateConflictError if it was deleted, is not connected, or another process failed to refresh it.
    """
    current = Instance.objects.filter(pk=instance.pk).first()
    if current is None:
        raise StateConflictError(f"{instance.label} was deleted by another process.")
    if current.tokens_version != instance.tokens_version:
        return None if _is_signing_in(current) else current
    if current.state != State.CONNECTED:
        raise StateConflictError(
            f"{current.label} is in the state “{current.get_state_display()}”, so there is nothing to refresh."
        )
    if any(getattr(current, name) != value for name, value in expect.items()):
        raise StateConflictError(
            f"{current.label}: another process has just failed to refresh it. {current.cause_message}"
        )
    return None


def _is_signing_in(instance: Instance) -> bool:
    """Whether another process has new tokens, and is about to open the session that calls need."""
    tokens = TokenSet.from_json(instance.tokens.reveal()) if instance.tokens else TokenSet("")
    if not instance.authentication.lacks_session(tokens.extra):
        return False
    return not Instance.objects.filter(pk=instance.pk).unleased(at=Now()).exists()


def _refresh_held(
    instance_id: int, lease: Lease, *, actor: str, at: datetime, is_lost: bool
) -> Instance:
    """Refresh while holding the lease; the row is read under it.

    is_lost: the response to the previous refresh was lost.

    Raises LeaseLostError, and what refresh_instance() raises.
    """
    instance = Instance.objects.select_related("element", "organization_user__organization").get(
        pk=instance_id
    )
    try:
        request = replace(platform_request(instance, actor=actor), deadline=lease.deadline)
        tokens = platform_for(request.organization).refresh_tokens(request)
    except LeaseLostError:
        raise
    except InstancesError as error:
        explained = _explained(instance, error, is_lost=is_lost)
        _record_failure(instance, explained, lease, actor=actor, at=at)
        if explained is error:
            raise
        raise explained from error
    except Exception as error:
        if not is_outage(error):
            _record_failure(instance, unexpected_error(instance), lease, actor=actor, at=at)
        raise
    if tokens is None:
        _write_as_holder(instance, lease, refresh_due_at=None, refresh_started_at=None)
        raise StateConflictError(f"{instance.label} has no refresh token. Authorize it again.")
    # A cause that no refresh has met was met by a check, and new tokens alone do not remove it.
    has_failed = instance.refresh_failures or instance.refresh_refusals
    columns = proved_columns(instance, at=at)
    columns |= NO_CAUSE if has_failed or not instance.cause else {}
    try:
        store_tokens(instance, tokens, at=at, **columns)
    except Exception as error:
        if not is_outage(error):
            _record_loss(instance, lease, at=at)
        raise
    if instance.authentication.lacks_session(tokens.extra):
        _open_session(instance, replace(request, tokens=tokens, deadline=None), at=at)
    if instance.state == State.NEEDS_REAUTHORIZATION:
        _reconnect(instance, actor=actor, at=at)
    return instance


def _open_session(instance: Instance, request: PlatformRequest, *, at: datetime) -> None:
    """Sign in with new tokens, which are stored already: this process may be killed meanwhile."""
    if tokens := platform_for(request.organization).open_session(request):
        store_tokens(instance, tokens, at=at)
        return
    # The check signs in, or finds out why that fails.
    unchanged = Instance.objects.filter(pk=instance.pk, tokens_version=instance.tokens_version)
    unchanged.update(next_action_at=at)
    instance.next_action_at = at


def _explained(instance: Instance, error: InstancesError, *, is_lost: bool) -> InstancesError:
    """Say so if a refresh token is rejected because its successor was lost."""
    if instance.authentication.refresh_token_rotation == Rotation.NONE:
        # The provider replaced no refresh token, so none was lost.
        return error
    is_known = instance.cause == RefreshLostError.cause
    if not (isinstance(error, GrantRejectedError) and (is_lost or is_known)):
        return error
    return RefreshLostError(
        f"{instance.label}: {instance.element.name} rejected the refresh token. The response to the previous refresh was "
        "lost, and the new refresh token with it. Authorize it again.",
        provider_message=error.provider_message,
        status=error.status,
        interaction=error.interaction,
    )


def _reconnect(instance: Instance, *, actor: str, at: datetime) -> None:
    """Reconnect an instance whose late tokens overtook a rejection.

    Other processes were rejected while this one was suspended with the response that had the tokens.
    """
    with suppress(StateConflictError):
        move_instance(
            instance,
            State.CONNECTED,
            expect={State.NEEDS_REAUTHORIZATION},
            actor=actor,
            why="New tokens arrived late. They will be checked next.",
            is_outlasting=True,
            next_action_at=at,
        )


def _fence(instance: Instance, lease: Lease) -> dict[str, Any]:
    """Return the values that the row has until another process takes the lease."""
    return {"lease_holder": lease.holder, "tokens_version": instance.tokens_version}


def _write_as_holder(instance: Instance, lease: Lease, **columns: Any) -> None:
    """Store the result of a refresh that got no tokens.

    Raises LeaseLostError, and writes nothing, if another process took the lease.
    """
    held = Instance.objects.filter(pk=instance.pk, **_fence(instance, lease))
    if outlast_outage(lambda: held.update(**columns), what="outcome of a refresh") != 1:
        raise LeaseLostError(f"{instance.label}: another process took over the refresh.")


def _record_failure(
    instance: Instance, error: InstancesError, lease: Lease, *, actor: str, at: datetime
) -> None:
    if isinstance(error, GrantRejectedError | CredentialsRefusedError):
        _record_refusal(instance, error, lease, actor=actor, at=at)
        return
    failures = instance.refresh_failures + 1
    asked = error.retry_after_seconds if isinstance(error, PlatformError) else None
    wait = retry_after(failures, asked_for_seconds=asked)
    if failures == 1 and isinstance(error, AnswerLostError):
        wait = min(wait, _half_of_grace(instance) or wait)
    # A lost response may have contained new tokens, so keep that on record until a response arrives.
    intent = {} if isinstance(error, AnswerLostError) else {"refresh_started_at": None}
    columns = {"refresh_failures": failures, "refresh_due_at": at + wait, **intent}
    _write_as_holder(instance, lease, **columns, **cause_of(error))
    log.warning("refresh failed", uid=str(instance.uid), error=type(error).__name__)


def _half_of_grace(instance: Instance) -> timedelta | None:
    """Return half of the time for which a refresh token that was replaced still works, if that is stated."""
    grace_seconds = instance.authentication.refresh_token_grace_seconds
    return timedelta(seconds=grace_seconds / 2) if grace_seconds else None


def _record_loss(instance: Instance, lease: Lease, *, at: datetime) -> None:
    """Record that the program could not store new tokens.

    refresh_started_at stays: the provider may accept no other refresh token.
    """
    failures = instance.refresh_failures + 1
    columns = {"refresh_failures": failures, "refresh_due_at": at + retry_after(failures)}
    with suppress(LeaseLostError):
        _write_as_holder(instance, lease, **columns, **cause_of(unexpected_error(instance)))


def _record_refusal(
    instance: Instance, error: InstancesError, lease: Lease, *, actor: str, at: datetime
) -> None:
    refusals = instance.refresh_refusals + 1
    columns = {"refresh_refusals": refusals, "refresh_started_at": None, **cause_of(error)}
    if refusals < MAX_REFUSALS:
        _write_as_holder(instance, lease, refresh_due_at=at + SECOND_ASKING, **columns)
        return
    try:
        move_instance(
            instance,
            State.NEEDS_REAUTHORIZATION,
            expect={State.CONNECTED},
            actor=actor,
            why=str(error),
            only_if=_fence(instance, lease),
            is_outlasting=True,
            refresh_due_at=None,
            **columns,
        )
    except StateConflictError:
        raise LeaseLostError(f"{instance.label}: another process took over the refresh.") from None
