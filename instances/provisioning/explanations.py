"""Why an instance is not connected, who must act, and the next step: one function for every entrance."""

from dataclasses import dataclass
from enum import StrEnum

from django.utils.translation import gettext as _

from instances import errors
from instances.models import Instance, Interaction
from instances.provisioning.configuration import authentication_of
from instances.provisioning.states import State


class Step(StrEnum):
    """What can be done next; each is an action of the admin."""

    PROVISION = "provision"
    AUTHORIZE = "authorize"
    CHECK = "check"
    REAUTHENTICATE = "reauthenticate"
    ENABLE = "enable"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Explanation:
    """cause and advice are sentences; step is the click that carries out the advice."""

    cause: str
    responsible: str
    advice: str
    step: Step
    interaction: Interaction | None


def explain(instance: Instance) -> Explanation | None:
    """None for a connected instance that is enabled: there is nothing to explain."""
    if instance.state == State.CONNECTED:
        return _of_connected(instance)
    cause, advice, step = _of_state(instance)
    error_class = _error_class(instance)
    if error_class and instance.state in {State.FAILED, State.NEEDS_REAUTHORIZATION}:
        advice, step = _of_failure(instance, error_class)
    responsible = error_class.responsible if error_class else errors.Responsible.OPERATOR
    return Explanation(
        instance.cause_message or cause, responsible, advice, step, instance.cause_interaction
    )


def _error_class(instance: Instance) -> type[errors.InstancesError] | None:
    """The class of what went wrong last; None when nothing did."""
    found = getattr(errors, instance.cause, None) if instance.cause else None
    is_ours = isinstance(found, type) and issubclass(found, errors.InstancesError)
    return found if is_ours else None


def _of_connected(instance: Instance) -> Explanation | None:
    """What is worth saying of a connected instance: that it rests, or that its tokens are hard to renew."""
    if instance.is_disabled:
        cause, advice = (
            _("It is connected, and disabled."),
            _("Enable it when it is to be used again."),
        )
        return Explanation(cause, errors.Responsible.OPERATOR, advice, Step.ENABLE, None)
    error_class = _error_class(instance)
    if error_class is None:
        return None
    return Explanation(
        instance.cause_message,
        error_class.responsible,
        _("It still works. Its tokens are asked for again by themselves; check it to try now."),
        Step.CHECK,
        instance.cause_interaction,
    )


def uses_browser(instance: Instance) -> bool:
    """Whether connecting it takes a trip to the provider."""
    return authentication_of(instance).needs_browser


def _connect_step(instance: Instance) -> Step:
    if uses_browser(instance):
        return Step.AUTHORIZE
    return Step.REAUTHENTICATE if instance.token else Step.PROVISION


def _of_state(instance: Instance) -> tuple[str, str, Step]:
    step = _connect_step(instance)
    match instance.state:
        case State.DRAFT:
            return _("It was never provisioned."), _("Provision it, or authorize it."), step
        case State.AWAITING_AUTHORIZATION:
            return (
                _("Somebody was sent to the provider and has not come back yet."),
                _("Finish the authorization at the provider, or begin it again."),
                Step.AUTHORIZE,
            )
        case State.PROVISIONING:
            return (
                _("It is being provisioned, or the process that did so has ended."),
                _("Wait a minute. If it stays so for more than ten minutes, check it."),
                Step.CHECK,
            )
        case State.UNKNOWN:
            return (
                _("The platform's answer was lost, so it may exist there already."),
                _("Check it: the platform is asked for it before anything is sent again."),
                Step.CHECK,
            )
        case State.DELETING:
            return _("Its deletion has not ended yet."), _("Delete it again."), Step.DELETE
        case State.NEEDS_REAUTHORIZATION:
            return (
                _("The provider no longer accepts its credentials."),
                _("Authenticate again."),
                step,
            )
        case _:
            return _("Provisioning failed."), _("Read the cause, then try again."), step


def _of_failure(instance: Instance, error_class: type[errors.InstancesError]) -> tuple[str, Step]:
    step = _connect_step(instance)
    if issubclass(error_class, errors.CredentialsRefusedError):
        return _(
            "Ask the account's holder for the right credentials and enter them."
        ), Step.REAUTHENTICATE
    if issubclass(error_class, errors.AccessForbiddenError):
        return _(
            "Ask the account's holder to give this user the rights it needs, then try again."
        ), step
    if issubclass(error_class, errors.GrantRejectedError | errors.AuthorizationError):
        return _("Authorize it again."), step
    if issubclass(error_class, errors.ClientRefusedError):
        return _("Correct the OAuth app, or the organization's secrets, then try again."), step
    if issubclass(error_class, errors.InputError):
        return _("Enter what is missing or wrong."), Step.REAUTHENTICATE
    if issubclass(error_class, errors.BlockedAddressError):
        return _(
            "Correct the address, or let the operator allow this private host."
        ), Step.REAUTHENTICATE
    if error_class.retryable:
        return _("This may pass by itself: try again in a few minutes."), step
    return _("Read the recorded exchange, correct what it complains about, then try again."), step
