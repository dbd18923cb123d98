"""Let the person who came back from a provider choose what to connect."""

from collections.abc import Mapping
from dataclasses import replace

from django.contrib.auth.models import AnonymousUser, User
from django.utils import timezone

from instances.catalogue.hosts import may_be_chosen
from instances.errors import (
    ChoiceNeededError,
    ExpiredStateError,
    InvalidConfigurationError,
    UnknownStateError,
)
from instances.models import Authorization
from instances.platforms.registry import platform_for
from instances.provisioning.access.permissions import InstancePermission, require_permission
from instances.provisioning.plan import ConnectionPlan, plan_changes
from instances.provisioning.platform_requests import platform_request


def choices_after(
    authorization: Authorization,
    plan: ConnectionPlan,
    provider_data: Mapping[str, str],
    *,
    actor: str,
) -> ChoiceNeededError:
    """Return the choices that a first consent gives. plan: that of for_discovery().

    Raises PlatformError.
    """
    instance = authorization.instance
    request = platform_request(
        instance,
        actor=actor,
        plan=replace(plan, provider_data=dict(provider_data)),
        code_verifier=authorization.code_verifier.reveal(),
    )
    choices = platform_for(request.organization).find_choices(request)
    return ChoiceNeededError(instance.label, choices, authorization_id=authorization.pk)


def configuration_of_choice(
    authorization: Authorization, value: str, *, user: User | AnonymousUser
) -> dict[str, str]:
    """Return the changes that a choice makes, with those that the first authorization came with.

    The browser must have been checked. Raises UnknownStateError if there is nothing to choose, ExpiredStateError,
    PermissionRefusedError, InvalidConfigurationError for what no list of the provider's has.
    """
    instance = authorization.instance
    if not authorization.link:
        require_permission(user, instance, InstancePermission.CHANGE)
    changes = authorization.configuration.reveal()
    plan = plan_changes(instance, changes)
    discovery = plan.authentication.discovery
    is_asked = plan.for_discovery() is not plan
    if authorization.outcome != Authorization.Outcome.COMPLETED or not (discovery and is_asked):
        raise UnknownStateError(
            "There is nothing to choose any more. Open the instance to see its state."
        )
    if authorization.expires_at <= timezone.now():
        raise ExpiredStateError(
            f"What to connect {instance.label} to was not chosen in time. Start again from the instance."
        )
    if not may_be_chosen(plan.authentication, discovery.key, value):
        raise InvalidConfigurationError(discovery.key, "must be one of those that were listed.")
    return {**changes, discovery.key: value}
