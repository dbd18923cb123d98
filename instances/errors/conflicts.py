"""The request is valid, but cannot be carried out now."""

from typing import ClassVar

from instances.causes import Cause
from instances.errors.base import InstancesError


class TooManyAttemptsError(InstancesError):
    """Too many failed sign-ins, or callbacks without an authorization.

    Retry after retry_after_seconds.
    """

    cause = Cause.TOO_MANY_ATTEMPTS

    def __init__(self, message: str, *, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class StateConflictError(InstancesError):
    """The instance's state does not allow this, or not any more."""

    cause = Cause.CONFLICT


class NoCheckError(StateConflictError):
    """The element has no check, so nothing was asked and nothing is known.

    label, element: how messages name them.
    """

    cause = Cause.NO_CHECK

    def __init__(self, label: str, element: str) -> None:
        super().__init__(
            f"{label}: {element} has no check, so the stored credentials were not verified. They are verified when they "
            "are used."
        )


class InstanceDeletedError(StateConflictError):
    """Another call deleted the instance or is deleting it.

    label: how messages name it.
    """

    cause = Cause.INSTANCE_DELETED

    def __init__(self, label: str) -> None:
        super().__init__(f"{label} was deleted in the meantime.")


class StillRunningError(StateConflictError):
    """The first request with this Idempotency-Key is in progress.

    Retry after retry_after_seconds.
    """

    retry_after_seconds: ClassVar[int] = 5
