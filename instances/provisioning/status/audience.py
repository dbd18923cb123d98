"""Who reads an explanation: whether they can act themselves, and in which words they are told who must."""

from collections.abc import Callable
from enum import StrEnum
from types import UnionType
from typing import TYPE_CHECKING

from django.contrib.auth.models import AnonymousUser, User
from django.utils.translation import gettext as _, gettext_lazy

from instances import errors
from instances.errors import InstancesError, Responsible
from instances.models import Instance, Organization
from instances.provisioning.access.permissions import InstancePermission

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


class Audience(StrEnum):
    """OPERATOR: of the instance's organization. STAFF: may change the instance, and nothing around it.
    VIEWER: may only look.
    """

    OPERATOR = "operator"
    STAFF = "staff"
    VIEWER = "viewer"


def audiences_for(account: User | AnonymousUser) -> Callable[[Instance], Audience]:
    """Which audience an account is of an instance, at the price of one query for any number of them."""
    may_change = account.has_perm(f"instances.{InstancePermission.CHANGE}")
    operated = set(Organization.objects.operated_by(account).values_list("pk", flat=True))

    def audience_of(instance: Instance) -> Audience:
        owner = instance.organization_user
        if may_change and owner.organization_id in operated:
            return Audience.OPERATOR
        is_own = may_change and owner.account_id == account.pk
        return Audience.STAFF if is_own else Audience.VIEWER

    return audience_of


def audience_of_many(account: User | AnonymousUser) -> Audience:
    """Of instances of all the organizations that the account reaches, taken together."""
    may_change = account.has_perm(f"instances.{InstancePermission.CHANGE}")
    is_operator = may_change and Organization.objects.operated_by(account).exists()
    return Audience.OPERATOR if is_operator else Audience.VIEWER


# What only an operator can put right.
_NEEDS_OPERATOR = (
    errors.ClientRefusedError,
    errors.BlockedAddressError,
    errors.HostNotAllowedError,
    errors.SecretError,
    errors.CatalogueError,
)


def needs_operator(error_class: type[InstancesError]) -> bool:
    return issubclass(error_class, _NEEDS_OPERATOR)


def who_must_act(responsible: Responsible, audience: Audience, *, is_for_operator: bool) -> str:
    """A sentence. is_for_operator: whoever may change the instance alone cannot put it right."""
    match responsible, audience:
        case Responsible.PROGRAM, _reader:
            return _("Nobody has to act: it goes on by itself.")
        case Responsible.PROVIDER, _reader:
            return _("Who must act: the provider.")
        case Responsible.ACCOUNT_HOLDER, Audience.STAFF:
            return _("Who must act: the account's holder, or you if it is yours.")
        case Responsible.ACCOUNT_HOLDER, _reader:
            return _("Who must act: the account's holder.")
        case Responsible.OPERATOR, Audience.VIEWER:
            return _("Who must act: its owner, or an operator.")
        case Responsible.OPERATOR, Audience.STAFF if is_for_operator:
            return _("Who must act: an operator.")
    return _("Who must act: you.")


def advice_for(audience: Audience, advice: str, *, is_for_operator: bool) -> str:
    """The same advice, to whoever cannot follow it themselves as what others can do."""
    if audience == Audience.VIEWER:
        return _("What they can do: %s") % advice
    if audience == Audience.STAFF and is_for_operator:
        return _("What an operator can do: %s") % advice
    return advice


# Cause and advice for who came by a link: they know nothing of instances, OAuth apps and operators.
_TO_HOLDER: tuple[tuple[type[InstancesError] | UnionType, "StrOrPromise"], ...] = (
    (
        errors.CredentialsRefusedError,
        gettext_lazy("What you entered was refused. Correct it, and try again."),
    ),
    (
        errors.AccessForbiddenError,
        gettext_lazy(
            "This account may not do what is needed. Give it the rights there, or use another account."
        ),
    ),
    (
        errors.GrantRejectedError | errors.MissingCodeError,
        gettext_lazy("The permission that you gave could not be used. Give it again."),
    ),
    (
        errors.AuthorizationDeniedError,
        gettext_lazy("You did not allow access, so nothing was connected."),
    ),
    (
        errors.IssuerMismatchError,
        gettext_lazy(
            "The answer did not come from the service that you were sent to, so nothing was connected. Start again; "
            "if this happens again, tell the person who sent you the link."
        ),
    ),
    (errors.ExpiredStateError, gettext_lazy("It took longer than ten minutes. Begin again.")),
    (errors.ReplayedStateError, gettext_lazy("This step was done already; nothing was changed.")),
    # Said to whoever holds a link, by those who raise them.
    (errors.UnknownLinkError | errors.LinkOverError | errors.WrongBrowserError, ""),
)


def message_for_account_owner(error: InstancesError) -> str:
    """What went wrong, and what to do, to an account's holder who came by a link."""
    for known, sentence in _TO_HOLDER:
        if isinstance(error, known):
            return str(sentence or error)
    if error.retryable:
        return _("The service does not answer as it should. Try again in a few minutes.")
    return _(
        "It could not be connected, and you cannot change that. Tell whoever sent you the link."
    )
