"""Find out what became of a create whose answer was lost."""

from collections.abc import Sequence
from dataclasses import replace

from django.utils import timezone

from instances.errors import (
    GrantRejectedError,
    StateConflictError,
)
from instances.models import Instance
from instances.platforms.base import PlatformInstance, PlatformRequest
from instances.platforms.registry import platform_for
from instances.provisioning.lifecycle.provision import (
    CreateResult,
    _end,
    _lacks_code,
    create_at_platform,
    sent_in_time,
    without_conflicts,
)
from instances.provisioning.lifecycle.schedule import CREATE_GRACE_PERIOD, STALE_AFTER
from instances.provisioning.lifecycle.states import State, cause_of, move_instance
from instances.provisioning.platform_requests import platform_request
from instances.queries.database_clock import database_now, require_right_clock


def reconcile_instance(instance: Instance, *, actor: str, is_abandoned: bool = False) -> Instance:
    """Find out what became of a create whose answer was lost, by the instance's tag at the platform.

    is_abandoned: the caller knows that the process that was provisioning it has ended; then an embedded platform,
    where nothing is created before the answer is here, needs no time to be certain. Found: its id and token are adopted, and copies beside it are deleted. Not found, and long enough ago to be
    certain: it is created again, or, where that needs a new OAuth code, failed. Raises StateConflictError
    when there is nothing to reconcile or it is too early, and PlatformError.
    """
    is_cut_off = is_stuck(instance) or (is_abandoned and instance.state == State.PROVISIONING)
    if instance.state != State.UNKNOWN and not is_cut_off:
        raise StateConflictError(f"{instance.label} has no lost answer to reconcile.")
    require_right_clock()
    request = platform_request(instance, actor=actor)
    platform = platform_for(request.organization)
    found = platform.find_instances(request)
    is_certain = is_abandoned and not request.organization.is_remote
    is_early = timezone.now() < instance.state_changed_at + CREATE_GRACE_PERIOD
    if not found and is_early and not is_certain:
        raise StateConflictError(
            f"{instance.label} is not at the platform yet; its creation may still be under way. "
            f"Check again in {int(CREATE_GRACE_PERIOD.total_seconds())} seconds."
        )
    request = sent_in_time(request)
    move_instance(
        instance,
        State.PROVISIONING,
        expect={State.UNKNOWN, State.PROVISIONING},
        actor=actor,
        why="The lost answer is being reconciled.",
    )
    if not found:
        return _create_again(instance, request)
    adopted = next(iter(_own_among(found, instance, request)), None)
    creation = CreateResult(instance, request, created=adopted or found[0])
    _end(creation, why="Found at the platform by its tag.", is_final=True)
    for copy in _own_among(found, instance, request):
        if copy.remote_id != instance.remote_id:
            platform.delete_instance(replace(request, remote_id=copy.remote_id))
    return instance


def is_stuck(instance: Instance) -> bool:
    """Whether provisioning began so long ago that the process that did it is gone."""
    if instance.state != State.PROVISIONING:
        return False
    return bool(instance.state_changed_at < database_now() - STALE_AFTER)


def _own_among(
    found: Sequence[PlatformInstance], instance: Instance, request: PlatformRequest
) -> list[PlatformInstance]:
    """Those at the platform that are no other instance's here, each once."""
    once = {one.remote_id: one for one in reversed(found)}
    creations = [CreateResult(instance, request, created=once[key]) for key in reversed(once)]
    return [one.created for one in without_conflicts(creations) if one.created]


def _create_again(instance: Instance, request: PlatformRequest) -> Instance:
    if not _lacks_code(instance, request):
        return create_at_platform(instance, request, is_final=True)
    error = GrantRejectedError(
        f"{instance.label}: its creation was cut off and the authorization code is spent. Authorize it again."
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
