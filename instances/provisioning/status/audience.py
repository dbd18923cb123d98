"""Who reads an explanation, and what each of them is told about who must act."""

from collections.abc import Callable

from django.contrib.auth.models import AnonymousUser, User
from django.utils.translation import gettext as _

from instances.causes import Audience, WhoActs
from instances.errors import InstancesError
from instances.models import Instance, Organization
from instances.provisioning.access.permissions import InstancePermission


def audiences_for(account: User | AnonymousUser) -> Callable[[Instance], Audience]:
    """Which audience a user is of an instance; one query for any number of instances."""
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
    """Of the instances of all organizations that the user reaches, taken together."""
    may_change = account.has_perm(f"instances.{InstancePermission.CHANGE}")
    is_operator = may_change and Organization.objects.operated_by(account).exists()
    return Audience.OPERATOR if is_operator else Audience.VIEWER


def who_must_act(who: WhoActs, audience: Audience, *, is_operator_only: bool = False) -> str:
    """A label. is_operator_only: whoever may only change the instance cannot fix it."""
    match who, audience:
        case WhoActs.NOBODY, _audience:
            return _("No action needed.")
        case WhoActs.ACCOUNT_OWNER, Audience.STAFF:
            return _("Account owner must act: you, if the account is yours.")
        case WhoActs.ACCOUNT_OWNER, _audience:
            return _("Account owner must act.")
        case WhoActs.OPERATOR, Audience.STAFF if not is_operator_only:
            return _("You can fix this.")
        case WhoActs.OPERATOR, Audience.VIEWER if not is_operator_only:
            return _("Owner or operator must act.")
    return _("Operator must act.")


def message_for_account_owner(error: InstancesError) -> str:
    """What went wrong and what to do, for an account owner who came by a link."""
    info = error.info
    if info.account_owner:
        return str(info.account_owner)
    if info.has_own_words:
        return str(error)
    if info.is_retryable:
        return _("The service is not responding as expected. Try again in a few minutes.")
    return _("This could not be connected. Please contact the person who sent you the link.")
