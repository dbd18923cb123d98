"""Kombu's Redis transport, made to log malformed entries instead of crashing.

Kombu expects every entry to be its own envelope. RabbitMQ does not need this, since the broker makes the envelope.
"""

from typing import Any

import structlog
from kombu.transport.redis import Channel, Transport

# The errors that an envelope causes if it is not JSON, or lacks what Kombu puts into each.
_MALFORMED = (AttributeError, KeyError, RecursionError, TypeError, ValueError)

log = structlog.stdlib.get_logger(__name__)


class CarefulChannel(Channel):
    """A channel that skips malformed entries.

    Redis deletes an entry on delivery, so there is nothing to reject.
    """

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)
        except _MALFORMED as error:
            _log_rejection(error)
            return True

    def _deliver_fanout_message(self, *arguments: Any) -> Any:
        try:
            return super()._deliver_fanout_message(*arguments)
        except _MALFORMED as error:
            _log_rejection(error)
            return True


class CarefulTransport(Transport):
    Channel = CarefulChannel


def _log_rejection(error: Exception) -> None:
    log.warning(
        "worker rejected a message that this program did not send", problem=type(error).__name__
    )
