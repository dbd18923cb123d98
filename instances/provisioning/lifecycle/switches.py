"""Switch an instance or its trace logging on and off."""

from datetime import timedelta

from django.db.models.functions import Now

from instances.causes import Cause
from instances.models import Instance, StateChange
from instances.platforms.registry import platform_for
from instances.provisioning.lifecycle.changes import locked
from instances.provisioning.lifecycle.states import NO_CAUSE
from instances.provisioning.platform_requests import platform_request

TRACE_DURATION = timedelta(hours=1)
MAX_TRACE_DURATION = timedelta(days=1)


def set_enabled(instance: Instance, *, is_enabled: bool, actor: str) -> Instance:
    """Enable or disable an instance, here and at its platform.

    Doing so twice changes nothing.

    Raises PlatformError, InstanceDeletedError.
    """
    if instance.is_disabled is not is_enabled:
        return instance
    if instance.has_token:
        request = platform_request(instance, actor=actor)
        platform_for(request.organization).set_enabled(request, is_enabled=is_enabled)
    with locked(instance) as stored:
        if stored.is_disabled is is_enabled:
            is_solved = is_enabled and stored.cause == Cause.DISABLED_ON_PLATFORM
            no_cause = NO_CAUSE if is_solved else {}
            Instance.objects.filter(pk=instance.pk).update(is_disabled=not is_enabled, **no_cause)
            StateChange.objects.create(
                instance=instance,
                from_state=stored.state,
                to_state=stored.state,
                actor=actor,
                reason="Enabled." if is_enabled else "Disabled.",
            )
    instance.refresh_from_db()
    return instance


def set_trace_logging(
    instance: Instance, *, is_on: bool, duration: timedelta = TRACE_DURATION
) -> None:
    """Record the bodies of the instance's data calls for a while, or no longer.

    Raises InstanceDeletedError.
    """
    until = Now() + min(duration, MAX_TRACE_DURATION) if is_on else None
    with locked(instance):
        Instance.objects.filter(pk=instance.pk).update(
            is_trace_logging=is_on, trace_logging_until=until
        )
