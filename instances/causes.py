"""Causes: the one table of why something does not work.

Each error class names its cause, and an instance stores the code of its last one. This table holds what pages,
commands and the API say about it, who must act, what to do, and the HTTP status.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


class WhoActs(StrEnum):
    """Who must act before another attempt can succeed.

    NOBODY: retried automatically, or the provider recovers.
    """

    OPERATOR = "operator"
    ACCOUNT_OWNER = "account owner"
    NOBODY = "nobody"


class Audience(StrEnum):
    """Who reads a text."""

    # Of the instance's organization.
    OPERATOR = "operator"
    # May change the instance, but not its organization or OAuth app.
    STAFF = "staff"
    # May only look.
    VIEWER = "viewer"
    # Came by a link, and does not know instances or OAuth apps.
    ACCOUNT_OWNER = "account owner"


class Cause(TextChoices):
    """A stored code, also used in filters and `/metrics`.

    The label is the headline in lists.
    """

    CREDENTIALS_REJECTED = "credentials_rejected", _("Credentials rejected")
    SECOND_FACTOR_NEEDED = "second_factor_needed", _("More than a password needed")
    CONSENT_MISSING = "consent_missing", _("Consent to the app missing")
    ACCOUNT_UNUSABLE = "account_unusable", _("Account locked, disabled or password expired")
    GRANT_REJECTED = "grant_rejected", _("Access expired or was revoked")
    REFRESH_LOST = "refresh_lost", _("Response to a refresh was lost")
    CLIENT_REJECTED = "client_rejected", _("OAuth app or organization secrets rejected")
    ACCESS_FORBIDDEN = "access_forbidden", _("Account lacks permissions")
    SIGN_IN_PAGE = "sign_in_page", _("Web page instead of data")
    DISABLED_ON_PLATFORM = "disabled_on_platform", _("Disabled on the platform")
    GONE = "gone", _("Deleted on the platform")
    REFUSED = "refused", _("Request rejected by the provider")
    RATE_LIMITED = "rate_limited", _("Rate limited by the provider")
    PROVIDER_DOWN = "provider_down", _("Provider is down")
    UNREACHABLE = "unreachable", _("Provider unreachable")
    LEASE_LOST = "lease_lost", _("Another process took over")
    ANSWER_TIMEOUT = "answer_timeout", _("Provider timed out")
    ANSWER_LOST = "answer_lost", _("Provider's response was cut off")
    UNUSABLE_ANSWER = "unusable_answer", _("Unexpected response from the provider")
    IDENTITY_CONFLICT = "identity_conflict", _("Platform's response names another instance")
    OUTCOME_UNKNOWN = "outcome_unknown", _("Response to a create was lost")
    ADDRESS_BLOCKED = "address_blocked", _("Private address blocked")
    HOST_NOT_ALLOWED = "host_not_allowed", _("Host not allowed")
    AUTHORIZATION_DENIED = "authorization_denied", _("Account owner declined access")
    AUTHORIZATION_ERROR = "authorization_error", _("Authorization error reported by the provider")
    AUTHORIZATION_UNAVAILABLE = (
        "authorization_unavailable",
        _("Provider could not authorize just now"),
    )
    ISSUER_MISMATCH = "issuer_mismatch", _("Response from the wrong authorization server")
    OTHER_ACCOUNT = "other_account", _("Another account was authorized")
    CHOICE_NEEDED = "choice_needed", _("Choice after the consent missing")
    AUTHORIZATION_FAILED = "authorization_failed", _("Authorization failed")
    STATE_EXPIRED = "state_expired", _("Authorization timed out")
    STATE_REPLAYED = "state_replayed", _("Authorization already completed")
    WRONG_BROWSER = "wrong_browser", _("Authorization finished in another browser")
    LINK_UNKNOWN = "link_unknown", _("Unknown link")
    LINK_OVER = "link_over", _("Link expired or revoked")
    LINK_DONE = "link_done", _("Link already used")
    CODE_MISSING = "code_missing", _("Authorization code missing")
    CONFIGURATION_WRONG = "configuration_wrong", _("Configuration incomplete or invalid")
    ELEMENT_UNKNOWN = "element_unknown", _("Unknown element")
    ELEMENT_RETIRED = "element_retired", _("Element retired by its provider")
    KEY_REUSED = "key_reused", _("Idempotency-Key reused")
    TOO_MANY_ATTEMPTS = "too_many_attempts", _("Too many attempts")
    NOT_PERMITTED = "not_permitted", _("Permission missing")
    NO_CHECK = "no_check", _("Connector has no check")
    CONFLICT = "conflict", _("Changed by another process")
    INSTANCE_UNUSABLE = "instance_unusable", _("Connection cannot be used")
    SERVER_BUSY = "server_busy", _("Too many calls in progress")
    INSTANCE_DELETED = "instance_deleted", _("Deleted by another call")
    CLOCK_WRONG = "clock_wrong", _("This machine's clock is wrong")
    ENCRYPTION_KEYS_WRONG = "encryption_keys_wrong", _("Encryption keys missing or malformed")
    SECRETS_UNREADABLE = "secrets_unreadable", _("Stored secrets unreadable")
    CATALOGUE_WRONG = "catalogue_wrong", _("Element definition invalid")
    WORKERS_UNREACHABLE = "workers_unreachable", _("Workers unreachable")
    UNEXPECTED = "unexpected", _("Unexpected error")


@dataclass(frozen=True, slots=True, kw_only=True)
class CauseInfo:
    """What is known about a cause."""

    who: WhoActs
    # What an operator does.
    remedy: "StrOrPromise"
    # What happened to one instance; %(element)s is its connector. Empty: the error's message is shown, since it names
    # keys or hosts.
    sentence: "StrOrPromise" = ""
    # What an account owner reads on a link page. Empty: a general text, or the error's message with has_own_words.
    account_owner: "StrOrPromise" = ""
    has_own_words: bool = False
    # Nobody but an operator can help.
    is_operator_only: bool = False
    # The same call may succeed later without any change.
    is_retryable: bool = False
    # HTTP status of the API's response (contract 3.2).
    status: int = 400
    # HTTP status of a page; 0: the same as status.
    page_status: int = 0
    # Heading of the error page for browsers that come from outside; empty: the general heading.
    heading: "StrOrPromise" = ""


_ENTER_CREDENTIALS = _("Get valid credentials from the account owner and enter them.")
_AUTHORIZE_AGAIN = _("Ask the account owner to authorize again.")
_START_AGAIN = _("Start the authorization again.")
_TRY_LATER = _("Try again in a few minutes.")

CAUSES: dict[str, CauseInfo] = {
    Cause.CREDENTIALS_REJECTED: CauseInfo(
        sentence=_("%(element)s rejected the username, password or key."),
        who=WhoActs.ACCOUNT_OWNER,
        remedy=_ENTER_CREDENTIALS,
        account_owner=_("The service rejected what you entered. Correct it and try again."),
    ),
    Cause.SECOND_FACTOR_NEEDED: CauseInfo(
        sentence=_("%(element)s accepts no password alone for this account."),
        who=WhoActs.OPERATOR,
        remedy=_(
            "Connect the account in a new instance by OAuth 2.0 or as an application, and delete this one."
        ),
        account_owner=_(
            "This account cannot be connected with a password, for example because it signs in with a second factor. "
            "Ask the person who sent you the link for another way."
        ),
    ),
    Cause.CONSENT_MISSING: CauseInfo(
        sentence=_("Nobody has consented to the app's access to %(element)s."),
        who=WhoActs.ACCOUNT_OWNER,
        remedy=_("Ask an administrator of the account to consent to the app, then try again."),
        account_owner=_(
            "An administrator of your account must first consent to the app. Then try again."
        ),
    ),
    Cause.ACCOUNT_UNUSABLE: CauseInfo(
        sentence=_("%(element)s does not let the account sign in."),
        who=WhoActs.ACCOUNT_OWNER,
        remedy=_(
            "Ask the account owner to renew the password or have the account enabled, then try again."
        ),
        account_owner=_(
            "The service does not let this account sign in: it is locked or disabled, or its password has expired. "
            "Correct that there, then try again."
        ),
    ),
    Cause.GRANT_REJECTED: CauseInfo(
        sentence=_("%(element)s no longer accepts this authorization: it expired or was revoked."),
        who=WhoActs.ACCOUNT_OWNER,
        remedy=_AUTHORIZE_AGAIN,
        account_owner=_("The service did not accept the authorization. Please authorize again."),
    ),
    Cause.REFRESH_LOST: CauseInfo(
        sentence=_(
            "The response to a token refresh was lost, and %(element)s no longer accepts the previous refresh token."
        ),
        who=WhoActs.ACCOUNT_OWNER,
        remedy=_AUTHORIZE_AGAIN,
        account_owner=_("The service did not accept the authorization. Please authorize again."),
    ),
    Cause.CLIENT_REJECTED: CauseInfo(
        sentence=_("%(element)s rejected the OAuth app or the organization's secrets."),
        who=WhoActs.OPERATOR,
        remedy=_("Correct the OAuth app or the organization's secrets, then try again."),
        is_operator_only=True,
    ),
    Cause.ACCESS_FORBIDDEN: CauseInfo(
        sentence=_("The connected account is not permitted to do this on %(element)s."),
        who=WhoActs.ACCOUNT_OWNER,
        remedy=_("Ask the account owner to grant the missing permissions, then try again."),
        account_owner=_(
            "This account lacks the required permissions. Grant them there, or use another account."
        ),
        status=403,
        page_status=400,
    ),
    Cause.SIGN_IN_PAGE: CauseInfo(
        sentence=_("%(element)s sent a web page instead of data, for example a sign-in page."),
        who=WhoActs.OPERATOR,
        remedy=_("Check the credentials and the address, then try again."),
        account_owner=_("The service did not accept what you entered. Correct it and try again."),
    ),
    Cause.DISABLED_ON_PLATFORM: CauseInfo(
        sentence=_(
            "The platform has disabled it, for example because its tokens could not be refreshed."
        ),
        who=WhoActs.OPERATOR,
        remedy=_("Enable it, or authenticate it again."),
        status=409,
    ),
    Cause.GONE: CauseInfo(
        sentence=_("It was deleted on the platform."),
        who=WhoActs.OPERATOR,
        remedy=_("Connect it again to recreate it."),
        status=404,
        page_status=400,
    ),
    Cause.REFUSED: CauseInfo(
        sentence=_("%(element)s rejected the request."),
        who=WhoActs.OPERATOR,
        remedy=_("Open the recorded exchange, fix what it reports, and try again."),
    ),
    Cause.RATE_LIMITED: CauseInfo(
        sentence=_("%(element)s rate-limited the request."),
        who=WhoActs.NOBODY,
        remedy=_TRY_LATER,
        is_retryable=True,
        status=429,
        page_status=502,
    ),
    Cause.PROVIDER_DOWN: CauseInfo(
        sentence=_("%(element)s is down or temporarily unavailable."),
        who=WhoActs.NOBODY,
        remedy=_TRY_LATER,
        is_retryable=True,
        status=502,
    ),
    Cause.UNREACHABLE: CauseInfo(
        sentence=_("%(element)s could not be reached. Nothing was sent."),
        who=WhoActs.NOBODY,
        remedy=_("Try again in a few minutes. If it stays unreachable, check the address."),
        is_retryable=True,
        status=502,
    ),
    Cause.LEASE_LOST: CauseInfo(
        sentence=_(
            "The time in which this process could send the request had passed. Nothing was sent."
        ),
        who=WhoActs.NOBODY,
        remedy=_TRY_LATER,
        is_retryable=True,
        status=502,
    ),
    Cause.ANSWER_TIMEOUT: CauseInfo(
        sentence=_("%(element)s did not answer in time."),
        who=WhoActs.NOBODY,
        remedy=_TRY_LATER,
        is_retryable=True,
        status=502,
    ),
    Cause.ANSWER_LOST: CauseInfo(
        sentence=_("The response from %(element)s was cut off; the request may have succeeded."),
        who=WhoActs.NOBODY,
        remedy=_TRY_LATER,
        is_retryable=True,
        status=502,
    ),
    Cause.UNUSABLE_ANSWER: CauseInfo(
        sentence=_("%(element)s sent a response that could not be understood."),
        who=WhoActs.NOBODY,
        remedy=_("Try again in a few minutes. If it repeats, open the recorded exchange."),
        is_retryable=True,
        status=502,
    ),
    Cause.IDENTITY_CONFLICT: CauseInfo(
        who=WhoActs.OPERATOR,
        remedy=_(
            "Compare both instances with the platform, and delete the one that is wrong here."
        ),
        status=502,
    ),
    Cause.OUTCOME_UNKNOWN: CauseInfo(
        sentence=_(
            "The platform's response to the create was lost, so it may already exist there."
        ),
        who=WhoActs.NOBODY,
        remedy=_("The platform will be asked automatically. To ask now, run a check."),
        is_retryable=True,
        status=502,
    ),
    Cause.ADDRESS_BLOCKED: CauseInfo(
        sentence=_("The address is private, so nothing was sent to it."),
        who=WhoActs.OPERATOR,
        remedy=_("Correct the address, or allow the private host for this organization."),
        is_operator_only=True,
        status=502,
    ),
    Cause.HOST_NOT_ALLOWED: CauseInfo(
        who=WhoActs.OPERATOR,
        remedy=_(
            "Correct the host, or list it on the OAuth app or among the organization's private hosts."
        ),
        is_operator_only=True,
    ),
    Cause.AUTHORIZATION_DENIED: CauseInfo(
        sentence=_("The account owner declined access."),
        who=WhoActs.ACCOUNT_OWNER,
        remedy=_AUTHORIZE_AGAIN,
        account_owner=_("You declined access, so nothing was connected."),
        page_status=403,
        heading=_("Access declined"),
    ),
    Cause.AUTHORIZATION_ERROR: CauseInfo(
        who=WhoActs.OPERATOR,
        remedy=_START_AGAIN,
        page_status=502,
    ),
    Cause.AUTHORIZATION_UNAVAILABLE: CauseInfo(
        sentence=_("%(element)s was temporarily unavailable during the authorization."),
        who=WhoActs.ACCOUNT_OWNER,
        remedy=_("Wait a few minutes, then ask the account owner to authorize again."),
        account_owner=_("The service is temporarily unavailable. Try again in a few minutes."),
        status=502,
        page_status=503,
    ),
    Cause.ISSUER_MISMATCH: CauseInfo(
        who=WhoActs.OPERATOR,
        remedy=_START_AGAIN,
        account_owner=_(
            "The response did not come from the service that you were sent to, so nothing was connected. Start again. "
            "If it happens again, tell the person who sent you the link."
        ),
    ),
    Cause.OTHER_ACCOUNT: CauseInfo(
        sentence=_("Another account was authorized on %(element)s than before."),
        who=WhoActs.ACCOUNT_OWNER,
        remedy=_(
            "Ask the account owner to authorize again with the same account, or create a new instance for the other one."
        ),
        account_owner=_("You signed in with another account than before, so nothing was changed."),
        status=409,
        page_status=409,
    ),
    Cause.CHOICE_NEEDED: CauseInfo(
        sentence=_("The account owner consented, but chose nothing to connect."),
        who=WhoActs.ACCOUNT_OWNER,
        remedy=_AUTHORIZE_AGAIN,
        account_owner=_("Choose what to connect, or start again."),
        page_status=409,
    ),
    Cause.AUTHORIZATION_FAILED: CauseInfo(who=WhoActs.OPERATOR, remedy=_START_AGAIN),
    Cause.STATE_EXPIRED: CauseInfo(
        who=WhoActs.OPERATOR,
        remedy=_START_AGAIN,
        account_owner=_("The authorization timed out after 10 minutes. Start again."),
        page_status=410,
    ),
    Cause.STATE_REPLAYED: CauseInfo(
        who=WhoActs.OPERATOR,
        remedy=_START_AGAIN,
        account_owner=_("This step was already completed. Nothing was changed."),
        page_status=409,
        heading=_("Already completed"),
    ),
    Cause.WRONG_BROWSER: CauseInfo(
        has_own_words=True, who=WhoActs.OPERATOR, remedy=_START_AGAIN, page_status=403
    ),
    Cause.LINK_UNKNOWN: CauseInfo(
        has_own_words=True,
        who=WhoActs.OPERATOR,
        remedy=_("Create a new link."),
        page_status=404,
        heading=_("This link does not work"),
    ),
    Cause.LINK_OVER: CauseInfo(
        has_own_words=True,
        who=WhoActs.OPERATOR,
        remedy=_("Create a new link."),
        page_status=410,
        heading=_("This link no longer works"),
    ),
    Cause.LINK_DONE: CauseInfo(
        has_own_words=True,
        who=WhoActs.NOBODY,
        remedy=_("No action needed."),
        page_status=410,
        heading=_("Already completed"),
    ),
    Cause.CODE_MISSING: CauseInfo(
        sentence=_("The account owner has not authorized access yet."),
        who=WhoActs.ACCOUNT_OWNER,
        remedy=_AUTHORIZE_AGAIN,
        account_owner=_("The service did not accept the authorization. Please authorize again."),
    ),
    Cause.CONFIGURATION_WRONG: CauseInfo(
        who=WhoActs.OPERATOR,
        remedy=_("Enter what is missing or wrong."),
    ),
    Cause.ELEMENT_UNKNOWN: CauseInfo(
        who=WhoActs.OPERATOR,
        remedy=_("Choose an element of the catalogue."),
        status=404,
        page_status=400,
    ),
    Cause.ELEMENT_RETIRED: CauseInfo(
        who=WhoActs.OPERATOR,
        remedy=_("Connect what the message names instead."),
    ),
    Cause.KEY_REUSED: CauseInfo(
        who=WhoActs.OPERATOR,
        remedy=_("Use a new Idempotency-Key for a different body."),
        status=409,
        page_status=400,
    ),
    Cause.NOT_PERMITTED: CauseInfo(
        who=WhoActs.OPERATOR,
        remedy=_("Ask an administrator for the permission."),
        status=403,
        page_status=400,
    ),
    Cause.NO_CHECK: CauseInfo(
        sentence=_("%(element)s has no check, so the stored credentials were not verified."),
        who=WhoActs.NOBODY,
        remedy=_("No action needed. The credentials are verified when they are used."),
        status=409,
    ),
    Cause.CONFLICT: CauseInfo(
        sentence=_("Another process changed it."),
        who=WhoActs.NOBODY,
        remedy=_TRY_LATER,
        is_retryable=True,
        status=409,
    ),
    Cause.INSTANCE_UNUSABLE: CauseInfo(
        who=WhoActs.OPERATOR,
        remedy=_("Enable it, or authenticate it again."),
        status=403,
        page_status=409,
    ),
    Cause.SERVER_BUSY: CauseInfo(
        who=WhoActs.NOBODY,
        remedy=_TRY_LATER,
        is_retryable=True,
        status=503,
    ),
    Cause.INSTANCE_DELETED: CauseInfo(
        who=WhoActs.NOBODY,
        remedy=_("No action needed."),
        status=404,
        page_status=409,
    ),
    Cause.CLOCK_WRONG: CauseInfo(
        who=WhoActs.OPERATOR,
        remedy=_("Correct the machine's clock (NTP)."),
        is_operator_only=True,
        is_retryable=True,
        status=503,
    ),
    Cause.TOO_MANY_ATTEMPTS: CauseInfo(
        who=WhoActs.NOBODY,
        remedy=_("Wait a few minutes, then try again."),
        is_retryable=True,
        status=429,
    ),
    Cause.ENCRYPTION_KEYS_WRONG: CauseInfo(
        who=WhoActs.OPERATOR,
        remedy=_("Correct ENCRYPTION_KEYS and restart."),
        is_operator_only=True,
        status=500,
    ),
    Cause.SECRETS_UNREADABLE: CauseInfo(
        who=WhoActs.OPERATOR,
        remedy=_(
            "Put the missing key back into ENCRYPTION_KEYS, restart, and run manage.py quarantine_unreadable. If the "
            "key is lost, connect it again with all of its secrets, or delete it."
        ),
        is_operator_only=True,
        status=409,
    ),
    Cause.CATALOGUE_WRONG: CauseInfo(
        sentence=_("The definition of %(element)s is invalid."),
        who=WhoActs.OPERATOR,
        remedy=_("Correct the element's file and run manage.py sync_elements."),
        is_operator_only=True,
    ),
    Cause.WORKERS_UNREACHABLE: CauseInfo(
        sentence=_("The background workers could not be reached."),
        who=WhoActs.NOBODY,
        remedy=_TRY_LATER,
        is_retryable=True,
        status=500,
        page_status=400,
    ),
    Cause.UNEXPECTED: CauseInfo(
        who=WhoActs.OPERATOR,
        remedy=_("Open the recorded exchange, fix what it reports, and try again."),
        status=500,
        page_status=400,
    ),
}
