"""The root of all exceptions."""

from typing import ClassVar

from instances.causes import CAUSES, Cause, CauseInfo


class InstancesError(Exception):
    """Root of the tree."""

    # The key of causes.CAUSES.
    cause: ClassVar[Cause] = Cause.UNEXPECTED
    # A remote platform's own error message, passed on to API clients.
    platform_message: str = ""

    @property
    def info(self) -> CauseInfo:
        return CAUSES[self.cause]

    @property
    def is_retryable(self) -> bool:
        """Whether the same call may succeed later without any change."""
        return self.info.is_retryable
