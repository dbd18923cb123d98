"""Access tokens kept alive: each refresh token is spent by one process at a time, and no answer is thrown away.

What is transient backs off and never becomes terminal; a grant that the provider refuses twice is dead, and
is not asked for again.
"""

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db.models import F
from django.utils import timezone

from instances.catalogue.definition import AuthenticationType
from instances.errors import (
    AnswerLostError,
    CredentialsRefusedError,
    GrantRejectedError,
    InstancesError,
    LeaseLostError,
    RateLimitedError,
    StateConflictError,
)
from instances.models import Instance
from instances.platforms.base import TokenSet
from instances.platforms.registry import platform_for
from instances.provisioning.lifecycle.leases import POLL_SECONDS, Lease, leased
from instances.provisioning.lifecycle.schedule import lease_duration, refresh_due_at, retry_after
from instances.provisioning.lifecycle.states import NO_CAUSE, State, cause_of, move_instance
from instances.provisioning.plan import authentication_of
from instances.provisioning.platform_requests import platform_request
from instances.queries.outages import outlast_outage

MAX_REFUSALS = 2
SECOND_ASKING = timedelta(minutes=1)
_MOVED_BY_A_REFRESH = ("tokens_version", "refresh_failures", "refresh_refusals")

log = structlog.stdlib.get_logger(__name__)


def refresh_instance(instance: Instance, *, actor: str, at: datetime | None = None) -> Instance:
    """New tokens in place of those that instance was read with.

    Whoever else is at it is waited for, and how that ended is this call's end too: nobody asks again for what
    was just refused. Raises what the provider answered: GrantRejectedError makes it need reauthorization the
    second time, an outage never. Raises StateConflictError when it is not connected, when another process
    failed just now, or when it is held for too long, and ClockSkewError.
    """
    deadline = time.monotonic() + 1.5 * lease_duration().total_seconds()
    expect = {name: getattr(instance, name) for name in _MOVED_BY_A_REFRESH}
    expect["state"] = State.CONNECTED
    while True:
        now = at or timezone.now()
        # Due from the moment of the claim, so that a scheduler ends what a killed process began.
        intent = {"refresh_started_at": now, "refresh_due_at": now}
        with leased(instance.pk, at=at, expect=expect, **intent) as lease, suppress(LeaseLostError):
            if lease:
                return _refresh_held(instance.pk, lease, actor=actor, at=now)
        if current := _moved_meanwhile(instance, expect):
            return current
        if time.monotonic() > deadline:
            raise StateConflictError(
                f"{instance.label} is being refreshed by another process; try again in a minute."
            )
        time.sleep(POLL_SECONDS)


def token_columns(way: AuthenticationType, tokens: TokenSet, *, at: datetime) -> dict[str, Any]:
    """What is stored with new tokens, beside the tokens themselves."""
    return {
        "has_refresh_token": bool(tokens.refresh_token),
        "tokens_version": F("tokens_version") + 1,
        "expires_at": tokens.expires_at,
        "refresh_due_at": refresh_due_at(way, tokens, at=at),
        "refresh_started_at": None,
        "refresh_failures": 0,
        "refresh_refusals": 0,
    }


def store_tokens(instance: Instance, tokens: TokenSet, *, at: datetime, **columns: Any) -> bool:
    """Keep new tokens, all of them in one statement, unless newer ones were stored since instance was read.

    They exist nowhere else, so an outage of the database is waited for, and a lease that has run out does not matter.
    """
    way = authentication_of(instance)
    instance.tokens = tokens.to_json()
    unchanged = Instance.objects.filter(pk=instance.pk, tokens_version=instance.tokens_version)
    columns = {"tokens": instance.tokens, **token_columns(way, tokens, at=at), **columns}
    stored = outlast_outage(lambda: unchanged.update(**columns), what="tokens")
    outlast_outage(instance.refresh_from_db, what="tokens")
    # A commit that was not confirmed counts no row the second time.
    return stored == 1 or bool(instance.tokens.reveal() == tokens.to_json())


def _moved_meanwhile(instance: Instance, expect: Mapping[str, Any]) -> Instance | None:
    """The instance with the tokens that another process got; None while there is nothing new to tell.

    Raises StateConflictError when it was deleted, is not connected, or was asked for in vain.
    """
    current = Instance.objects.filter(pk=instance.pk).first()
    if current is None:
        raise StateConflictError(f"{instance.label} was deleted in the meantime.")
    if current.tokens_version != instance.tokens_version:
        return current
    if current.state != State.CONNECTED:
        raise StateConflictError(
            f"{current.label} is {current.get_state_display()}, so there is nothing to refresh."
        )
    if any(getattr(current, name) != value for name, value in expect.items()):
        raise StateConflictError(
            f"{current.label} could not be refreshed by another process just now: {current.cause_message}"
        )
    return None


def _refresh_held(instance_id: int, lease: Lease, *, actor: str, at: datetime) -> Instance:
    """Refresh while the lease is held; the row is read under it. Raises LeaseLostError where it was lost."""
    instance = Instance.objects.select_related("element", "organization_user__organization").get(
        pk=instance_id
    )
    try:
        request = replace(platform_request(instance, actor=actor), deadline=lease.deadline)
        tokens = platform_for(request.organization).refresh_tokens(request)
    except LeaseLostError:
        raise
    except InstancesError as error:
        _record_failure(instance, error, lease, actor=actor, at=at)
        raise
    if tokens is None:
        _write_as_holder(instance, lease, refresh_due_at=None, refresh_started_at=None)
        raise StateConflictError(f"{instance.label} has no refresh token; authorize it again.")
    store_tokens(instance, tokens, at=at, last_succeeded_at=at, **NO_CAUSE)
    if instance.state == State.NEEDS_REAUTHORIZATION:
        _reconnect(instance, actor=actor, at=at)
    return instance


def _reconnect(instance: Instance, *, actor: str, at: datetime) -> None:
    """While this process was stopped, others were refused: its answer was the one with the tokens."""
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
    """What the row holds as long as nobody took the instance over since the lease began."""
    return {"lease_holder": lease.holder, "tokens_version": instance.tokens_version}


def _write_as_holder(instance: Instance, lease: Lease, **columns: Any) -> None:
    """Write what came of a refresh without tokens. Raises LeaseLostError, and writes nothing, where it was lost."""
    held = Instance.objects.filter(pk=instance.pk, **_fence(instance, lease))
    if outlast_outage(lambda: held.update(**columns), what="outcome of a refresh") != 1:
        raise LeaseLostError(f"{instance.label}: another process took over its refresh.")


def _record_failure(
    instance: Instance, error: InstancesError, lease: Lease, *, actor: str, at: datetime
) -> None:
    if isinstance(error, GrantRejectedError | CredentialsRefusedError):
        _record_refusal(instance, error, lease, actor=actor, at=at)
        return
    failures = instance.refresh_failures + 1
    asked = error.retry_after_seconds if isinstance(error, RateLimitedError) else None
    wait = retry_after(failures, asked_for_seconds=asked)
    # A lost answer may have carried new tokens: that it was lost stays on record until an answer comes.
    intent = {} if isinstance(error, AnswerLostError) else {"refresh_started_at": None}
    columns = {"refresh_failures": failures, "refresh_due_at": at + wait, **intent}
    _write_as_holder(instance, lease, **columns, **cause_of(error))
    log.warning("refresh failed", uid=str(instance.uid), error=type(error).__name__)


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
        raise LeaseLostError(f"{instance.label}: another process took over its refresh.") from None
