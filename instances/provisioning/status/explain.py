"""Why an instance is not healthy, who must act, and the next step: one function for every entrance."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _, gettext_lazy

from instances.causes import CAUSES, Audience, Cause, CauseInfo, WhoActs
from instances.errors import InputError
from instances.models import Instance, Interaction
from instances.provisioning.lifecycle.states import State
from instances.provisioning.plan import authentication_of
from instances.provisioning.status.audience import who_must_act

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

_NOT_CREATED = {State.DRAFT, State.FAILED}
_CREATED = {State.CONNECTED, State.NEEDS_REAUTHORIZATION}
# In these states the recorded cause is that of an earlier attempt, which another one has followed or will follow.
_WITHOUT_CAUSE = {State.DRAFT, State.AWAITING_AUTHORIZATION, State.PROVISIONING}
# With an open link, these wait for whoever was sent it.
_WAITS_FOR_LINK = {State.DRAFT, State.FAILED, State.NEEDS_REAUTHORIZATION}
# These are corrected by entering other values.
_CORRECTED_BY_VALUES = {
    Cause.CONFIGURATION_WRONG,
    Cause.ADDRESS_BLOCKED,
    Cause.HOST_NOT_ALLOWED,
    Cause.ELEMENT_UNKNOWN,
    Cause.NOT_PERMITTED,
    Cause.KEY_REUSED,
}


class Step(StrEnum):
    """What can be done to an instance; each is a button of the admin, most are of self-service."""

    PROVISION = "provision"
    AUTHORIZE = "authorize"
    CHECK = "check"
    REAUTHENTICATE = "reauthenticate"
    ENABLE = "enable"
    DISABLE = "disable"
    REVEAL = "reveal"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Explanation:
    """cause, who and advice are complete sentences for the audience; step is the action that follows the advice.

    detail: the message that was recorded with the cause, where it adds to it.
    """

    cause: str
    who_acts: WhoActs
    advice: str
    step: Step
    detail: str = ""
    interaction: Interaction | None = None
    who: str = ""


@dataclass(frozen=True, slots=True)
class _StateInfo:
    sentence: "StrOrPromise"
    who: WhoActs
    advice: "StrOrPromise"


# What a state says without a recorded cause.
_STATES: dict[str, _StateInfo] = {
    State.DRAFT: _StateInfo(
        gettext_lazy("Not connected yet."),
        WhoActs.OPERATOR,
        gettext_lazy("Connect it, or send a link to the account owner."),
    ),
    State.AWAITING_AUTHORIZATION: _StateInfo(
        gettext_lazy("The authorization at the provider was started but not finished."),
        WhoActs.ACCOUNT_OWNER,
        gettext_lazy("Finish the authorization at the provider, or start it again."),
    ),
    State.PROVISIONING: _StateInfo(
        gettext_lazy("It is being provisioned."),
        WhoActs.NOBODY,
        gettext_lazy("If it stays like this for some minutes, it will be retried automatically."),
    ),
    State.UNKNOWN: _StateInfo(
        gettext_lazy("The platform's response was lost, so the instance may already exist there."),
        WhoActs.NOBODY,
        gettext_lazy("The platform will be asked automatically. To ask now, run a check."),
    ),
    State.DELETING: _StateInfo(
        gettext_lazy("Its deletion has not finished."),
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
        gettext_lazy("Open its recorded exchanges, then try again."),
    ),
}
# What is done about many of them, where it needs nobody.
_MANY_ARE_RETRIED: dict[str, "StrOrPromise"] = {
    State.CONNECTED: gettext_lazy("Their tokens are retried automatically."),
    State.UNKNOWN: gettext_lazy("The platform will be asked for them automatically."),
    State.DELETING: gettext_lazy("Their deletion will be retried automatically."),
}


def explain(instance: Instance, audience: Audience = Audience.OPERATOR) -> Explanation | None:
    """In words that fit the audience. None for an enabled, connected instance without a recorded cause."""
    reasons = instance.unreadable_secrets()
    explanation = _of_unreadable(instance, reasons) if reasons else _explain(instance)
    if explanation is None:
        return None
    cause = "" if instance.state in _WITHOUT_CAUSE else instance.cause
    info = _info(Cause.SECRETS_UNREADABLE if reasons else cause)
    is_operator_only = info is not None and info.is_operator_only
    if not is_operator_only and instance.state in _WAITS_FOR_LINK and instance.has_open_link:
        advice = _("Wait until the account owner uses the link, or connect it yourself.")
        if audience == Audience.VIEWER:
            advice = _("Wait until the account owner uses the link.")
        explanation = replace(explanation, who_acts=WhoActs.ACCOUNT_OWNER, advice=advice)
    who = who_must_act(explanation.who_acts, audience, is_operator_only=is_operator_only)
    return replace(explanation, who=who)


def explain_many(
    state: str, cause: str, audience: Audience = Audience.OPERATOR
) -> tuple[str, str, str]:
    """What the instances in this state with this cause share: the headline, who must act, the advice."""
    info = None if state in _WITHOUT_CAUSE else _info(cause)
    if info is None:
        of_state = _STATES.get(state, _STATES[State.FAILED])
        return (
            str(of_state.sentence),
            who_must_act(of_state.who, audience),
            str(of_state.advice),
        )
    who = who_must_act(info.who, audience, is_operator_only=info.is_operator_only)
    return headline(cause), who, str(_MANY_ARE_RETRIED.get(state, info.remedy))


def headline(cause: str) -> str:
    """What a list says of a stored cause."""
    return str(Cause(cause).label if cause in Cause else Cause.UNEXPECTED.label)


def uses_browser(instance: Instance) -> bool:
    """Whether connecting it takes a trip to the provider; not where its element no longer has its way."""
    try:
        return authentication_of(instance).needs_browser
    except InputError:
        return False


def is_only_here(instance: Instance) -> bool:
    """Whether no platform has anything of it: it was never connected, or it is gone from there."""
    states = _NOT_CREATED | {State.AWAITING_AUTHORIZATION}
    return instance.state in states and not instance.has_token


def is_offered(step: Step, instance: Instance) -> bool:
    """Whether a step makes sense on a page; what is possible is for the verb to say."""
    match step:
        case Step.PROVISION:
            return instance.state in _NOT_CREATED and not uses_browser(instance)
        case Step.AUTHORIZE:
            states = _NOT_CREATED | _CREATED | {State.AWAITING_AUTHORIZATION}
            return instance.state in states and uses_browser(instance)
        case Step.CHECK:
            return instance.state in _CREATED | {State.UNKNOWN, State.PROVISIONING}
        case Step.REAUTHENTICATE:
            return instance.state in _NOT_CREATED | _CREATED
        case Step.ENABLE:
            return instance.is_disabled
        case Step.DISABLE:
            return not instance.is_disabled and instance.is_connected
        case Step.REVEAL:
            return bool(instance.token)
        case Step.DELETE:
            return True


def _explain(instance: Instance) -> Explanation | None:
    if instance.is_paused:
        return Explanation(
            _("It is disabled."),
            WhoActs.OPERATOR,
            _("Enable it to use it again."),
            Step.ENABLE,
        )
    info = _info(instance.cause)
    if info is None or instance.state in _WITHOUT_CAUSE:
        return None if instance.is_connected else _of_state(instance)
    recorded = _without_label(instance)
    sentence = str(info.sentence) % {"element": instance.element.name}
    return Explanation(
        sentence or recorded or headline(instance.cause),
        info.who,
        _advice(instance, info),
        _next_step(instance, instance.cause),
        detail=recorded if sentence else "",
        interaction=instance.cause_interaction,
    )


def _info(cause: str) -> CauseInfo | None:
    """What is known about a stored cause; None where there is none. An unknown code is an unexpected error."""
    return CAUSES.get(cause, CAUSES[Cause.UNEXPECTED]) if cause else None


def _of_state(instance: Instance) -> Explanation:
    info = _STATES[instance.state]
    return Explanation(str(info.sentence), info.who, str(info.advice), _next_step(instance))


def _of_unreadable(instance: Instance, reasons: dict[str, str]) -> Explanation:
    """Whatever else there is to say about it, nothing can be done before its secrets are back."""
    info = CAUSES[Cause.SECRETS_UNREADABLE]
    sentence = _("Its stored secrets cannot be read. %(reason)s")
    return Explanation(
        sentence % {"reason": next(iter(reasons.values()))},
        info.who,
        str(info.remedy),
        _step_of_unreadable(instance),
    )


def _step_of_unreadable(instance: Instance) -> Step:
    if instance.state not in _NOT_CREATED | _CREATED | {State.AWAITING_AUTHORIZATION}:
        return Step.DELETE
    if instance.lost_keys or not uses_browser(instance):
        return Step.REAUTHENTICATE
    return Step.AUTHORIZE


def _without_label(instance: Instance) -> str:
    """The recorded message, for a place that says whose it is: without "Acme (crm, id 7): "."""
    sentence = instance.cause_message.removeprefix(f"{instance.label}: ")
    return sentence[:1].upper() + sentence[1:]


def _advice(instance: Instance, info: CauseInfo) -> str:
    match instance.state:
        case State.CONNECTED:
            remedy = "" if info.is_retryable else str(info.remedy)
            return " ".join(filter(None, [_validity(instance), remedy, _retry(instance)]))
        case State.UNKNOWN | State.DELETING:
            return str(_STATES[instance.state].advice)
    return str(info.remedy)


def _validity(instance: Instance) -> str:
    """Whether the access token still works, as far as is known."""
    if instance.refresh_started_at:
        return _("It is not known whether its tokens were refreshed.")
    if instance.expires_at is None:
        return ""
    if instance.expires_at <= timezone.now():
        return _("Its access token expired at %(time)s.") % {"time": _time(instance.expires_at)}
    return _("Its access token is valid until %(time)s.") % {"time": _time(instance.expires_at)}


def _retry(instance: Instance) -> str:
    dates = [at for at in (instance.next_refresh_at, instance.next_check_at) if at]
    if not dates:
        return _("Run a check to try again.")
    at = max(min(dates), timezone.now())
    return _("Retrying automatically at %(time)s. To retry now, run a check.") % {"time": _time(at)}


def _time(at: datetime) -> str:
    """In the reader's time zone, with the day where it is not today."""
    local = timezone.localtime(at)
    is_today = local.date() == timezone.localdate()
    return local.strftime("%H:%M") if is_today else date_format(local, "SHORT_DATETIME_FORMAT")


def _next_step(instance: Instance, cause: str = "") -> Step:
    match instance.state:
        case State.CONNECTED | State.UNKNOWN | State.PROVISIONING:
            return Step.CHECK
        case State.DELETING:
            return Step.DELETE
        case State.AWAITING_AUTHORIZATION:
            return Step.AUTHORIZE
    if cause in _CORRECTED_BY_VALUES:
        return Step.REAUTHENTICATE
    if uses_browser(instance):
        return Step.AUTHORIZE
    is_wrong = cause == Cause.CREDENTIALS_REJECTED
    return Step.REAUTHENTICATE if is_wrong or instance.has_token else Step.PROVISION
