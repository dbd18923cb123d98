"""Kombu's transport over Redis, for which a malformed entry of the list is one log line, not the end of the worker.

Kombu expects whatever it pops to be an envelope of its own. RabbitMQ has no such case: there the broker makes it.
"""

from typing import Any

import structlog
from kombu.transport.redis import Channel, Transport

# What comes of an envelope that is no JSON, or lacks what Kombu puts into each.
_MALFORMED = (AttributeError, KeyError, RecursionError, TypeError, ValueError)

log = structlog.stdlib.get_logger(__name__)


class CarefulChannel(Channel):
    """Redis has forgotten an entry once it has handed it over, so there is nothing to reject."""

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)
        except _MALFORMED as error:
            _tell(error)
            return True

    def _deliver_fanout_message(self, *arguments: Any) -> Any:
        try:
            return super()._deliver_fanout_message(*arguments)
        except _MALFORMED as error:
            _tell(error)
            return True


class CarefulTransport(Transport):
    Channel = CarefulChannel


def _tell(error: Exception) -> None:
    log.warning(
        "worker rejected a message that this program did not send", problem=type(error).__name__
    )
