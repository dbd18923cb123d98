"""An authorization failed."""

from collections.abc import Sequence

from instances.causes import Cause
from instances.errors.base import InstancesError


class AuthorizationError(InstancesError):
    """An authorization failed; the message says why, and what to do.

    reported: the provider's own words, redacted; empty if there are none.
    """

    cause = Cause.AUTHORIZATION_FAILED

    def __init__(self, *sentences: str, reported: str = "") -> None:
        super().__init__(*sentences)
        self.reported = reported


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


class ChoiceNeededError(AuthorizationError):
    """The account owner consented, and must choose what to connect; nothing is connected yet.

    choices: pairs of a value and its label. authorization_id: of the consent.
    """

    cause = Cause.CHOICE_NEEDED

    def __init__(
        self, label: str, choices: Sequence[tuple[str, str]], *, authorization_id: int
    ) -> None:
        super().__init__(
            f"{label}: choose which of {len(choices)} to connect, or start the authorization again."
        )
        self.choices = tuple(choices)
        self.authorization_id = authorization_id


class OtherAccountError(AuthorizationError):
    """Another account was authorized than the instance's; nothing was replaced.

    known, authorized: what identifies the two accounts, for people.
    """

    cause = Cause.OTHER_ACCOUNT

    def __init__(self, label: str, *, known: str, authorized: str) -> None:
        super().__init__(
            f"{label}: another account was authorized than before ({authorized}; before: {known}). Nothing was "
            "replaced. Authorize again as the same account, or create a new instance for the other one."
        )
        self.known, self.authorized = known, authorized


class AuthorizationUnavailableError(AuthorizationError):
    """The provider cannot authorize anybody now (RFC 6749 4.1.2.1 temporarily_unavailable)."""

    cause = Cause.AUTHORIZATION_UNAVAILABLE


class ProviderReportedError(AuthorizationError):
    """The provider returned an error instead of a code (RFC 6749 4.1.2.1)."""

    cause = Cause.AUTHORIZATION_ERROR
