"""The page of an instance: its status with the right next step, the facts that matter, and one timeline."""

from collections.abc import Iterable
from typing import Any

from django.contrib.auth.models import User
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.text import capfirst
from django.utils.translation import gettext as _, ngettext

from instances.models import Instance
from instances.pages.actions import Button, button_of
from instances.pages.availability import instance_notices
from instances.pages.facts import MAX_COUNTED, bounded, configuration_of, details_of, key_facts
from instances.pages.frames import Frame, permitted_instance, signed_in_user
from instances.pages.timeline import timeline_of
from instances.pages.usage import chart_of, usage_of
from instances.provisioning.access.permissions import InstancePermission
from instances.provisioning.actions import (
    CERTIFICATE,
    CHECK,
    DELETE,
    DISABLE,
    EDIT,
    REAUTHENTICATE,
    TRY,
    Action,
    permitted_actions,
)
from instances.provisioning.lifecycle.states import State
from instances.provisioning.status.audience import audiences_for
from instances.provisioning.status.explain import (
    Explanation,
    explain,
    explain_unverified,
    remedies_of,
)
from instances.provisioning.status.meaning import Status, facts_of, meaning_of
from instances.times import format_time

LINKS = 10
_DANGER = (DISABLE, DELETE)


def instance_page(request: HttpRequest, pk: int, *, frame: Frame) -> HttpResponse:
    instance = permitted_instance(request, pk, InstancePermission.VIEW)
    if request.method not in {"GET", "HEAD"}:
        return HttpResponseNotAllowed(["GET", "HEAD"])
    user = signed_in_user(request)
    audience = audiences_for(user)(instance)
    explanation = explain(instance, audience)
    offered = permitted_actions(instance, user)
    remedies = [
        action for action in remedies_of(instance, explanation, audience) if action in offered
    ]
    daily = [action for action in (TRY, CHECK) if action in offered and not explanation]
    elsewhere = (*remedies, *daily, *_DANGER, CERTIFICATE)
    others = [action for action in offered if action not in elsewhere]
    has_exchanges = user.has_perm("instances.view_interaction")
    status = meaning_of(facts_of(instance)).status
    position = request.GET.get("before", "")
    context_line = _context_line(instance, user, frame)
    usage = usage_of(instance)

    def buttons(actions: Iterable[Action]) -> list[Button]:
        return [button_of(action, instance, frame=frame) for action in actions]

    context = {
        "title": instance.name,
        "original": instance,
        "status": status,
        "status_text": capfirst(status.label),
        "explanation": explanation,
        "unverified_text": explain_unverified(instance),
        "since": _since(instance) if explanation else "",
        "same_account": _same_account(request, instance, frame),
        "same_cause": _same_cause(request, instance, frame) if explanation else None,
        "exchange_url": _exchange_url(explanation, frame) if has_exchanges else "",
        "remedies": buttons(remedies),
        "daily": buttons(daily),
        # The next step, if nothing is wrong.
        "primary": CHECK if status == Status.UNVERIFIED else TRY,
        "menu": buttons(others),
        "danger": buttons(action for action in _DANGER if action in offered),
        "edit_url": frame.action_url(EDIT, instance) if EDIT in offered else "",
        "configure_url": (
            frame.action_url(REAUTHENTICATE, instance) if REAUTHENTICATE in offered else ""
        ),
        "context_line": context_line,
        "notices": instance_notices(instance),
        "key_facts": key_facts(instance, usage, has_exchanges=frame.is_admin and has_exchanges),
        "chart": chart_of(usage) if has_exchanges and usage.calls else None,
        "details": details_of(
            instance,
            certificate_url=(
                frame.action_url(CERTIFICATE, instance) if CERTIFICATE in offered else ""
            ),
        ),
        "configuration": configuration_of(instance),
        "links": _links(instance, frame) if EDIT in offered else [],
        "is_older": bool(position),
        "timeline": timeline_of(instance, position=position, has_exchanges=has_exchanges),
    }
    return frame.render(request, "instance.html", context)


def _context_line(instance: Instance, user: User, frame: Frame) -> list[tuple[str, str]]:
    """Return element, owner and organization, each with its page in the admin if the user may view it."""
    owner = instance.organization_user
    facts = [
        (str(instance.element), instance.element),
        (owner.email, owner),
        (str(owner.organization), owner.organization),
    ]
    return [(text, _page_of(row, user) if frame.is_admin else "") for text, row in facts]


def _page_of(row: Model, user: User) -> str:
    name = row._meta.model_name
    rows = type(row)._default_manager.all()
    if hasattr(rows, "visible_to"):
        rows = rows.visible_to(user)
    may_view = user.has_perm(f"instances.view_{name}") and rows.filter(pk=row.pk).exists()
    return reverse(f"admin:instances_{name}_change", args=[row.pk]) if may_view else ""


def _since(instance: Instance) -> str:
    """Say since when it has been in a state that somebody must end."""
    if instance.state not in {State.FAILED, State.NEEDS_REAUTHORIZATION}:
        return ""
    return _("Since %(time)s.") % {"time": format_time(instance.state_changed_at)}


def _exchange_url(explanation: Explanation | None, frame: Frame) -> str:
    """Return the address of the exchange that shows the cause."""
    if explanation is None or explanation.interaction is None or not frame.is_admin:
        return ""
    return reverse("admin:instances_interaction_change", args=[explanation.interaction.pk])


def _same_cause(request: HttpRequest, instance: Instance, frame: Frame) -> dict[str, str] | None:
    """Say how many other instances have the same cause, with a link to them."""
    if not (frame.is_admin and instance.cause):
        return None
    rows = Instance.objects.listed_for(request.user).with_problem(instance.cause)
    count = rows.filter(state=instance.state).exclude(pk=instance.pk)[:MAX_COUNTED].count()
    if not count:
        return None
    text = ngettext(
        "%(count)s other instance has the same cause.",
        "%(count)s other instances have the same cause.",
        count,
    )
    query = urlencode({"state__exact": instance.state, "cause": instance.cause})
    return {
        "text": text % {"count": bounded(count)},
        "url": f"{frame.list_url}?{query}",
        "label": _("Show them"),
    }


def _same_account(request: HttpRequest, instance: Instance, frame: Frame) -> dict[str, str] | None:
    """Say how many other instances that the user may see have the same account, with a link to them."""
    rows = Instance.objects.listed_for(request.user).of_account(instance.account_digest)
    count = rows.exclude(pk=instance.pk)[:MAX_COUNTED].count() if instance.account_digest else 0
    if not count:
        return None
    text = ngettext(
        "%(count)s other instance connects the same account.",
        "%(count)s other instances connect the same account.",
        count,
    )
    query = urlencode({"account_of": instance.pk})
    url = f"{frame.list_url}?{query}" if frame.is_admin else ""
    return {"text": text % {"count": bounded(count)}, "url": url, "label": _("Show them")}


def _links(instance: Instance, frame: Frame) -> list[dict[str, Any]]:
    rows = instance.links.with_status().select_related("made_by")[:LINKS]
    return [
        {
            "link": link,
            "revoke_url": reverse(frame.revoke_name, args=[link.pk]) if link.is_revocable else "",
        }
        for link in rows
    ]
