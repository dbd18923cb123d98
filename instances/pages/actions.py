"""The pages of actions, in the admin and in self-service."""

from django.http import Http404, HttpRequest, HttpResponse

from instances.pages.confirm import confirm_page
from instances.pages.frames import Frame, permitted_instance
from instances.provisioning.actions import ACTIONS, EDIT, LINK, REAUTHENTICATE

_WITH_OWN_PAGE = {REAUTHENTICATE, EDIT, LINK}


def action_page(request: HttpRequest, pk: int, name: str, *, frame: Frame) -> HttpResponse:
    """Show the page of an action on an instance."""
    action = ACTIONS.get(name)
    if action is None or action in _WITH_OWN_PAGE:
        raise Http404
    instance = permitted_instance(request, pk, action.permission)
    return confirm_page(request, instance, action, frame=frame)
