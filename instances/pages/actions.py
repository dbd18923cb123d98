"""Actions on the pages of an instance: their buttons, and the page that each one opens."""

from collections.abc import Callable
from dataclasses import dataclass

from django.http import Http404, HttpRequest, HttpResponse

from instances.models import Instance
from instances.pages.certificate import certificate_page
from instances.pages.configure import reauthenticate_page
from instances.pages.confirm import confirm_page
from instances.pages.edit import edit_page
from instances.pages.frames import Frame, permitted_instance
from instances.pages.links import link_page
from instances.pages.replace_token import replace_page
from instances.pages.try_it import try_page
from instances.provisioning.actions import (
    ACTIONS,
    CERTIFICATE,
    EDIT,
    LINK,
    REAUTHENTICATE,
    REPLACE,
    TRY,
    Action,
)

# The other actions are confirmed.
_PAGES: dict[str, Callable[..., HttpResponse]] = {
    REAUTHENTICATE.name: reauthenticate_page,
    LINK.name: link_page,
    EDIT.name: edit_page,
    CERTIFICATE.name: certificate_page,
    REPLACE.name: replace_page,
    TRY.name: try_page,
}


@dataclass(frozen=True, slots=True)
class Button:
    """The button of an action. opens_page: it leads to a page, and does not act itself."""

    action: Action
    url: str
    opens_page: bool


def button_of(action: Action, instance: Instance, *, frame: Frame) -> Button:
    opens_page = action.needs_confirmation or action.name in _PAGES
    return Button(action, frame.action_url(action, instance), opens_page)


def action_page(request: HttpRequest, pk: int, name: str, *, frame: Frame) -> HttpResponse:
    """Show the page of an action on an instance, or carry it out."""
    action = ACTIONS.get(name)
    if action is None:
        raise Http404
    instance = permitted_instance(request, pk, action.permission)
    page = _PAGES.get(name, confirm_page)
    return page(request, instance, action, frame=frame)
