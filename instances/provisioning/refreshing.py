"""Access tokens kept alive: each refresh token is spent by one process at a time, and no answer is thrown away.

What is transient backs off and never becomes terminal; a grant that the provider refuses twice is dead, and
is not asked for again.
"""

import time
from collections.abc import Mapping
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
    RateLimitedError,
    StateConflictError,
)
from instances.models import Instance
from instances.platforms.base import TokenSet
from instances.platforms.registry import platform_for
from instances.provisioning.configuration import authentication_of
from instances.provisioning.drafts import draft_of
from instances.provisioning.due_times import lease_duration, refresh_due_at, retry_after
from instances.provisioning.leases import POLL_SECONDS, leased
from instances.provisioning.states import NO_CAUSE, State, cause_of, move_instance

MAX_REFUSALS = 2
SECOND_ASKING = timedelta(minutes=1)
_MOVED_BY_A_REFRESH = ("tokens_version", "refresh_failures", "refresh_refusals")

log = structlog.stdlib.get_logger(__name__)


def refresh_instance(instance: Instance, *, actor: str, at: datetime | None = None) -> Instance:
    """New tokens in place of those that instance was read with.

    Whoever else is at it is waited for, and how that ended is this call's end too: nobody asks again for what
    was just refused. Raises what the provider answered: GrantRejectedError makes it need reauthorization the
    second time, an outage never. Raises StateConflictError when it is not connected, when another process
    failed just now, or when it is held for too long.
    """
    deadline = time.monotonic() + 3 * lease_duration().total_seconds()
    expect = {name: getattr(instance, name) for name in _MOVED_BY_A_REFRESH}
    expect["state"] = State.CONNECTED
    while True:
        now = at or timezone.now()
        # Due from the moment of the claim, so that a scheduler ends what a killed process began.
        intent = {"refresh_started_at": now, "refresh_due_at": now}
        with leased(instance.pk, at=now, expect=expect, **intent) as holder:
            if holder:
                return _refresh_held(instance.pk, actor=actor, at=now)
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
    """Keep new tokens, all of them in one statement, unless newer ones were stored since instance was read."""
    way = authentication_of(instance)
    instance.tokens = tokens.to_json()
    stored = Instance.objects.filter(pk=instance.pk, tokens_version=instance.tokens_version).update(
        tokens=instance.tokens, **token_columns(way, tokens, at=at), **columns
    )
    instance.refresh_from_db()
    return stored == 1


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


def _refresh_held(instance_id: int, *, actor: str, at: datetime) -> Instance:
    """Refresh while the lease is held; the row is read under it."""
    instance = Instance.objects.select_related("element", "organization_user__organization").get(
        pk=instance_id
    )
    try:
        draft = draft_of(instance, actor=actor)
        tokens = platform_for(draft.organization).refresh_tokens(draft)
    except InstancesError as error:
        _record_failure(instance, error, actor=actor, at=at)
        raise
    if tokens is None:
        Instance.objects.filter(pk=instance.pk).update(refresh_due_at=None, refresh_started_at=None)
        raise StateConflictError(f"{instance.label} has no refresh token; authorize it again.")
    store_tokens(instance, tokens, at=at, last_succeeded_at=at, **NO_CAUSE)
    return instance


def _record_failure(instance: Instance, error: InstancesError, *, actor: str, at: datetime) -> None:
    if isinstance(error, GrantRejectedError | CredentialsRefusedError):
        _record_refusal(instance, error, actor=actor, at=at)
        return
    failures = instance.refresh_failures + 1
    asked = error.retry_after_seconds if isinstance(error, RateLimitedError) else None
    wait = retry_after(failures, asked_for_seconds=asked)
    # A lost answer may have carried new tokens: that it was lost stays on record until an answer comes.
    intent = {} if isinstance(error, AnswerLostError) else {"refresh_started_at": None}
    Instance.objects.filter(pk=instance.pk).update(
        refresh_failures=failures, refresh_due_at=at + wait, **intent, **cause_of(error)
    )
    log.warning("refresh failed", uid=str(instance.uid), error=type(error).__name__)


def _record_refusal(instance: Instance, error: InstancesError, *, actor: str, at: datetime) -> None:
    refusals = instance.refresh_refusals + 1
    columns = {"refresh_refusals": refusals, "refresh_started_at": None, **cause_of(error)}
    if refusals < MAX_REFUSALS:
        Instance.objects.filter(pk=instance.pk).update(refresh_due_at=at + SECOND_ASKING, **columns)
        return
    move_instance(
        instance,
        State.NEEDS_REAUTHORIZATION,
        expect={State.CONNECTED},
        actor=actor,
        why=str(error),
        refresh_due_at=None,
        **columns,
    )
