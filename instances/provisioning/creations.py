"""A create at a platform, and what it makes of the instance: the same for one and for many at once."""

from dataclasses import dataclass, field
from typing import Any

from django.utils import timezone

from instances import crypto
from instances.errors import InstancesError, OutcomeUnknownError
from instances.models import Instance
from instances.platforms.base import InstanceDraft, PlatformInstance, code_in
from instances.platforms.registry import platform_for
from instances.provisioning.configuration import authentication_of
from instances.provisioning.due_times import retry_after
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
