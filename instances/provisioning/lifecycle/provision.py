"""Create an instance at its platform and record the result.

Single creates, bulk batches and reconciliation share this. What is checked before an instance exists is in
`provisioning.create`.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from instances.crypto import sealing
from instances.deadlines import Deadline
from instances.errors import (
    IdentityConflictError,
    InstancesError,
    MissingCodeError,
    OutcomeUnknownError,
)
from instances.models import Instance
from instances.platforms.base import Platform, PlatformInstance, PlatformRequest, code_in
from instances.platforms.registry import platform_for
from instances.provisioning.lifecycle.changes import locked, require_as_read
from instances.provisioning.lifecycle.identities import Identity, owned_by_others
from instances.provisioning.lifecycle.refresh import token_columns
from instances.provisioning.lifecycle.schedule import SEND_WITHIN, check_due_at, retry_after
from instances.provisioning.lifecycle.states import (
    NO_CAUSE,
    PROVISIONABLE,
    Move,
    State,
    cause_of,
    move_instance,
)
from instances.provisioning.plan import ConnectionPlan, plan_of
from instances.provisioning.platform_requests import platform_request
from instances.queries.database_clock import require_right_clock
from instances.queries.outages import outlast_outage


@dataclass(frozen=True, slots=True)
class CreateResult:
    """The result of a create: the instance on the platform, or the error."""

    instance: Instance
    request: PlatformRequest = field(repr=False)
    created: PlatformInstance | None = field(default=None, repr=False)
    error: InstancesError | None = None

    def require_created(self) -> Instance:
        """Return the instance, or raise the error."""
        if self.error:
            raise self.error
        return self.instance

    def transition(self, *, why: str = "Provisioned.", at: datetime | None = None) -> Move:
        """Return the move out of provisioning: to connected, failed or unknown. at: now, by default."""
        if self.created:
            columns = self._connected(self.created, at or timezone.now())
            return Move(self.instance, State.CONNECTED, why, columns)
        error = self.error or InstancesError()
        to = State.UNKNOWN if isinstance(error, OutcomeUnknownError) else State.FAILED
        return Move(self.instance, to, str(error), cause_of(error))

    def _connected(self, created: PlatformInstance, at: datetime) -> dict[str, Any]:
        code = code_in(self.request.provider_data)
        columns = connected_columns(self.instance, created, code, at=at)
        if created.tokens:
            # An instance that is being provisioned is not refreshed, so no other process changes the version.
            columns["tokens_version"] = self.instance.tokens_version + 1
        return {
            "token": created.token,
            "remote_id": created.remote_id,
            "is_disabled": created.is_disabled,
            **columns,
        }


def send_create(instance: Instance, request: PlatformRequest, platform: Platform) -> CreateResult:
    """Create an instance at its platform; errors become part of the result.

    Writes nothing but interactions. Uses the network, so do not call it inside a transaction.
    """
    try:
        created = platform.create_instance(request)
    except InstancesError as error:
        return CreateResult(instance, request, error=error)
    return CreateResult(instance, request, created=created)


def without_conflicts(
    results: Sequence[CreateResult], *, is_final: bool = False
) -> list[CreateResult]:
    """Replace responses with another instance's id or Element token by an error.

    What the platform created is then not known, so the outcome is unknown. is_final: the instance was already looked
    up by its tag, so looking it up again would tell nothing new.
    """
    identities = {
        number: Identity(
            result.instance.pk,
            result.request.organization,
            result.created.remote_id,
            result.created.token,
        )
        for number, result in enumerate(results)
        # The embedded platform has no ids, and its tokens are random.
        if result.created and result.created.remote_id is not None
    }
    if not identities:
        return list(results)
    owned = dict(zip(identities, owned_by_others([*identities.values()]), strict=True))
    return [
        replace(result, created=None, error=_conflict(result.instance, conflict, is_final=is_final))
        if (conflict := owned.get(number))
        else result
        for number, result in enumerate(results)
    ]


def _conflict(instance: Instance, conflict: str, *, is_final: bool) -> InstancesError:
    what = f"{instance.label}: the platform's response contains {conflict}. The response was not saved."
    if is_final:
        return IdentityConflictError(
            f"{what} Compare both instances with the platform, and delete the one that is wrong here."
        )
    return OutcomeUnknownError(
        f"{what} It is not known whether the instance was created. Run a check: it asks the platform before anything "
        "is sent again."
    )


def connected_columns(
    instance: Instance, result: PlatformInstance, code: str, *, at: datetime | None = None
) -> dict[str, Any]:
    """Return the columns that change when a platform reports an instance as connected.

    code: the authorization code that was used; empty if there was none. at: now, by default.
    """
    now = at or timezone.now()
    proved_at = now if result.is_proved else None
    columns = NO_CAUSE | {
        "last_checked_at": proved_at,
        "last_succeeded_at": proved_at,
        "verified_at": proved_at,
        "quarantined_at": None,
    }
    if code:
        columns["code_digest"] = sealing.digest(code)
    if result.account:
        columns["account_identity"] = dict(result.account)
    if result.tokens:
        way = instance.authentication
        columns |= token_columns(way, result.tokens, at=now)
        columns["tokens"] = result.tokens.to_json()
        columns["next_action_at"] = check_due_at(
            way,
            expires_at=result.tokens.expires_at,
            has_refresh_token=bool(result.tokens.refresh_token),
            at=now,
        )
    elif not instance.can_reveal("tokens"):
        columns |= {"tokens": "", "has_refresh_token": None}
    if error := result.probe_error:
        wait = retry_after(1, asked_for_seconds=error.retry_after_seconds)
        columns |= {"last_checked_at": now, "next_action_at": now + wait, **cause_of(error)}
    return columns


def provision_instance(
    instance: Instance, *, actor: str, provider_data: Mapping[str, str] | None = None
) -> Instance:
    """Provision a stored instance: create it at its platform, store the result.

    provider_data: the parameters that the provider sent to the OAuth callback; needed for OAuth. The instance ends in
    the state connected, failed or unknown.

    Raises MissingConfigurationError, MissingCodeError, StateConflictError and ClockSkewError before anything is sent,
    then PlatformError.
    """
    require_right_clock()
    return provision_as_planned(
        instance, plan_of(instance, provider_data=provider_data or {}), actor=actor
    )


def provision_as_planned(
    instance: Instance, plan: ConnectionPlan, *, actor: str, code_verifier: str = ""
) -> Instance:
    """Provision a stored instance whose connection has been planned.

    Raises what provision_instance() raises.
    """
    request = platform_request(instance, actor=actor, plan=plan, code_verifier=code_verifier)
    if plan.needs_code:
        raise MissingCodeError
    if instance.external_authentication == Instance.ExternalAuthentication.NONE:
        plan.require_complete()
    request = sent_in_time(request)
    with locked(instance) as stored:
        require_as_read(instance, stored)
        move_instance(
            instance,
            State.PROVISIONING,
            expect=PROVISIONABLE,
            actor=actor,
            why="Provisioning started.",
        )
    return create_at_platform(instance, request)


def create_deadline() -> Deadline:
    """Return until when a create that starts now may be sent.

    A process that is suspended and resumed must not send it later, when another process may have created it.
    """
    return Deadline(SEND_WITHIN)


def sent_in_time(request: PlatformRequest, deadline: Deadline | None = None) -> PlatformRequest:
    """Set the deadline of a create that starts now. deadline: in place of create_deadline()."""
    return replace(request, deadline=deadline or create_deadline())


def create_at_platform(
    instance: Instance, request: PlatformRequest, *, is_final: bool = False
) -> Instance:
    """Create an instance in the state provisioning at its platform.

    is_final: see without_conflicts(). Uses the network, so do not call it inside a transaction.

    Raises PlatformError.
    """
    result = send_create(instance, request, platform_for(request.organization))
    return store_result(result, is_final=is_final).require_created()


def store_result(
    result: CreateResult, *, why: str = "Provisioned.", is_final: bool = False
) -> CreateResult:
    """Store the result of a create: move the instance out of provisioning.

    is_final: see without_conflicts(). Returns the result as it was stored.
    """
    instance = result.instance

    def compare() -> list[CreateResult]:
        return without_conflicts([result], is_final=is_final)

    [compared] = outlast_outage(compare, what="state")
    try:
        # A savepoint is only needed inside a caller's transaction; without one, the move outlasts a database outage.
        with transaction.atomic() if connection.in_atomic_block else nullcontext():
            _leave_provisioning(compared.transition(why=why), actor=result.request.actor)
    except IntegrityError:
        # Another process has just stored the same id or Element token.
        instance.refresh_from_db()
        [compared] = compare()
        _leave_provisioning(compared.transition(why=why), actor=result.request.actor)
    return compared


def connect_unsaved(instance: Instance, created: PlatformInstance) -> None:
    """Set what the platform created without an exchange on an unsaved instance."""
    columns = connected_columns(instance, created, "")
    if created.tokens:
        columns["tokens_version"] = 1
    for name, value in {"token": created.token, **columns}.items():
        setattr(instance, name, value)


def _leave_provisioning(move: Move, *, actor: str) -> None:
    move_instance(
        move.instance,
        move.to,
        expect={State.PROVISIONING},
        actor=actor,
        why=move.why,
        is_outlasting=True,
        **move.changes,
    )
