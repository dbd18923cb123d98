"""Elements, keys, clocks and workers: an operator must correct the installation."""

from datetime import timedelta
from typing import ClassVar

from instances.causes import Cause
from instances.errors.base import InstancesError


class CatalogueError(InstancesError):
    """An element's definition is invalid; the message names file and key."""

    cause = Cause.CATALOGUE_WRONG


class SecretError(InstancesError):
    """A stored secret cannot be used."""

    cause = Cause.ENCRYPTION_KEYS_WRONG


class EncryptionKeyError(SecretError):
    """ENCRYPTION_KEYS is malformed, or lacks a key that stored data needs."""


class UnreadableSecretError(SecretError):
    """A ciphertext was altered or moved, or its key is missing.

    reason: a sentence that says which of these it is, without naming the secret.
    """

    cause = Cause.SECRETS_UNREADABLE

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class TaskNotEnqueuedError(InstancesError):
    """A background task could not be queued, because the broker does not answer."""

    cause = Cause.WORKERS_UNREACHABLE


class ClockSkewError(InstancesError):
    """This machine's clock differs too much from the database's, so it takes no work."""

    cause = Cause.CLOCK_WRONG

    retry_after_seconds: ClassVar[int] = 60

    def __init__(self, skew: timedelta) -> None:
        seconds = skew.total_seconds()
        sentence = (
            "This machine's clock is %(seconds).0f seconds ahead of the database's, so it takes no work. Correct the "
            "clock (NTP), then try again."
            if seconds > 0
            else "This machine's clock is %(seconds).0f seconds behind the database's, so it takes no work. Correct "
            "the clock (NTP), then try again."
        )
        super().__init__(sentence % {"seconds": abs(seconds)})
