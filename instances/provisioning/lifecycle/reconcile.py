"""Find out what happened to a create whose response was lost."""

from collections.abc import Sequence
from dataclasses import replace

from django.utils import timezone

from instances.deadlines import Deadline
from instances.errors import GrantRejectedError, StateConflictError
from instances.models import Instance
from instances.platforms.base import PlatformInstance, PlatformRequest
from instances.platforms.registry import platform_for
from instances.provisioning.lifecycle.provision import (
    CreateResult,
    create_at_platform,
    sent_in_time,
    store_result,
    without_conflicts,
)
from instances.provisioning.lifecycle.schedule import CREATE_GRACE_PERIOD, STALE_AFTER
from instances.provisioning.lifecycle.states import State, cause_of, move_instance
from instances.provisioning.plan import plan_of
from instances.provisioning.platform_requests import platform_request
from instances.queries.database_clock import database_now, require_right_clock


def reconcile_instance(
    instance: Instance,
    *,
    actor: str,
    is_abandoned: bool = False,
    deadline: Deadline | None = None,
) -> Instance:
    """Look up an instance by its tag after the response to its create was lost.

    If it is found, its id and token are stored and duplicates are deleted. If it is not found and the create can no
    longer be in progress, it is created again, or moved to failed if that needs a new OAuth code.

    is_abandoned: the caller knows that the process that was provisioning it has ended. The embedded platform creates
    nothing before it responds, so no waiting time is needed there. deadline: see sent_in_time().

    Raises StateConflictError if there is nothing to reconcile or it is too early, and PlatformError.
    """
    is_cut_off = is_stuck(instance) or (is_abandoned and instance.state == State.PROVISIONING)
    if instance.state != State.UNKNOWN and not is_cut_off:
        raise StateConflictError(f"{instance.label} has no lost response to reconcile.")
    require_right_clock()
    request = platform_request(instance, actor=actor)
    platform = platform_for(request.organization)
    found = platform.find_instances(request)
    is_certain = is_abandoned and not request.organization.is_remote
    is_early = timezone.now() < instance.state_changed_at + CREATE_GRACE_PERIOD
    if not found and is_early and not is_certain:
        raise StateConflictError(
            f"{instance.label} was not found on the platform, but its creation may still be in progress. "
            f"Check again in {int(CREATE_GRACE_PERIOD.total_seconds())} seconds."
        )
    request = sent_in_time(request, deadline)
    move_instance(
        instance,
        State.PROVISIONING,
        expect={State.UNKNOWN, State.PROVISIONING},
        actor=actor,
        why="Reconciliation started, because the response to the create was lost.",
    )
    if not found:
        return _create_again(instance, request)
    adopted = next(iter(own_copies(found, instance, request)), None)
    result = CreateResult(instance, request, created=adopted or found[0])
    store_result(result, why="Found on the platform by its tag.", is_final=True).require_created()
    for copy in own_copies(found, instance, request):
        if copy.remote_id != instance.remote_id:
            platform.delete_instance(replace(request, remote_id=copy.remote_id))
    return instance


def is_stuck(instance: Instance) -> bool:
    """Return whether provisioning takes so long that its process must have ended."""
    if instance.state != State.PROVISIONING:
        return False
    return bool(instance.state_changed_at < database_now() - STALE_AFTER)


def own_copies(
    found: Sequence[PlatformInstance], instance: Instance, request: PlatformRequest
) -> list[PlatformInstance]:
    """Return the platform's instances that belong to no other instance here."""
    once = {copy.remote_id: copy for copy in reversed(found)}
    results = [CreateResult(instance, request, created=once[key]) for key in reversed(once)]
    return [result.created for result in without_conflicts(results) if result.created]


def _create_again(instance: Instance, request: PlatformRequest) -> Instance:
    if not plan_of(instance).needs_code:
        return create_at_platform(instance, request, is_final=True)
    error = GrantRejectedError(
        f"{instance.label}: provisioning was interrupted after the authorization code was used. Authorize it again."
    )
    move_instance(
        instance,
        State.FAILED,
        expect={State.PROVISIONING},
        actor=request.actor,
        why=str(error),
        **cause_of(error),
    )
    raise error
