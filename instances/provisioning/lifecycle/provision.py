"""A create at a platform, and what it makes of the instance: the same for one and for many at once."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from instances import crypto
from instances.deadlines import Deadline
from instances.errors import (
    IdentityConflictError,
    InstancesError,
    MissingCodeError,
    OutcomeUnknownError,
)
from instances.models import Instance
from instances.platforms.base import PlatformInstance, PlatformRequest, code_in
from instances.platforms.registry import platform_for
from instances.provisioning.lifecycle.changes import (
    locked,
    require_as_read,
)
from instances.provisioning.lifecycle.identities import Identity, sentences_of_conflicts
from instances.provisioning.lifecycle.refresh import token_columns
from instances.provisioning.lifecycle.schedule import SEND_WITHIN, retry_after
from instances.provisioning.lifecycle.states import NO_CAUSE, Move, State, cause_of, move_instance
from instances.provisioning.plan import authentication_of, require_complete
from instances.provisioning.platform_requests import platform_request
from instances.queries.database_clock import require_right_clock
from instances.queries.outages import outlast_outage


@dataclass(frozen=True, slots=True)
class CreateResult:
    """What came of a create: what the platform has now, or the error that it ended in."""

    instance: Instance
    request: PlatformRequest = field(repr=False)
    created: PlatformInstance | None = field(default=None, repr=False)
    error: InstancesError | None = None

    def transition(self, *, why: str = "Provisioned.") -> Move:
        """Where it leads to: connected, failed, or unknown."""
        if self.created:
            return Move(self.instance, State.CONNECTED, why, self._connected(self.created))
        error = self.error or InstancesError()
        to = State.UNKNOWN if isinstance(error, OutcomeUnknownError) else State.FAILED
        return Move(self.instance, to, str(error), cause_of(error))

    def _connected(self, created: PlatformInstance) -> dict[str, Any]:
        code = code_in(self.request.provider_data)
        columns = connected_columns(self.instance, created, code)
        if created.tokens:
            # Nobody refreshes what is being provisioned, so nobody counts beside us.
            columns["tokens_version"] = self.instance.tokens_version + 1
        return {
            "token": created.token,
            "remote_id": created.remote_id,
            "is_disabled": created.is_disabled,
            **columns,
        }


def send_create(instance: Instance, request: PlatformRequest) -> CreateResult:
    """Create it at its platform. Nothing but the exchanges is written, and no error of the tree is raised.

    The network is used here, so never inside a transaction.
    """
    try:
        created = platform_for(request.organization).create_instance(request)
    except InstancesError as error:
        return CreateResult(instance, request, error=error)
    return CreateResult(instance, request, created=created)


def without_conflicts(
    creations: Sequence[CreateResult], *, is_final: bool = False
) -> list[CreateResult]:
    """Each as it is, or with an error in place of an answer that names what belongs to another instance here.

    Nobody can say then what the platform created, so the outcome is unknown. is_final: it was asked for it by its tag
    already, so that asking again tells nothing new.
    """
    identities = {
        number: Identity(
            one.instance.pk, one.request.organization, one.created.remote_id, one.created.token
        )
        for number, one in enumerate(creations)
        # The embedded platform, which has no ids, mints tokens that nobody else has.
        if one.created and one.created.remote_id is not None
    }
    if not identities:
        return list(creations)
    clauses = dict(zip(identities, sentences_of_conflicts([*identities.values()]), strict=True))
    return [
        replace(one, created=None, error=_conflict(one.instance, clause, is_final=is_final))
        if (clause := clauses.get(number))
        else one
        for number, one in enumerate(creations)
    ]


def _conflict(instance: Instance, clause: str, *, is_final: bool) -> InstancesError:
    what = f"{instance.label}: the platform answered with {clause}, so nothing of the answer was taken over."
    if is_final:
        return IdentityConflictError(
            f"{what} Compare both with what the platform has, and delete the one that is wrong here."
        )
    return OutcomeUnknownError(
        f"{what} Whether the instance was created is not known; check it, and the platform is asked before anything "
        "is sent again."
    )


def connected_columns(instance: Instance, result: PlatformInstance, code: str) -> dict[str, Any]:
    """What a platform's answer changes in any case."""
    now = timezone.now()
    proved = {"last_checked_at": now, "last_succeeded_at": now}
    columns = NO_CAUSE | (proved if result.is_proved else {"next_action_at": now + retry_after(1)})
    columns["quarantined_at"] = None
    if code:
        columns["code_digest"] = crypto.digest(code)
    if result.tokens:
        way = authentication_of(instance)
        columns |= token_columns(way, result.tokens, at=now)
        columns["tokens"] = result.tokens.to_json()
    elif "tokens" in instance.unreadable_secrets():
        columns |= {"tokens": "", "has_refresh_token": None}
    return columns


_PROVISIONABLE = {State.DRAFT, State.AWAITING_AUTHORIZATION, State.FAILED}


def provision_instance(
    instance: Instance,
    *,
    actor: str,
    provider_data: Mapping[str, str] | None = None,
    code_verifier: str = "",
) -> Instance:
    """Turn a draft into a connected instance at its platform.

    provider_data: what the provider sent to the callback; needed for OAuth. Ends connected, failed or
    unknown, and raises what made it so: PlatformError, MissingConfigurationError. Raises MissingCodeError,
    StateConflictError and ClockSkewError before anything is sent.
    """
    require_right_clock()
    request = platform_request(
        instance,
        actor=actor,
        configuration=instance.full_configuration(),
        provider_data=provider_data or {},
        code_verifier=code_verifier,
    )
    if _lacks_code(instance, request):
        raise MissingCodeError
    if instance.external_authentication == Instance.ExternalAuthentication.NONE:
        require_complete(request.organization, request.authentication, request.configuration)
    request = sent_in_time(request)
    with locked(instance) as stored:
        require_as_read(instance, stored)
        move_instance(
            instance,
            State.PROVISIONING,
            expect=_PROVISIONABLE,
            actor=actor,
            why="Provisioning began.",
        )
    return create_at_platform(instance, request)


def _lacks_code(instance: Instance, request: PlatformRequest) -> bool:
    if instance.external_authentication == Instance.ExternalAuthentication.INITIAL:
        return False
    return request.authentication.needs_browser and not code_in(request.provider_data)


def sent_in_time(request: PlatformRequest) -> PlatformRequest:
    """The draft of a create that begins now: a process that is stopped meanwhile does not send it later."""
    return replace(request, deadline=Deadline(SEND_WITHIN))


def create_at_platform(
    instance: Instance, request: PlatformRequest, *, is_final: bool = False
) -> Instance:
    """The second half of provision_instance(): create it, and record how that ended.

    is_final: the platform was asked for it before (without_conflicts()). The network is used here, so never inside a
    transaction.
    """
    _end(send_create(instance, request), is_final=is_final)
    return instance


def _end(creation: CreateResult, *, why: str = "Provisioned.", is_final: bool = False) -> None:
    """Out of provisioning, as what came of it says. Raises the error that it ended in."""
    instance = creation.instance

    def compare() -> list[CreateResult]:
        return without_conflicts([creation], is_final=is_final)

    [ended] = outlast_outage(compare, what="state")
    try:
        # Alone it outlasts an outage; within a caller's transaction, only what is done here is undone.
        with transaction.atomic() if connection.in_atomic_block else nullcontext():
            _carry_out(ended.transition(why=why), actor=creation.request.actor)
    except IntegrityError:
        # In the meantime, another process stored the id or the Element token.
        instance.refresh_from_db()
        [ended] = compare()
        _carry_out(ended.transition(why=why), actor=creation.request.actor)
    if ended.error:
        raise ended.error


def connect_unsaved(instance: Instance, created: PlatformInstance) -> None:
    """Give a new instance, which is in memory alone, what its platform answered without any exchange."""
    columns = connected_columns(instance, created, "")
    if created.tokens:
        columns["tokens_version"] = 1
    for name, value in {"token": created.token, **columns}.items():
        setattr(instance, name, value)


def _carry_out(move: Move, *, actor: str) -> None:
    """Out of provisioning, with what the platform answered."""
    move_instance(
        move.instance,
        move.to,
        expect={State.PROVISIONING},
        actor=actor,
        why=move.why,
        is_outlasting=True,
        **move.changes,
    )
