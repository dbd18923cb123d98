"""A create at a platform, and what it makes of the instance: the same for one and for many at once."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.utils import timezone

from instances import crypto
from instances.errors import IdentityConflictError, InstancesError, OutcomeUnknownError
from instances.models import Instance
from instances.platforms.base import InstanceDraft, PlatformInstance, code_in
from instances.platforms.registry import platform_for
from instances.provisioning.configuration import authentication_of
from instances.provisioning.due_times import retry_after
from instances.provisioning.identities import Identity, sentences_of_conflicts
from instances.provisioning.refreshing import token_columns
from instances.provisioning.states import NO_CAUSE, Move, State, cause_of


@dataclass(frozen=True, slots=True)
class Creation:
    """What came of a create: what the platform has now, or the error that it ended in."""

    instance: Instance
    draft: InstanceDraft = field(repr=False)
    created: PlatformInstance | None = field(default=None, repr=False)
    error: InstancesError | None = None

    def move(self, *, why: str = "Provisioned.") -> Move:
        """Where it leads to: connected, failed, or unknown."""
        if self.created:
            return Move(self.instance, State.CONNECTED, why, self._connected(self.created))
        error = self.error or InstancesError()
        to = State.UNKNOWN if isinstance(error, OutcomeUnknownError) else State.FAILED
        return Move(self.instance, to, str(error), cause_of(error))

    def _connected(self, created: PlatformInstance) -> dict[str, Any]:
        code = code_in(self.draft.provider_data)
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


def send_creation(instance: Instance, draft: InstanceDraft) -> Creation:
    """Create it at its platform. Nothing but the exchanges is written, and no error of the tree is raised.

    The network is used here, so never inside a transaction.
    """
    try:
        created = platform_for(draft.organization).create_instance(draft)
    except InstancesError as error:
        return Creation(instance, draft, error=error)
    return Creation(instance, draft, created=created)


def without_conflicts(creations: Sequence[Creation], *, is_final: bool = False) -> list[Creation]:
    """Each as it is, or with an error in place of an answer that names what belongs to another instance here.

    Nobody can say then what the platform created, so the outcome is unknown. is_final: it was asked for it by its tag
    already, so that asking again tells nothing new.
    """
    identities = {
        number: Identity(
            one.instance.pk, one.draft.organization, one.created.remote_id, one.created.token
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
    columns = NO_CAUSE | (proved if result.is_proved else {"work_due_at": now + retry_after(1)})
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
