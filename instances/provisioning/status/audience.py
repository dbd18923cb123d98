"""Decide who reads an explanation, and phrase it for each audience."""

from collections.abc import Callable

from django.contrib.auth.models import AnonymousUser, User
from django.utils.translation import gettext as _

from instances.causes import Audience, WhoActs
from instances.errors import InstancesError
from instances.models import Instance, Organization
from instances.provisioning.access.permissions import InstancePermission


def audiences_for(user: User | AnonymousUser) -> Callable[[Instance], Audience]:
    """Return a function that gives a user's audience for an instance.

    One query for any number of instances.
    """
    may_change = user.has_perm(f"instances.{InstancePermission.CHANGE}")
    operated = set(Organization.objects.operated_by(user).values_list("pk", flat=True))

    def audience_of(instance: Instance) -> Audience:
        owner = instance.organization_user
        if may_change and owner.organization_id in operated:
            return Audience.OPERATOR
        is_own = may_change and owner.user_id == user.pk
        return Audience.STAFF if is_own else Audience.VIEWER

    return audience_of


def audience_of_many(user: User | AnonymousUser) -> Audience:
    """Return a user's audience for the instances of all their organizations together."""
    may_change = user.has_perm(f"instances.{InstancePermission.CHANGE}")
    is_operator = may_change and Organization.objects.operated_by(user).exists()
    return Audience.OPERATOR if is_operator else Audience.VIEWER


def who_must_act(who: WhoActs, audience: Audience, *, is_operator_only: bool = False) -> str:
    """Say who must act.

    is_operator_only: users who may only change the instance cannot fix it.
    """
    match who, audience:
        case WhoActs.NOBODY, _audience:
            return _("No action needed.")
        case WhoActs.ACCOUNT_OWNER, Audience.STAFF:
            return _("Account owner must act. If the account is yours, that is you.")
        case WhoActs.ACCOUNT_OWNER, _audience:
            return _("Account owner must act.")
        case WhoActs.OPERATOR, Audience.STAFF if not is_operator_only:
            return _("You can fix this.")
        case WhoActs.OPERATOR, Audience.VIEWER if not is_operator_only:
            return _("Owner or operator must act.")
    return _("Operator must act.")


def message_for_account_owner(error: InstancesError) -> str:
    """Say what happened and what to do, for an account owner who came by a link."""
    reported = getattr(error, "reported", "")
    if not reported:
        return _sentence_for_account_owner(error)
    return _("%(sentence)s The service said: “%(reported)s”.") % {
        "sentence": _sentence_for_account_owner(error),
        "reported": reported,
    }


def _sentence_for_account_owner(error: InstancesError) -> str:
    info = error.info
    if info.account_owner:
        return str(info.account_owner)
    if info.has_own_words:
        return str(error)
    if info.is_retryable:
        return _("The service is not responding as expected. Try again in a few minutes.")
    return _("The account could not be connected. Please contact the person who sent you the link.")
