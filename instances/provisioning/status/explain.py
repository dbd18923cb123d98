"""Explain why an instance is not healthy, who must act, and what to do next.

All entrances use explain() and explain_many(), so they all say the same.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from django.utils import timezone
from django.utils.translation import gettext as _, gettext_lazy

from instances.causes import CAUSES, Audience, Cause, CauseInfo, WhoActs
from instances.errors import InputError
from instances.models import Instance, Interaction
from instances.provisioning.actions import (
    AUTHORIZE,
    CHECK,
    DELETE,
    ENABLE,
    LINK,
    PROVISION,
    REAUTHENTICATE,
    Action,
    uses_browser,
)
from instances.provisioning.lifecycle.states import CREATED, PROVISIONABLE, State
from instances.provisioning.status.audience import who_must_act
from instances.provisioning.status.meaning import (
    WITHOUT_CAUSE,
    Status,
    facts_of,
    is_paused,
    meaning_of,
)
from instances.times import format_time

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

# With an open link, these wait for the account owner.
_WAITS_FOR_LINK = {State.DRAFT, State.FAILED, State.NEEDS_REAUTHORIZATION}
# Nothing is retried automatically in these states, so "No action needed" would be wrong.
_NOT_RETRIED = {State.FAILED, State.NEEDS_REAUTHORIZATION}
# These are corrected by entering other values.
_CORRECTED_BY_VALUES = {
    Cause.CONFIGURATION_WRONG,
    Cause.ADDRESS_BLOCKED,
    Cause.HOST_NOT_ALLOWED,
    Cause.ELEMENT_UNKNOWN,
    Cause.NOT_PERMITTED,
    Cause.KEY_REUSED,
}
# These by entering credentials again.
_CORRECTED_BY_CREDENTIALS = {
    Cause.CREDENTIALS_REJECTED,
    Cause.SECOND_FACTOR_NEEDED,
    Cause.CONSENT_MISSING,
    Cause.ACCOUNT_UNUSABLE,
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """What happened, who must act and what to do, in sentences for the audience.

    action: the remedy, which follows the advice. detail: the message that was recorded with the cause, if it adds to it.
    """

    cause: str
    who_acts: WhoActs
    advice: str
    action: Action
    detail: str = ""
    interaction: Interaction | None = None
    who: str = ""


@dataclass(frozen=True, slots=True)
class _StateInfo:
    sentence: "StrOrPromise"
    who: WhoActs
    advice: "StrOrPromise"


# The explanation of a state without a recorded cause.
_STATES: dict[str, _StateInfo] = {
    State.DRAFT: _StateInfo(
        gettext_lazy("Not connected yet."),
        WhoActs.OPERATOR,
        gettext_lazy("Connect it, or send a link to the account owner."),
    ),
    State.AWAITING_AUTHORIZATION: _StateInfo(
        gettext_lazy("The authorization was started but not finished."),
        WhoActs.ACCOUNT_OWNER,
        gettext_lazy("Finish the authorization at the provider, or start it again."),
    ),
    State.PROVISIONING: _StateInfo(
        gettext_lazy("Provisioning is in progress."),
        WhoActs.NOBODY,
        gettext_lazy(
            "If it does not finish within a few minutes, it will be retried automatically."
        ),
    ),
    State.UNKNOWN: _StateInfo(
        gettext_lazy("The platform's response was lost, so the instance may already exist there."),
        WhoActs.NOBODY,
        gettext_lazy(
            "It will be looked up on the platform automatically. To look it up now, run a check."
        ),
    ),
    State.DELETING: _StateInfo(
        gettext_lazy("Deletion has not finished."),
        WhoActs.NOBODY,
        gettext_lazy("Deletion will be retried automatically. To retry now, delete it again."),
    ),
    State.NEEDS_REAUTHORIZATION: _StateInfo(
        gettext_lazy("The provider no longer accepts its credentials."),
        WhoActs.ACCOUNT_OWNER,
        gettext_lazy("Connect it again."),
    ),
    State.FAILED: _StateInfo(
        gettext_lazy("Provisioning failed."),
        WhoActs.OPERATOR,
        gettext_lazy("Open the recorded exchanges to see why, then try again."),
    ),
}
# An access token that ends soon is no failure yet, so it has no cause.
_ENDING = _StateInfo(
    gettext_lazy("Its access token ends soon and cannot be renewed."),
    WhoActs.ACCOUNT_OWNER,
    gettext_lazy("Ask the account owner to authorize again."),
)
# What happens to many instances in a state automatically.
_MANY: dict[str, "StrOrPromise"] = {
    State.CONNECTED: gettext_lazy("Retrying automatically."),
    State.UNKNOWN: gettext_lazy("They will be looked up on the platform automatically."),
    State.DELETING: gettext_lazy("Deletion will be retried automatically."),
}


def explain(instance: Instance, audience: Audience = Audience.OPERATOR) -> Explanation | None:
    """Explain an instance to an audience; None if it is healthy or not verified."""
    reasons = instance.unreadable_secrets()
    explanation = _of_unreadable(instance, reasons) if reasons else _explain(instance)
    if explanation is None:
        return None
    meaning = meaning_of(facts_of(instance))
    if meaning.status in {Status.BROKEN, Status.ATTENTION}:
        explanation = replace(explanation, who_acts=meaning.who)
    cause = "" if instance.state in WITHOUT_CAUSE else instance.cause
    info = _info(Cause.SECRETS_UNREADABLE if reasons else cause)
    is_operator_only = info is not None and info.is_operator_only
    if not is_operator_only and instance.state in _WAITS_FOR_LINK and instance.has_open_link:
        advice = _("Wait until the account owner uses the link, or connect it yourself.")
        if audience == Audience.VIEWER:
            advice = _("Wait until the account owner uses the link.")
        explanation = replace(explanation, who_acts=WhoActs.ACCOUNT_OWNER, advice=advice)
    who = _who(instance.state, explanation.who_acts, audience, is_operator_only=is_operator_only)
    return replace(explanation, who=who)


def explain_unverified(instance: Instance) -> str:
    """Say why the credentials are not verified and what verifies them; empty unless that is the instance's status."""
    if meaning_of(facts_of(instance)).status != Status.UNVERIFIED:
        return ""
    if not _has_check(instance):
        return _(
            "The credentials are stored, but not verified: this connector has no check. The first exchange that "
            "succeeds verifies them."
        )
    if not instance.next_check_at:
        return _("The credentials are stored, but not verified. Run a check to verify them.")
    return _(
        "The credentials are stored, but not verified. They are checked automatically at %(time)s. To verify them now, "
        "run a check."
    ) % {"time": format_time(instance.next_check_at)}


def _has_check(instance: Instance) -> bool:
    """Whether a check asks anybody: a remote platform, or the provider by its probe."""
    try:
        way = instance.authentication
    except InputError:
        return False
    return instance.organization.is_remote or way.probe is not None


def remedies_of(
    instance: Instance, explanation: Explanation | None, audience: Audience
) -> list[Action]:
    """Return the next steps for an audience, the best first.

    What needs the account owner can be done through a link too; operators send one first.
    """
    if explanation is None:
        return []
    by_owner = explanation.who_acts == WhoActs.ACCOUNT_OWNER
    is_connecting = explanation.action in (PROVISION, AUTHORIZE, REAUTHENTICATE)
    takes_link = LINK.is_offered(instance) and not instance.has_open_link
    if not (is_connecting and takes_link and (by_owner or instance.state == State.DRAFT)):
        return [explanation.action]
    if by_owner and audience == Audience.OPERATOR:
        return [LINK, explanation.action]
    return [explanation.action, LINK]


def explain_many(
    state: str, cause: str, audience: Audience = Audience.OPERATOR
) -> tuple[str, str, str]:
    """Return headline, who must act and advice for many instances."""
    info = None if state in WITHOUT_CAUSE else _info(cause)
    if info is None:
        of_state = _STATES.get(state, _ENDING)
        return (
            str(of_state.sentence),
            _who(state, of_state.who, audience),
            str(of_state.advice),
        )
    who = _who(state, info.who, audience, is_operator_only=info.is_operator_only)
    return headline(cause), who, _advice_for_many(state, info)


def headline(cause: str) -> str:
    """Return the short text for a stored cause in lists."""
    return str(Cause(cause).label if cause in Cause else Cause.UNEXPECTED.label)


def _explain(instance: Instance) -> Explanation | None:
    if is_paused(instance):
        by_platform = instance.cause == Cause.DISABLED_ON_PLATFORM
        return Explanation(
            str(CAUSES[Cause.DISABLED_ON_PLATFORM].sentence)
            if by_platform
            else _("It is disabled."),
            WhoActs.OPERATOR,
            _("Enable it to use it again."),
            ENABLE,
        )
    info = _info(instance.cause)
    if info is None or instance.state in WITHOUT_CAUSE:
        return _of_ending(instance) if instance.is_connected else _of_state(instance)
    recorded = _without_label(instance)
    sentence = str(info.sentence) % {"element": instance.element.name}
    return Explanation(
        sentence or recorded or headline(instance.cause),
        info.who,
        _advice(instance, info),
        _remedy_action(instance, instance.cause),
        detail=recorded if sentence else "",
        interaction=instance.cause_interaction,
    )


def _who(state: str, who: WhoActs, audience: Audience, *, is_operator_only: bool = False) -> str:
    if who == WhoActs.NOBODY and state in _NOT_RETRIED:
        who = WhoActs.OPERATOR
    return who_must_act(who, audience, is_operator_only=is_operator_only)


def _advice_for_many(state: str, info: CauseInfo) -> str:
    if state not in _MANY:
        return str(info.remedy)
    return " ".join(filter(None, [_remedy(info), str(_MANY[state])]))


def _remedy(info: CauseInfo) -> str:
    """Return what to do before the next automatic attempt; empty if nobody must act."""
    return "" if info.who == WhoActs.NOBODY else str(info.remedy)


def _info(cause: str) -> CauseInfo | None:
    """Look up a stored cause, if any; an unknown code is an unexpected error."""
    return CAUSES.get(cause, CAUSES[Cause.UNEXPECTED]) if cause else None


def _of_state(instance: Instance) -> Explanation:
    info = _STATES[instance.state]
    return Explanation(str(info.sentence), info.who, str(info.advice), _remedy_action(instance))


def _of_ending(instance: Instance) -> Explanation | None:
    if not facts_of(instance).is_ending:
        return None
    action = AUTHORIZE if uses_browser(instance) else REAUTHENTICATE
    return Explanation(str(_ENDING.sentence), _ENDING.who, str(_ENDING.advice), action)


def _of_unreadable(instance: Instance, reasons: dict[str, str]) -> Explanation:
    """Explain unreadable secrets; they come first, since nothing works without them."""
    info = CAUSES[Cause.SECRETS_UNREADABLE]
    sentence = _("Its stored secrets cannot be read. %(reason)s")
    return Explanation(
        sentence % {"reason": next(iter(reasons.values()))},
        info.who,
        str(info.remedy),
        _action_of_unreadable(instance),
    )


def _action_of_unreadable(instance: Instance) -> Action:
    if instance.state not in PROVISIONABLE | CREATED:
        return DELETE
    if instance.lost_keys or not uses_browser(instance):
        return REAUTHENTICATE
    return AUTHORIZE


def _without_label(instance: Instance) -> str:
    """Return the recorded message without the label, for the instance's own page."""
    sentence = instance.cause_message.removeprefix(f"{instance.label}: ")
    return sentence[:1].upper() + sentence[1:]


def _advice(instance: Instance, info: CauseInfo) -> str:
    match instance.state:
        case State.CONNECTED:
            return " ".join(filter(None, [_validity(instance), _remedy(info), _retry(instance)]))
        case State.UNKNOWN | State.DELETING:
            return " ".join(filter(None, [_remedy(info), str(_STATES[instance.state].advice)]))
    return str(info.remedy)


def _validity(instance: Instance) -> str:
    """Say whether the access token still works, as far as is known."""
    if instance.refresh_started_at:
        return _("It is not known whether its tokens were refreshed.")
    if instance.expires_at is None:
        return ""
    if instance.expires_at <= timezone.now():
        return _("Its access token expired at %(time)s.") % {
            "time": format_time(instance.expires_at)
        }
    return _("Its access token is valid until %(time)s.") % {
        "time": format_time(instance.expires_at)
    }


def _retry(instance: Instance) -> str:
    dates = [at for at in (instance.next_refresh_at, instance.next_check_at) if at]
    if not dates:
        return _("Run a check to try again.")
    at = max(min(dates), timezone.now())
    return _("Retrying automatically at %(time)s. To retry now, run a check.") % {
        "time": format_time(at)
    }


def _remedy_action(instance: Instance, cause: str = "") -> Action:
    match instance.state:
        case State.CONNECTED | State.UNKNOWN | State.PROVISIONING:
            return CHECK
        case State.DELETING:
            return DELETE
        case State.AWAITING_AUTHORIZATION:
            return AUTHORIZE
    if cause in _CORRECTED_BY_VALUES:
        return REAUTHENTICATE
    if uses_browser(instance):
        return AUTHORIZE
    is_wrong = cause in _CORRECTED_BY_CREDENTIALS
    return REAUTHENTICATE if is_wrong or instance.has_token else PROVISION
