"""An exchange with a platform or a provider failed."""

from typing import Protocol

from instances.causes import Cause
from instances.errors.base import InstancesError


class Recorded(Protocol):
    """A recorded exchange (models.Interaction). Its pk is None until it is saved."""

    @property
    def pk(self) -> int | None: ...


class PlatformError(InstancesError):
    """An exchange with a platform or a provider failed.

    provider_message: the provider's own message, redacted; empty if it sent none.
    interaction: the recorded exchange; None if nothing was recorded.
    retry_after_seconds: as the provider asked for; None if it did not, or if repeating does not help.
    """

    def __init__(
        self,
        message: str,
        *,
        provider_message: str = "",
        status: int | None = None,
        interaction: Recorded | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.provider_message = provider_message
        self.status = status
        self.interaction = interaction
        self.retry_after_seconds = retry_after_seconds

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
    """The account's username, password or key is wrong."""

    cause = Cause.CREDENTIALS_REJECTED


class SecondFactorNeededError(CredentialsRefusedError):
    """The credentials may be right, but the account needs more than a password, such as a second factor."""

    cause = Cause.SECOND_FACTOR_NEEDED


class ConsentMissingError(CredentialsRefusedError):
    """Nobody has consented to what the OAuth client asks for."""

    cause = Cause.CONSENT_MISSING


class AccountUnusableError(CredentialsRefusedError):
    """The account is locked or disabled, or its password has expired."""

    cause = Cause.ACCOUNT_UNUSABLE


class SettingsRefusedError(RefusedError):
    """The address, the tenant or another setting is not one of the provider's."""

    cause = Cause.CONFIGURATION_WRONG


class GrantRejectedError(RefusedError):
    """The code, grant or refresh token is invalid (RFC 6749 5.2 invalid_grant)."""

    cause = Cause.GRANT_REJECTED


class RefreshLostError(GrantRejectedError):
    """The refresh token is invalid because its successor was in a response that was lost."""

    cause = Cause.REFRESH_LOST


class ClientRefusedError(RefusedError):
    """The OAuth client or the organization's secrets are wrong."""

    cause = Cause.CLIENT_REJECTED


class AccessForbiddenError(RefusedError):
    """The credentials are valid, but lack the permission (403)."""

    cause = Cause.ACCESS_FORBIDDEN


class SignInPageError(RefusedError):
    """The provider answered with a web page instead of data, such as its sign-in page."""

    cause = Cause.SIGN_IN_PAGE


class DisabledOnPlatformError(RefusedError):
    """The platform has disabled the instance."""

    cause = Cause.DISABLED_ON_PLATFORM


class GoneError(RefusedError):
    """The platform has no such instance (404)."""

    cause = Cause.GONE


class RateLimitedError(PlatformError):
    """Too many requests: 429, or a 403 that says so."""

    cause = Cause.RATE_LIMITED


class ProviderFaultError(PlatformError):
    """The platform or provider failed (5xx, 408), or said that it is temporarily unavailable."""

    cause = Cause.PROVIDER_DOWN


class UnusableAnswerError(PlatformError):
    """The response cannot be understood, for example HTML instead of JSON."""

    cause = Cause.UNUSABLE_ANSWER
