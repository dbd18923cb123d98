"""How many data calls are in progress, in this process and of one instance."""

import threading
from collections import Counter

from django.conf import settings

from instances.errors import ServerBusyError, TooManyCallsError
from instances.models import Instance

RETRY_AFTER_SECONDS = 1


class _InProgress:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of_instance: Counter[int] = Counter()
        self._total = 0

    def begin(self, instance: Instance) -> None:
        with self._lock:
            if self._of_instance[instance.pk] >= settings.DATA_CALLS_PER_INSTANCE:
                raise TooManyCallsError(
                    f"{settings.DATA_CALLS_PER_INSTANCE} calls of this instance are in progress already. Retry after "
                    f"{RETRY_AFTER_SECONDS} second.",
                    retry_after_seconds=RETRY_AFTER_SECONDS,
                )
            if self._total >= settings.DATA_CALLS_AT_ONCE:
                raise ServerBusyError(
                    f"Too many calls are in progress. Retry after {RETRY_AFTER_SECONDS} second.",
                    retry_after_seconds=RETRY_AFTER_SECONDS,
                )
            self._of_instance[instance.pk] += 1
            self._total += 1

    def end(self, instance_id: int) -> None:
        with self._lock:
            self._total -= 1
            self._of_instance[instance_id] -= 1
            if not self._of_instance[instance_id]:
                del self._of_instance[instance_id]


_in_progress = _InProgress()


class Permit:
    """The permission to call for an instance, until release().

    Raises TooManyCallsError, ServerBusyError.
    """

    def __init__(self, instance: Instance) -> None:
        self._instance_id = instance.pk
        _in_progress.begin(instance)
        self._is_held = True

    def release(self) -> None:
        """Give it back. Doing so twice changes nothing."""
        if self._is_held:
            self._is_held = False
            _in_progress.end(self._instance_id)
