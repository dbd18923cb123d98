"""A data call is not carried out: nothing was sent to the provider."""

from instances.causes import Cause
from instances.errors.base import InstancesError
from instances.errors.conflicts import StateConflictError, TooManyAttemptsError
from instances.errors.invalid_input import InputError


class InvalidCallError(InputError):
    """The path or another part of a data call is not valid, or its element has no API that can be called."""


class InstanceUnusableError(StateConflictError):
    """The instance is disabled, or has to be authorized again, so no data call is sent for it."""

    cause = Cause.INSTANCE_UNUSABLE


class TooManyCallsError(TooManyAttemptsError):
    """Too many data calls of one instance are in progress. Retry after retry_after_seconds."""


class ServerBusyError(InstancesError):
    """Too many data calls are in progress in this process. Retry after retry_after_seconds."""

    cause = Cause.SERVER_BUSY

    def __init__(self, message: str, *, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
