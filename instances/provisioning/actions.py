"""What can be done to an instance: one table for the admin, self-service, bulk actions and the API.

An entrance shows the offered actions that the user is permitted, and carries them out by name.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from django.contrib.auth.models import AnonymousUser, User
from django.utils.translation import gettext_lazy as _

from instances.errors import InputError
from instances.models import Instance
from instances.provisioning.access.permissions import InstancePermission, is_permitted
from instances.provisioning.lifecycle.check import check_instance
from instances.provisioning.lifecycle.delete import delete_instance
from instances.provisioning.lifecycle.provision import provision_instance
from instances.provisioning.lifecycle.states import CREATED, PROVISIONABLE, State
from instances.provisioning.lifecycle.switches import set_enabled

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

_NOT_CREATED = {State.DRAFT, State.FAILED}


@dataclass(frozen=True, kw_only=True)
class Action:
    """One action, and one button.

    effect: what it will do. in_progress: the button's text meanwhile. done: what it did, with %(name)s.

    is_offered: whether pages offer it; the verb itself checks whether it is possible. verb: carries it out, and can be
    queued for many instances; None for an action that is a page or a redirect.
    """

    name: str
    label: "StrOrPromise"
    is_offered: Callable[[Instance], bool]
    effect: "StrOrPromise" = ""
    in_progress: "StrOrPromise" = ""
    done: "StrOrPromise" = ""
    permission: InstancePermission = InstancePermission.CHANGE
    needs_confirmation: bool = False
    is_destructive: bool = False
    verb: Callable[..., object] | None = None


def uses_browser(instance: Instance) -> bool:
    """Return whether connecting the instance requires the provider's page.

    False if its element no longer offers its way of authentication.
    """
    try:
        return instance.authentication.needs_browser
    except InputError:
        return False


def has_certificate(instance: Instance) -> bool:
    """Return whether the instance has a private key whose certificate the provider must know."""
    try:
        way = instance.authentication
    except InputError:
        return False
    return (
        way.takes_certificate
        and way.assertion is not None
        and way.assertion.private_key_key in instance.secret_keys
    )


PROVISION = Action(
    name="provision",
    label=_("Connect"),
    is_offered=lambda instance: instance.state in _NOT_CREATED and not uses_browser(instance),
    effect=_("Connects it with the stored configuration."),
    in_progress=_("Connecting …"),
    done=_("%(name)s is connected."),
    verb=provision_instance,
)
AUTHORIZE = Action(
    name="authorize",
    label=_("Authorize"),
    is_offered=lambda instance: (
        instance.state in PROVISIONABLE | CREATED and uses_browser(instance)
    ),
    effect=_("Your browser goes to the provider, where the account owner allows access."),
    in_progress=_("Connecting …"),
)
CHECK = Action(
    name="check",
    label=_("Check now"),
    is_offered=lambda instance: instance.state in CREATED | {State.UNKNOWN, State.PROVISIONING},
    effect=_("Asks the provider whether the connection works. Nothing is changed there."),
    in_progress=_("Checking …"),
    done=_("%(name)s works."),
    verb=check_instance,
)
REAUTHENTICATE = Action(
    name="reauthenticate",
    label=_("Enter credentials"),
    is_offered=lambda instance: instance.state in _NOT_CREATED | CREATED,
    in_progress=_("Connecting …"),
    done=_("%(name)s is connected."),
)
LINK = Action(
    name="link",
    label=_("Send link to account owner"),
    is_offered=lambda instance: (
        REAUTHENTICATE.is_offered(instance) or AUTHORIZE.is_offered(instance)
    ),
)
TRY = Action(
    name="try-it",
    label=_("Try it"),
    is_offered=lambda instance: (
        instance.is_connected
        and not instance.is_disabled
        and bool(instance.token)
        and (instance.organization.is_remote or instance.element.parsed.hub_api is not None)
    ),
    effect=_("Reads some records, as a program would. Nothing is changed at the provider."),
)
EDIT = Action(
    name="edit",
    label=_("Edit name and tags"),
    is_offered=lambda _instance: True,
    done=_("The name and tags of %(name)s were saved."),
)
CERTIFICATE = Action(
    name="certificate",
    label=_("Download certificate"),
    is_offered=has_certificate,
    effect=_("Register it at the provider. It is public; the private key stays here."),
)
REVEAL = Action(
    name="reveal",
    label=_("Reveal Element token"),
    is_offered=lambda instance: bool(instance.token),
    effect=_("Shows the Element token once, in plain text. Your access is recorded."),
    permission=InstancePermission.REVEAL,
    needs_confirmation=True,
)
REPLACE = Action(
    name="replace-token",
    label=_("Replace Element token"),
    is_offered=lambda instance: bool(instance.token) and not instance.organization.is_remote,
    effect=_("Programs need the new token. The old one stops working when you say."),
    done=_("%(name)s has a new Element token."),
    needs_confirmation=True,
)
ENABLE = Action(
    name="enable",
    label=_("Enable"),
    is_offered=lambda instance: instance.is_disabled,
    effect=_("Programs can use it again."),
    done=_("%(name)s is enabled."),
    verb=partial(set_enabled, is_enabled=True),
)
DISABLE = Action(
    name="disable",
    label=_("Disable"),
    is_offered=lambda instance: not instance.is_disabled and instance.is_connected,
    effect=_("Programs cannot use it until you enable it again."),
    done=_("%(name)s is disabled."),
    needs_confirmation=True,
    verb=partial(set_enabled, is_enabled=False),
)
DELETE = Action(
    name="delete",
    label=_("Delete"),
    is_offered=lambda _instance: True,
    effect=_(
        "It is deleted here and on its platform. Its access is revoked if the provider supports that, and programs "
        "that use it stop working. Recorded exchanges are kept. This cannot be undone."
    ),
    in_progress=_("Deleting …"),
    done=_("%(name)s was deleted."),
    permission=InstancePermission.DELETE,
    needs_confirmation=True,
    is_destructive=True,
    verb=delete_instance,
)
ACTIONS: dict[str, Action] = {
    action.name: action
    for action in (
        PROVISION,
        AUTHORIZE,
        CHECK,
        REAUTHENTICATE,
        LINK,
        TRY,
        EDIT,
        CERTIFICATE,
        REVEAL,
        REPLACE,
        ENABLE,
        DISABLE,
        DELETE,
    )
}


def permitted_actions(instance: Instance, user: User | AnonymousUser) -> list[Action]:
    """Return the actions that a page offers this user."""
    offered = [action for action in ACTIONS.values() if action.is_offered(instance)]
    needed = {action.permission for action in offered}
    held = {permission for permission in needed if is_permitted(user, instance, permission)}
    return [action for action in offered if action.permission in held]
