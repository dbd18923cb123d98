"""All exceptions of the app.

Messages are complete sentences for an operator and contain no secret.

InstancesError
├── CatalogueError                  an element's file is invalid
├── SecretError                     a stored secret cannot be used
│   ├── EncryptionKeyError          a key is malformed, or one that stored data needs is missing
│   └── UnreadableSecretError       a ciphertext cannot be decrypted here
├── InputError                      the request is invalid; nothing was changed
│   ├── UnknownElementError
│   ├── InvalidConfigurationError
│   │   ├── HostNotAllowedError     a secret would be sent to a host that is not allowed for it
│   │   └── SecretsNeededAgainError a stored secret would be sent to another host than it was entered for
│   ├── MissingConfigurationError   names all missing keys at once
│   ├── MissingCodeError            an OAuth element without an authorization code
│   ├── IdempotencyKeyReusedError   the same Idempotency-Key with another body
│   └── PermissionRefusedError      the user may not do this
├── TooManyAttemptsError            too many failed sign-ins or callbacks without an authorization
├── StateConflictError              the instance's state does not allow this
│   ├── InstanceDeletedError        another call deleted it
│   └── StillRunningError           the first request with this Idempotency-Key is in progress
├── TaskNotEnqueuedError            a background task could not be queued
├── ClockSkewError                  this machine's clock differs from the database's
├── AuthorizationError              an authorization failed
│   ├── MissingStateError  UnknownStateError  ExpiredStateError  ReplayedStateError
│   ├── WrongBrowserError  IssuerMismatchError
│   ├── UnknownLinkError  LinkOverError ── LinkDoneError
│   └── AuthorizationDeniedError    ProviderReportedError
└── PlatformError                   an exchange with a platform or a provider failed
    ├── UnreachableError            no connection, so nothing was sent
    │   ├── BlockedAddressError     the address is private and not allowed
    │   └── LeaseLostError          the lease ended before the request
    ├── AnswerLostError             sent, but no complete response came: it may have been carried out
    │   └── AnswerTimeoutError
    ├── OutcomeUnknownError         a create at a remote platform may have succeeded
    ├── RefusedError                understood and rejected (4xx)
    │   ├── CredentialsRefusedError the account's credentials are wrong
    │   ├── GrantRejectedError      the code, grant or refresh token is invalid (RFC 6749 invalid_grant)
    │   ├── ClientRefusedError      the OAuth client or the organization's secrets are wrong
    │   ├── AccessForbiddenError    403
    │   └── GoneError               404: the platform has no such instance
    ├── RateLimitedError            429
    ├── ProviderFaultError          5xx
    ├── IdentityConflictError       the response names another instance's id or token
    └── UnusableAnswerError         the response cannot be understood, for example HTML
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar, Protocol

from instances.causes import CAUSES, Cause, CauseInfo


class Recorded(Protocol):
    """A recorded exchange (models.Interaction). Its pk is None until it is saved."""

    @property
    def pk(self) -> int | None: ...


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


class InputError(InstancesError):
    """The request is invalid; nothing was changed."""

    cause = Cause.CONFIGURATION_WRONG


class UnknownElementError(InputError):
    """No active element has this key or id."""

    cause = Cause.ELEMENT_UNKNOWN


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

    The message names all missing keys (contract 7.5).
    """

    def __init__(self, keys: Sequence[str]) -> None:
        super().__init__(f"Missing required configuration: {', '.join(keys)}")
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


class AuthorizationError(InstancesError):
    """An authorization failed; the message says why, and what to do."""

    cause = Cause.AUTHORIZATION_FAILED


class MissingStateError(AuthorizationError):
    """The callback has no state parameter (RFC 6749 4.1.2)."""


class UnknownStateError(AuthorizationError):
    """The state was not issued here, or its authorization was deleted."""


class ExpiredStateError(AuthorizationError):
    """The browser came back after the authorization had expired."""

    cause = Cause.STATE_EXPIRED


class ReplayedStateError(AuthorizationError):
    """The state was used before."""

    cause = Cause.STATE_REPLAYED


class WrongBrowserError(AuthorizationError):
    """The callback came from another browser or user than the start."""

    cause = Cause.WRONG_BROWSER


class UnknownLinkError(AuthorizationError):
    """No authorization link has this token, or its instance was deleted."""

    cause = Cause.LINK_UNKNOWN


class LinkOverError(AuthorizationError):
    """The authorization link was used, has expired or was revoked."""

    cause = Cause.LINK_OVER


class LinkDoneError(LinkOverError):
    """The authorization link was already used to connect its instance."""

    cause = Cause.LINK_DONE


class IssuerMismatchError(AuthorizationError):
    """The iss parameter is wrong, or missing although always sent (RFC 9207 2.4)."""

    cause = Cause.ISSUER_MISMATCH

    def __init__(self, label: str, issuer: str, *, is_missing: bool = False) -> None:
        sentence = (
            "The response for %(label)s does not name its issuer, which %(issuer)s always does. It was rejected and "
            "its code was not used. Authorize again; if this happens again, tell an operator."
            if is_missing
            else "The response for %(label)s does not come from %(issuer)s. It was rejected and its code was not "
            "used. Authorize again; if this happens again, tell an operator."
        )
        super().__init__(sentence % {"label": label, "issuer": issuer})


class AuthorizationDeniedError(AuthorizationError):
    """The account owner declined access (RFC 6749 4.1.2.1 access_denied)."""

    cause = Cause.AUTHORIZATION_DENIED


class ProviderReportedError(AuthorizationError):
    """The provider returned an error instead of a code (RFC 6749 4.1.2.1)."""

    cause = Cause.AUTHORIZATION_ERROR


class PlatformError(InstancesError):
    """An exchange with a platform or a provider failed.

    provider_message: the provider's own message, redacted; empty if it sent none.
    interaction: the recorded exchange; None if nothing was recorded.
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
    """No connection could be made, so nothing was sent."""

    cause = Cause.UNREACHABLE


class BlockedAddressError(UnreachableError):
    """The host resolves to a private, loopback, link-local or metadata address."""

    cause = Cause.ADDRESS_BLOCKED


class LeaseLostError(UnreachableError):
    """The lease ended before the request, so nothing was sent.

    Another process may have taken over.
    """

    cause = Cause.LEASE_LOST


class AnswerLostError(PlatformError):
    """A request was sent and no complete response came: it may have been carried out."""

    cause = Cause.ANSWER_LOST


class AnswerTimeoutError(AnswerLostError):
    """No response came in time.

    The limit is HTTP_TIMEOUT_SECONDS, or REFRESH_TIMEOUT_SECONDS for a refresh.
    """

    cause = Cause.ANSWER_TIMEOUT


class OutcomeUnknownError(PlatformError):
    """A remote platform may or may not have created the instance.

    Reconcile before repeating.
    """

    cause = Cause.OUTCOME_UNKNOWN


class IdentityConflictError(PlatformError):
    """A remote platform's response has an id or token of another instance here."""

    cause = Cause.IDENTITY_CONFLICT


class RefusedError(PlatformError):
    """The platform or provider rejected the request (4xx).

    Repeating it does not help.
    """

    cause = Cause.REFUSED


class CredentialsRefusedError(RefusedError):
    """The account's username, password or key is wrong, expired or locked."""

    cause = Cause.CREDENTIALS_REJECTED


class GrantRejectedError(RefusedError):
    """The code, grant or refresh token is invalid (RFC 6749 5.2 invalid_grant)."""

    cause = Cause.GRANT_REJECTED


class ClientRefusedError(RefusedError):
    """The OAuth client or the organization's secrets are wrong."""

    cause = Cause.CLIENT_REJECTED


class AccessForbiddenError(RefusedError):
    """The credentials are valid, but lack the permission (403)."""

    cause = Cause.ACCESS_FORBIDDEN


class GoneError(RefusedError):
    """The platform has no such instance (404)."""

    cause = Cause.GONE


class RateLimitedError(PlatformError):
    """Too many requests (429).

    retry_after_seconds: as requested by the provider, or None.
    """

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
    """The response cannot be understood, for example HTML instead of JSON."""

    cause = Cause.UNUSABLE_ANSWER
