"""Every exception of the app. Each message is a sentence an operator can act on and holds no secret.

InstancesError
├── CatalogueError                  an element's file is wrong
├── SecretError                     a stored secret cannot be used
│   ├── EncryptionKeyError          a key is malformed, or one that the data needs is missing
│   └── UnreadableSecretError       this one ciphertext does not decrypt here
├── InputError                      what was asked for makes no sense; nothing was changed
│   ├── UnknownElementError
│   ├── InvalidConfigurationError
│   │   ├── HostNotAllowedError     a secret would go to a host that is not allowed for it
│   │   └── SecretsNeededAgainError a stored secret would go to another host than it was entered for
│   ├── MissingConfigurationError   names every missing key at once
│   ├── MissingCodeError            an OAuth element without an authorization code
│   └── PermissionRefusedError      the person may not do this
├── TooManyAttemptsError            failed sign-ins, or callbacks that belong to nothing
├── StateConflictError              the instance is not in a state in which this can be done
│   └── InstanceDeletedError        another call deleted it
├── TaskNotEnqueuedError            a background task could not be handed to the workers
├── ClockSkewError                  this machine's clock differs from the database's
├── AuthorizationError              one trip to a provider came back wrong
│   ├── MissingStateError  UnknownStateError  ExpiredStateError  ReplayedStateError
│   ├── WrongBrowserError  IssuerMismatchError
│   ├── UnknownLinkError  LinkOverError ── LinkDoneError
│   └── AuthorizationDeniedError    ProviderReportedError
└── PlatformError                   an exchange with a platform or a provider failed
    ├── UnreachableError            no connection was made, so nothing was sent
    │   ├── BlockedAddressError     the address is private and not allowed
    │   └── LeaseLostError          the time in which this process might send it had passed
    ├── AnswerLostError             sent, but no whole answer came: it may have been carried out
    │   └── AnswerTimeoutError
    ├── OutcomeUnknownError         a create at a remote platform may have been carried out
    ├── RefusedError                understood, and refused (4xx)
    │   ├── CredentialsRefusedError the account's credentials are wrong
    │   ├── GrantRejectedError      the code, grant or refresh token is no good (RFC 6749 invalid_grant)
    │   ├── ClientRefusedError      the OAuth client or the platform secrets are wrong
    │   ├── AccessForbiddenError    403
    │   └── GoneError               404: there is no such instance at the platform
    ├── RateLimitedError            429
    ├── ProviderFaultError          5xx
    ├── IdentityConflictError       the answer names what belongs to another instance here
    └── UnusableAnswerError         an answer that cannot be understood, for example HTML
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar, Protocol

from instances.causes import CAUSES, Cause, CauseInfo


class Recorded(Protocol):
    """A recorded exchange (models.Interaction). It has its id as soon as it is written."""

    @property
    def pk(self) -> int | None: ...


class InstancesError(Exception):
    """Root of the tree. cause: what is known about this kind of error (causes.CAUSES).

    platform_message: the words in which a remote platform refused, as its own clients know them.
    """

    cause: ClassVar[Cause] = Cause.UNEXPECTED
    platform_message: str = ""

    @property
    def info(self) -> CauseInfo:
        return CAUSES[self.cause]

    @property
    def is_retryable(self) -> bool:
        """Whether the same call may succeed later without anybody changing anything."""
        return self.info.is_retryable


class CatalogueError(InstancesError):
    """An element's definition does not parse or validate; the message names file and key."""

    cause = Cause.CATALOGUE_WRONG


class SecretError(InstancesError):
    """A stored secret cannot be used."""

    cause = Cause.ENCRYPTION_KEYS_WRONG


class EncryptionKeyError(SecretError):
    """ENCRYPTION_KEYS is malformed, or lacks a key that stored data was encrypted with."""


class UnreadableSecretError(SecretError):
    """A ciphertext was altered, or moved here from another row or field, or its key is missing.

    reason: which of these it is, as a sentence, without saying which secret it is about.
    """

    cause = Cause.SECRETS_UNREADABLE

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class InputError(InstancesError):
    """What was asked for makes no sense; nothing was changed."""

    cause = Cause.CONFIGURATION_WRONG


class UnknownElementError(InputError):
    """No active element has this key or id."""

    cause = Cause.ELEMENT_UNKNOWN


class InvalidConfigurationError(InputError):
    """A configuration value has the wrong form. why never repeats a secret value."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(f"Invalid configuration: {key}: {why}")
        self.key = key


class HostNotAllowedError(InvalidConfigurationError):
    """A configuration key, or what a provider sent, names a host to which these secrets may not go. Nothing was sent."""

    cause = Cause.HOST_NOT_ALLOWED

    def __init__(self, key: str, host: str, element: str) -> None:
        InputError.__init__(
            self,
            f"The host “{host}” in {key} is not allowed for {element}. Correct it, or ask an operator to list it: "
            "on the OAuth app, or among the organization's private hosts.",
        )
        self.key = key


class SecretsNeededAgainError(InvalidConfigurationError):
    """A changed host, to which stored secrets are not sent. keys: the secrets that must come with it; none where it
    takes a new authorization. Nothing was changed.
    """

    def __init__(self, key: str, host: str, keys: Sequence[str]) -> None:
        needed = (
            f"Give {', '.join(keys)} again in the same request."
            if keys
            else "Authenticate again with the new host in the same request."
        )
        InputError.__init__(
            self,
            f"{key} names another host, “{host}”, and stored secrets are never sent to a host that they were not "
            f"entered for. {needed}",
        )
        self.key = key
        self.keys = list(keys)


class MissingConfigurationError(InputError):
    """Required configuration is absent; names all missing keys at once (contract 7.5)."""

    def __init__(self, keys: Sequence[str]) -> None:
        super().__init__(f"Missing required configuration: {', '.join(keys)}")
        self.keys = list(keys)


class MissingCodeError(InputError):
    """An OAuth element without an authorization code; the wording is the contract's (3.1)."""

    cause = Cause.CODE_MISSING

    def __init__(self) -> None:
        super().__init__(
            "You must provide an OAuth code in order to create an instance of this element"
        )


class PermissionRefusedError(InputError):
    """The person who asks may not do this."""

    cause = Cause.NOT_PERMITTED


class IdempotencyKeyReusedError(InputError):
    """An Idempotency-Key that came with another body before."""

    cause = Cause.KEY_REUSED


class TooManyAttemptsError(InstancesError):
    """Too many failed sign-ins, or callbacks that belong to no trip; try again after retry_after_seconds."""

    cause = Cause.TOO_MANY_ATTEMPTS

    def __init__(self, message: str, *, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class StateConflictError(InstancesError):
    """The instance is not, or no longer, in a state in which this can be done."""

    cause = Cause.CONFLICT


class InstanceDeletedError(StateConflictError):
    """Another call deleted the instance, or is deleting it. label: how messages name it."""

    cause = Cause.INSTANCE_DELETED

    def __init__(self, label: str) -> None:
        super().__init__(f"{label} was deleted in the meantime.")


class StillRunningError(StateConflictError):
    """The first request with this Idempotency-Key has not ended; ask again after retry_after_seconds."""

    retry_after_seconds: ClassVar[int] = 5


class TaskNotEnqueuedError(InstancesError):
    """A background task could not be handed to the workers, because their broker does not answer."""

    cause = Cause.WORKERS_UNREACHABLE


class ClockSkewError(InstancesError):
    """This machine's clock differs too much from the database's, so it takes on no work."""

    cause = Cause.CLOCK_WRONG

    retry_after_seconds: ClassVar[int] = 60

    def __init__(self, skew: timedelta) -> None:
        seconds = skew.total_seconds()
        direction = "ahead of" if seconds > 0 else "behind"
        super().__init__(
            f"This machine's clock is {abs(seconds):.0f} seconds {direction} the database's, so it takes on no work. "
            "Correct the clock (NTP), then try again."
        )


class AuthorizationError(InstancesError):
    """One trip to a provider came back wrong; the message says how, and what to do."""

    cause = Cause.AUTHORIZATION_FAILED


class MissingStateError(AuthorizationError):
    """The callback carries no state parameter (RFC 6749 4.1.2)."""


class UnknownStateError(AuthorizationError):
    """The state was never given out here, or its authorization was removed."""


class ExpiredStateError(AuthorizationError):
    """The provider sent the browser back too late."""

    cause = Cause.STATE_EXPIRED


class ReplayedStateError(AuthorizationError):
    """The state was used before."""

    cause = Cause.STATE_REPLAYED


class WrongBrowserError(AuthorizationError):
    """The callback came from another browser, or another person, than the one that began."""

    cause = Cause.WRONG_BROWSER


class UnknownLinkError(AuthorizationError):
    """No authorization link has this token, or its instance was deleted."""

    cause = Cause.LINK_UNKNOWN


class LinkOverError(AuthorizationError):
    """The authorization link was used, has expired or was revoked."""

    cause = Cause.LINK_OVER


class LinkDoneError(LinkOverError):
    """The authorization link has been of use: its instance was connected by it."""

    cause = Cause.LINK_DONE


class IssuerMismatchError(AuthorizationError):
    """The iss parameter names another issuer, or is missing where the issuer always sends it (RFC 9207 2.4)."""

    cause = Cause.ISSUER_MISMATCH

    def __init__(self, label: str, issuer: str, *, is_missing: bool = False) -> None:
        found = (
            f"The answer for {label} does not name its issuer, which {issuer} always does."
            if is_missing
            else f"The answer for {label} does not come from {issuer}."
        )
        super().__init__(
            f"{found} It was refused, and its code was not used. "
            "Authorize again; if this happens again, tell the operator."
        )


class AuthorizationDeniedError(AuthorizationError):
    """The account's holder said no (RFC 6749 4.1.2.1 access_denied)."""

    cause = Cause.AUTHORIZATION_DENIED


class ProviderReportedError(AuthorizationError):
    """The provider sent back an error instead of a code (RFC 6749 4.1.2.1)."""

    cause = Cause.AUTHORIZATION_ERROR


class PlatformError(InstancesError):
    """An exchange with a platform or a provider failed.

    provider_message: the provider's own words, redacted; empty where it sent none.
    interaction: the recorded exchange that shows it; None where nothing was recorded.
    """

    def __init__(
        self,
        message: str,
        *,
        provider_message: str = "",
        status: int | None = None,
        interaction: Recorded | None = None,
    ) -> None:
        super().__init__(message)
        self.provider_message = provider_message
        self.status = status
        self.interaction = interaction

    @property
    def interaction_id(self) -> int | None:
        return self.interaction.pk if self.interaction else None


class UnreachableError(PlatformError):
    """No connection could be made, so nothing was sent and nothing can have happened."""

    cause = Cause.UNREACHABLE


class BlockedAddressError(UnreachableError):
    """The host resolves to a private, loopback, link-local or metadata address."""

    cause = Cause.ADDRESS_BLOCKED


class LeaseLostError(UnreachableError):
    """Nothing was sent: the time in which this process might send it had passed, so another may be at work on it."""

    cause = Cause.LEASE_LOST


class AnswerLostError(PlatformError):
    """The request went out and no whole answer came back: it may have been carried out."""

    cause = Cause.ANSWER_LOST


class AnswerTimeoutError(AnswerLostError):
    """The answer did not come within HTTP_TIMEOUT_SECONDS; to a refresh, within REFRESH_TIMEOUT_SECONDS."""

    cause = Cause.ANSWER_TIMEOUT


class OutcomeUnknownError(PlatformError):
    """A remote platform may or may not have created the instance; reconcile before repeating."""

    cause = Cause.OUTCOME_UNKNOWN


class IdentityConflictError(PlatformError):
    """A remote platform answers with an id or an Element token that belongs to another instance here."""

    cause = Cause.IDENTITY_CONFLICT


class RefusedError(PlatformError):
    """The platform or provider understood and said no (4xx); repeating changes nothing."""

    cause = Cause.REFUSED


class CredentialsRefusedError(RefusedError):
    """The account's user name, password or key is wrong, expired or locked."""

    cause = Cause.CREDENTIALS_REJECTED


class GrantRejectedError(RefusedError):
    """The code, grant or refresh token is expired, revoked or used (RFC 6749 5.2 invalid_grant)."""

    cause = Cause.GRANT_REJECTED


class ClientRefusedError(RefusedError):
    """The OAuth client, or the organization's secrets at a remote platform, are wrong."""

    cause = Cause.CLIENT_REJECTED


class AccessForbiddenError(RefusedError):
    """The credentials are right, but may not do this (403)."""

    cause = Cause.ACCESS_FORBIDDEN


class GoneError(RefusedError):
    """There is no such instance at the platform (404)."""

    cause = Cause.GONE


class RateLimitedError(PlatformError):
    """Too many requests (429). retry_after_seconds: what the provider asked for, if anything."""

    cause = Cause.RATE_LIMITED

    def __init__(
        self,
        message: str,
        *,
        retry_after_seconds: float | None = None,
        provider_message: str = "",
        status: int | None = 429,
        interaction: Recorded | None = None,
    ) -> None:
        super().__init__(
            message,
            provider_message=provider_message,
            status=status,
            interaction=interaction,
        )
        self.retry_after_seconds = retry_after_seconds


class ProviderFaultError(PlatformError):
    """The platform or provider failed (5xx)."""

    cause = Cause.PROVIDER_DOWN


class UnusableAnswerError(PlatformError):
    """The answer cannot be understood, for example an HTML page where JSON was due."""

    cause = Cause.UNUSABLE_ANSWER
