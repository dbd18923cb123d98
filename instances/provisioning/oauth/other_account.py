"""Ask before an instance is connected to another account at the provider."""

from dataclasses import replace
from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.utils import timezone

from instances.errors import ExpiredStateError, StateConflictError, UnknownStateError
from instances.models import Authorization, Instance
from instances.platforms.base import PlatformInstance, TokenSet
from instances.provisioning.access.permissions import InstancePermission, require_permission
from instances.provisioning.lifecycle.reauthenticate import store_renewed, words_for
from instances.provisioning.oauth.callback import (
    check_browser,
    check_link,
    person_of,
    store_outcome,
)
from instances.provisioning.plan import plan_changes
from instances.provisioning.platform_requests import platform_request


def find_other_account(
    authorization_id: int, *, user: User | AnonymousUser, browser_secret: str
) -> Authorization:
    """Return an authorization whose tokens this person may confirm.

    Raises UnknownStateError if there is none, WrongBrowserError, LinkOverError, ExpiredStateError.
    """
    rows = Authorization.objects.confirming().select_related(
        "instance__element", "instance__organization_user", "link__made_by"
    )
    authorization = rows.filter(pk=authorization_id).first()
    if authorization is None:
        raise UnknownStateError(
            "There is nothing to confirm any more. Open the instance to see its state."
        )
    check_browser(authorization, user=user, browser_secret=browser_secret)
    check_link(authorization)
    if authorization.expires_at <= timezone.now():
        raise ExpiredStateError(
            f"The new authorization of {authorization.instance.label} was not confirmed in time, so nothing was "
            "replaced. Start again from the instance."
        )
    return authorization


def confirm_other_account(authorization: Authorization, *, user: User | AnonymousUser) -> Instance:
    """Connect the instance to the other account.

    Raises PermissionRefusedError, StateConflictError, and what store_renewed() raises.
    """
    instance = authorization.instance
    if not authorization.link:
        require_permission(user, instance, InstancePermission.CHANGE)
    stored: dict[str, Any] = authorization.other_account.reveal()
    plan = replace(
        plan_changes(instance, authorization.configuration.reveal()),
        provider_data=stored["provider_data"],
    )
    if plan.fingerprint != stored["obtained_with"]:
        # These tokens are of the old client or host. They must not be sent to another one.
        store_outcome(authorization, Authorization.Outcome.FAILED)
        raise StateConflictError(
            f"The configuration of {instance.label} or its OAuth app was changed after the other account was "
            "authorized, so nothing was replaced. Authorize again."
        )
    renewed = PlatformInstance(
        token=stored["token"],
        tokens=TokenSet.from_json(stored["tokens"]) if stored["tokens"] else None,
        is_proved=stored["is_proved"],
        account=stored["account"],
    )
    request = platform_request(instance, actor=person_of(authorization, user), plan=plan)
    store_renewed(
        instance,
        plan,
        request,
        renewed,
        why=f"Another account was confirmed: {words_for(renewed.account)}.",
    )
    store_outcome(authorization, Authorization.Outcome.COMPLETED)
    return instance


def keep_current_account(authorization: Authorization) -> None:
    """Drop the tokens of the other account."""
    store_outcome(authorization, Authorization.Outcome.DENIED)


def forget_unconfirmed() -> int:
    """Drop tokens that were not confirmed in time. Returns the number of authorizations."""
    expired = Authorization.objects.confirming().filter(expires_at__lte=timezone.now())
    return expired.update(outcome=Authorization.Outcome.FAILED, other_account="")
