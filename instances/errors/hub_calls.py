"""A hub call is refused, by this program or by the provider."""

from collections.abc import Collection

from instances.errors.data_calls import InvalidCallError


class InvalidConditionError(InvalidCallError):
    """A `where` does not follow CEQL's grammar, or the element cannot filter by it. Nothing was sent."""


class HubCallRefusedError(InvalidCallError):
    """A hub call names something that is missing, or that the element or the provider does not allow.

    http_status: of our response. provider_message: the provider's own words, if it was asked. allowed_methods: for a
    405.
    """

    def __init__(
        self,
        message: str,
        *,
        http_status: int = 400,
        provider_message: str = "",
        allowed_methods: Collection[str] = (),
    ) -> None:
        super().__init__(message)
        self.http_status = http_status
        self.provider_message = provider_message
        self.allowed_methods = allowed_methods
