"""The request is invalid. Nothing was changed."""

from collections.abc import Sequence

from instances.causes import Cause
from instances.errors.base import InstancesError


class InputError(InstancesError):
    """The request is invalid; nothing was changed."""

    cause = Cause.CONFIGURATION_WRONG


class UnknownElementError(InputError):
    """No active element has this key or id."""

    cause = Cause.ELEMENT_UNKNOWN


class RetiredElementError(InputError):
    """The provider retired the element or the way of authentication, so no new instance may use it.

    retirement: why, and what to use instead. way: the type of authentication, if only that is retired.
    """

    cause = Cause.ELEMENT_RETIRED

    def __init__(self, element: str, retirement: str, *, way: str = "") -> None:
        means = f" with {way} authentication" if way else ""
        super().__init__(f"{element} can no longer be connected{means}. {retirement}")


class InvalidConfigurationError(InputError):
    """A configuration value is invalid. why never contains a secret value."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(f"Invalid configuration: {key}: {why}")
        self.key = key


class HostNotAllowedError(InvalidConfigurationError):
    """Configuration or a provider's response names a host that is not allowed.

    Nothing was sent.
    """

    cause = Cause.HOST_NOT_ALLOWED

    def __init__(self, key: str, host: str, element: str) -> None:
        InputError.__init__(
            self,
            f"The host “{host}” in {key} is not allowed for {element}. Correct it, or ask an operator to allow it on "
            "the OAuth app or in the organization's private hosts.",
        )
        self.key = key


class SecretsNeededAgainError(InvalidConfigurationError):
    """The host was changed, and stored secrets are not sent to another host.

    Nothing was changed.

    keys: the secrets to enter again; empty if a new authorization is needed instead.
    """

    def __init__(self, key: str, host: str, keys: Sequence[str]) -> None:
        if keys:
            message = (
                f"{key} names another host, “{host}”. Stored secrets are only sent to the host that they were entered "
                f"for. Send {', '.join(keys)} again in the same request."
            )
        else:
            message = (
                f"{key} names another host, “{host}”. Stored secrets are only sent to the host that they were entered "
                "for. Authenticate again with the new host in the same request."
            )
        InputError.__init__(self, message)
        self.key = key
        self.keys = list(keys)


class MissingConfigurationError(InputError):
    """Required configuration is missing.

    The message names all missing keys (contract 7.5). hint: a sentence to add.
    """

    def __init__(self, keys: Sequence[str], *, hint: str = "") -> None:
        message = f"Missing required configuration: {', '.join(keys)}"
        super().__init__(f"{message}. {hint}" if hint else message)
        self.keys = list(keys)


class MissingCodeError(InputError):
    """An OAuth element without an authorization code.

    The contract prescribes the wording (3.1).
    """

    cause = Cause.CODE_MISSING

    def __init__(self) -> None:
        super().__init__(
            "You must provide an OAuth code in order to create an instance of this element"
        )


class PermissionRefusedError(InputError):
    """The user may not do this."""

    cause = Cause.NOT_PERMITTED


class IdempotencyKeyReusedError(InputError):
    """The Idempotency-Key was used with another body before."""

    cause = Cause.KEY_REUSED
