"""Why an instance is not connected, who must act, and the next step: one function for every entrance."""

from dataclasses import dataclass, replace
from enum import StrEnum
from types import UnionType
from typing import TYPE_CHECKING

from django.utils import timezone
from django.utils.translation import gettext as _, gettext_lazy

from instances import errors
from instances.errors import Responsible
from instances.models import Instance, Interaction
from instances.provisioning.lifecycle.states import State
from instances.provisioning.plan import authentication_of
from instances.provisioning.status.audience import (
    Audience,
    advice_for,
    needs_operator,
    who_must_act,
)

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

_NOT_CREATED = {State.DRAFT, State.FAILED}
_CREATED = {State.CONNECTED, State.NEEDS_REAUTHORIZATION}


# Where somebody was sent a link, it is for them to go on.
_WAITS_FOR_LINK = {State.DRAFT, State.FAILED, State.NEEDS_REAUTHORIZATION}


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
    """cause, who and advice are sentences to its audience; step is the click that carries out the advice."""

    cause: str
    responsible: Responsible
    advice: str
    step: Step
    interaction: Interaction | None = None
    who: str = ""


# The first class that fits says what is to be done about an error.
_REMEDIES: tuple[tuple[type[errors.InstancesError] | UnionType, "StrOrPromise"], ...] = (
    (
        errors.CredentialsRefusedError,
        gettext_lazy("Ask the account's holder for credentials that are right, and enter them."),
    ),
    (
        errors.AccessForbiddenError,
        gettext_lazy("Ask the account's holder to give this user the rights that it needs."),
    ),
    (
        errors.GrantRejectedError | errors.MissingCodeError,
        gettext_lazy("The account's holder must allow access again."),
    ),
    (
        errors.ClientRefusedError,
        gettext_lazy("Correct the OAuth app, or the organization's secrets."),
    ),
    (errors.GoneError, gettext_lazy("It was deleted at the platform, so it has to be made again.")),
    (
        errors.BlockedAddressError,
        gettext_lazy("Correct the address, or add the host to PROVIDER_ALLOWED_PRIVATE_HOSTS."),
    ),
    (
        errors.SecretError,
        gettext_lazy(
            "Put the missing key back into ENCRYPTION_KEYS, restart, and run manage.py quarantine_unreadable. If the "
            "key is lost, connect it again with all of its secrets, or delete it."
        ),
    ),
    (
        errors.CatalogueError,
        gettext_lazy("Correct the element's file, and run manage.py sync_elements."),
    ),
    (
        errors.HostNotAllowedError,
        gettext_lazy(
            "Correct the host, or list it on the OAuth app or among the organization's private hosts."
        ),
    ),
    (errors.PermissionRefusedError, gettext_lazy("Ask somebody who may do this.")),
    (errors.InputError, gettext_lazy("Enter what is missing or wrong.")),
    (errors.AuthorizationError, gettext_lazy("Begin the authorization again.")),
    (errors.StateConflictError, gettext_lazy("Somebody else was at work on it.")),
    (errors.RateLimitedError, gettext_lazy("The provider takes no more calls for now.")),
    (
        errors.IdentityConflictError,
        gettext_lazy(
            "Compare both instances with what the platform has, and delete the one that is wrong here."
        ),
    ),
    (errors.OutcomeUnknownError, gettext_lazy("It may exist at the platform already.")),
    (
        errors.AnswerLostError,
        gettext_lazy("The provider may have done what it was asked for, and could not say so."),
    ),
)
# Their remedy is to connect once more, so that nothing is left to be said.
_CONNECTED_BY_REMEDY = (
    errors.AuthorizationError,
    errors.GrantRejectedError,
    errors.MissingCodeError,
    errors.GoneError,
)
# What a state says of itself: the cause, who must act, the advice.
_STATES: dict[str, tuple["StrOrPromise", Responsible, "StrOrPromise"]] = {
    State.DRAFT: (
        gettext_lazy("It was never connected."),
        Responsible.OPERATOR,
        gettext_lazy("Connect it, or send the account's holder a link."),
    ),
    State.AWAITING_AUTHORIZATION: (
        gettext_lazy("Somebody was sent to the provider and has not come back yet."),
        Responsible.ACCOUNT_HOLDER,
        gettext_lazy("Finish the authorization at the provider, or begin it again."),
    ),
    State.PROVISIONING: (
        gettext_lazy("It is being provisioned, or the process that did so has ended."),
        Responsible.PROGRAM,
        gettext_lazy("Wait a few minutes: it is turned to by itself. Check it to do so at once."),
    ),
    State.UNKNOWN: (
        gettext_lazy("The platform's answer was lost, so it may exist there already."),
        Responsible.PROGRAM,
        gettext_lazy(
            "The platform is asked for it before anything is sent again; check it to ask now."
        ),
    ),
    State.DELETING: (
        gettext_lazy("Its deletion has not ended yet."),
        Responsible.PROGRAM,
        gettext_lazy("It goes on by itself; delete it to go on at once."),
    ),
    State.NEEDS_REAUTHORIZATION: (
        gettext_lazy("The provider no longer accepts its credentials."),
        Responsible.ACCOUNT_HOLDER,
        gettext_lazy("Connect it again."),
    ),
    State.FAILED: (
        gettext_lazy("Provisioning failed."),
        Responsible.OPERATOR,
        gettext_lazy("Read its interactions, then try again."),
    ),
}
# What happened to all instances with the same cause. An error without a sentence of its own has its base class's.
CAUSES: dict[str, "StrOrPromise"] = {
    "CredentialsRefusedError": gettext_lazy("Credentials were refused"),
    "GrantRejectedError": gettext_lazy("Access was revoked, or has run out"),
    "ClientRefusedError": gettext_lazy(
        "The OAuth client or the organization's secrets were refused"
    ),
    "AccessForbiddenError": gettext_lazy("The account lacks rights"),
    "GoneError": gettext_lazy("Deleted at the platform"),
    "RefusedError": gettext_lazy("The provider refused the request"),
    "RateLimitedError": gettext_lazy("The provider takes no more calls for now"),
    "ProviderFaultError": gettext_lazy("The provider is out of order"),
    "UnreachableError": gettext_lazy("The provider could not be reached"),
    "LeaseLostError": gettext_lazy("Another process took over"),
    "AnswerTimeoutError": gettext_lazy("The provider answered too late"),
    "AnswerLostError": gettext_lazy("The provider's answer was cut off"),
    "UnusableAnswerError": gettext_lazy("The provider's answer could not be understood"),
    "IdentityConflictError": gettext_lazy("The platform's answer names another instance"),
    "OutcomeUnknownError": gettext_lazy("The platform's answer to a creation was lost"),
    "BlockedAddressError": gettext_lazy("The address is private, and calls to it are blocked"),
    "AuthorizationDeniedError": gettext_lazy("The account's holder did not allow access"),
    "ProviderReportedError": gettext_lazy("The provider ended the authorization with an error"),
    "AuthorizationError": gettext_lazy("The authorization came back wrong"),
    "MissingCodeError": gettext_lazy("An authorization code is missing"),
    "HostNotAllowedError": gettext_lazy("The host is not allowed for this element"),
    "InputError": gettext_lazy("The configuration is incomplete or wrong"),
    "SecretError": gettext_lazy("Stored secrets cannot be used"),
    "UnreadableSecretError": gettext_lazy("Stored secrets cannot be read"),
    "CatalogueError": gettext_lazy("The element's definition is wrong"),
    "TaskNotEnqueuedError": gettext_lazy("The workers could not be reached"),
    "TooManyAttemptsError": gettext_lazy("Too many attempts"),
    "ClockSkewError": gettext_lazy("This machine's clock is wrong"),
    "StateConflictError": gettext_lazy("Somebody else was at work on it"),
    "InstancesError": gettext_lazy("Something went wrong"),
}
# In these states the recorded cause tells of an attempt that another one has followed, or will.
_WITHOUT_CAUSE = {State.DRAFT, State.AWAITING_AUTHORIZATION, State.PROVISIONING}


def explain(instance: Instance, audience: Audience = Audience.OPERATOR) -> Explanation | None:
    """In words that fit who reads it. None for a connected instance that is enabled, and whose tokens are renewed:
    there is nothing to explain.
    """
    reasons = instance.unreadable_secrets()
    explanation = _of_unreadable(instance, reasons) if reasons else _explain(instance)
    if explanation is None:
        return None
    error_class = None if instance.state in _WITHOUT_CAUSE else _error_class(instance.cause)
    if reasons:
        error_class = errors.UnreadableSecretError
    is_for_operator = bool(error_class and needs_operator(error_class))
    if not is_for_operator and instance.state in _WAITS_FOR_LINK and instance.has_open_link:
        advice = _("Wait until they use the link that was made for them, or connect it yourself.")
        if audience == Audience.VIEWER:
            advice = _("Use the link that was made for them.")
        explanation = replace(explanation, responsible=Responsible.ACCOUNT_HOLDER, advice=advice)
    return replace(
        explanation,
        who=who_must_act(explanation.responsible, audience, is_for_operator=is_for_operator),
        advice=advice_for(audience, explanation.advice, is_for_operator=is_for_operator),
    )


def _explain(instance: Instance) -> Explanation | None:
    if instance.is_paused:
        return Explanation(
            _("It is connected, and disabled."),
            Responsible.OPERATOR,
            _("Enable it when it is to be used again."),
            Step.ENABLE,
        )
    error_class = _error_class(instance.cause)
    if error_class is None or instance.state in _WITHOUT_CAUSE:
        return None if instance.is_connected else _of_state(instance)
    step = _next_step(instance, error_class)
    return Explanation(
        _without_label(instance),
        error_class.responsible,
        f"{_remedy(error_class)} {_then(instance, error_class, step)}",
        step,
        instance.cause_interaction,
    )


def explain_many(
    state: str, cause: str, audience: Audience = Audience.OPERATOR
) -> tuple[str, str, str]:
    """What those in this state with this cause have in common: what happened, who must act, the advice."""
    words, responsible, advice = _explain_many(state, cause)
    # Whoever sees many is told as an operator is, or as one who may only look.
    who = who_must_act(responsible, audience, is_for_operator=False)
    return words, who, advice_for(audience, advice, is_for_operator=False)


def _explain_many(state: str, cause: str) -> tuple[str, Responsible, str]:
    error_class = None if state in _WITHOUT_CAUSE else _error_class(cause)
    if error_class is None and state in _STATES:
        words, responsible, advice = _STATES[state]
        return str(words), responsible, str(advice)
    error_class = error_class or errors.InstancesError
    advice = f"{_remedy(error_class)} {_then_of_many(state, error_class)}".strip()
    return _in_words(error_class), error_class.responsible, advice


def uses_browser(instance: Instance) -> bool:
    """Whether connecting it takes a trip to the provider; not so where its element no longer knows its way."""
    try:
        return authentication_of(instance).needs_browser
    except errors.InputError:
        return False


def is_only_here(instance: Instance) -> bool:
    """Whether no platform has anything of it: it was never connected, or it is gone from there."""
    states = _NOT_CREATED | {State.AWAITING_AUTHORIZATION}
    return instance.state in states and not instance.has_token


def _without_label(instance: Instance) -> str:
    """The recorded cause, for a place that says whose it is: "Acme (crm, id 7): sign in …" without "Acme …"."""
    sentence = instance.cause_message.removeprefix(f"{instance.label}: ")
    return sentence[:1].upper() + sentence[1:]


def _of_state(instance: Instance) -> Explanation:
    cause, responsible, advice = _STATES[instance.state]
    return Explanation(str(cause), responsible, str(advice), _next_step(instance))


def _of_unreadable(instance: Instance, reasons: dict[str, str]) -> Explanation:
    """Whatever else there is to say of it, nothing can be done before its secrets are there again."""
    error_class = errors.UnreadableSecretError
    return Explanation(
        _("Its stored secrets cannot be read. %(reason)s")
        % {"reason": next(iter(reasons.values()))},
        error_class.responsible,
        _remedy(error_class),
        _step_of_unreadable(instance),
    )


def _step_of_unreadable(instance: Instance) -> Step:
    if instance.state not in _NOT_CREATED | _CREATED | {State.AWAITING_AUTHORIZATION}:
        return Step.DELETE
    if instance.lost_keys or not uses_browser(instance):
        return Step.REAUTHENTICATE
    return Step.AUTHORIZE


def _error_class(cause: str) -> type[errors.InstancesError] | None:
    """The class of what went wrong last; None when nothing did."""
    found = getattr(errors, cause, None) if cause else None
    is_ours = isinstance(found, type) and issubclass(found, errors.InstancesError)
    return found if is_ours else None


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


def _next_step(
    instance: Instance, error_class: type[errors.InstancesError] = errors.InstancesError
) -> Step:
    match instance.state:
        case State.CONNECTED | State.UNKNOWN | State.PROVISIONING:
            return Step.CHECK
        case State.DELETING:
            return Step.DELETE
        case State.AWAITING_AUTHORIZATION:
            return Step.AUTHORIZE
    takes_values = issubclass(error_class, errors.InputError | errors.BlockedAddressError)
    if takes_values and error_class is not errors.MissingCodeError:
        return Step.REAUTHENTICATE
    if uses_browser(instance):
        return Step.AUTHORIZE
    is_wrong = issubclass(error_class, errors.CredentialsRefusedError)
    return Step.REAUTHENTICATE if is_wrong or instance.has_token else Step.PROVISION


def _in_words(error_class: type[errors.InstancesError]) -> str:
    return next(str(CAUSES[one.__name__]) for one in error_class.__mro__ if one.__name__ in CAUSES)


def _remedy(error_class: type[errors.InstancesError]) -> str:
    for known, remedy in _REMEDIES:
        if issubclass(error_class, known):
            return str(remedy)
    if error_class.retryable:
        return _("This may pass by itself.")
    return _("Read the recorded exchange, and correct what it complains about.")


def _then(instance: Instance, error_class: type[errors.InstancesError], step: Step) -> str:
    match instance.state:
        case State.CONNECTED:
            return _then_of_connected(instance)
        case State.UNKNOWN:
            return _("The platform is asked for it by itself; check it to ask now.")
        case State.DELETING:
            return _("It is deleted again by itself; delete it to do so now.")
    if error_class.retryable:
        return _("Try again in a few minutes.")
    match step:
        case Step.AUTHORIZE:
            return _("Then authorize it.")
        case Step.PROVISION:
            return _("Then connect it.")
    return _("Then connect it again.")


def _then_of_many(state: str, error_class: type[errors.InstancesError]) -> str:
    match state:
        case State.CONNECTED:
            return _("They are asked for new tokens again by themselves.")
        case State.UNKNOWN:
            return _("The platform is asked for them by itself.")
        case State.DELETING:
            return _("They are deleted again by themselves.")
    if error_class.retryable:
        return _("Try them again in a few minutes.")
    is_said = issubclass(error_class, _CONNECTED_BY_REMEDY)
    return "" if is_said else _("Then connect them again.")


def _then_of_connected(instance: Instance) -> str:
    if instance.refresh_started_at:
        works = _("Whether its tokens were renewed is not known.")
    elif instance.expires_at and instance.expires_at <= timezone.now():
        works = _("Its access token has run out.")
    else:
        works = _("It still works.")
    return f"{works} {_('Its tokens are asked for again by themselves; check it to do so now.')}"
