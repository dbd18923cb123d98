"""Make the sandbox misbehave on request, to see how the product reacts."""

import time
from collections.abc import Callable
from functools import wraps
from typing import Concatenate

from django.db import models
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _

from instances.sandbox.authorization_server import microsoft_error
from instances.sandbox.models import Behaviour, CrmRecord, Grant, Token

RETRY_AFTER_SECONDS = 7


class Switch(models.TextChoices):
    """Ways to misbehave. The labels are the texts of the buttons."""

    DENY = "deny", _("Deny the next authorization")
    EXPIRE = "expire", _("Expire all access tokens")
    REVOKE = "revoke", _("Revoke all grants")
    FAIL = "fail", _("Answer 500")
    HTML = "html", _("Answer with an HTML page")
    LIMIT = "limit", _("Answer 429")
    SLOW = "slow", _("Be slow")
    RESET = "reset", _("Reset CRM records")
    NORMAL = "normal", _("Back to normal")


def flip(switch: Switch, *, delay_seconds: int = 0) -> None:
    """Apply a switch. delay_seconds is used only for Switch.SLOW."""
    Behaviour.current()
    behaviour = Behaviour.objects.all()
    match switch:
        case Switch.DENY:
            behaviour.update(is_next_denied=True)
        case Switch.EXPIRE:
            Token.objects.expire()
        case Switch.REVOKE:
            Grant.objects.revoke()
        case Switch.FAIL:
            behaviour.update(fault=Behaviour.Fault.SERVER_ERROR)
        case Switch.HTML:
            behaviour.update(fault=Behaviour.Fault.HTML_PAGE)
        case Switch.LIMIT:
            behaviour.update(fault=Behaviour.Fault.TOO_MANY_CALLS)
        case Switch.RESET:
            CrmRecord.objects.all().delete()
        case Switch.SLOW:
            behaviour.update(delay_seconds=delay_seconds)
        case Switch.NORMAL:
            behaviour.update(is_next_denied=False, fault=Behaviour.Fault.NONE, delay_seconds=0)


def misbehaving[**P](
    view: Callable[Concatenate[HttpRequest, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """Delay or fail an endpoint that programs call, if a switch says so."""

    @wraps(view)
    def misbehave(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        behaviour = Behaviour.current()
        time.sleep(behaviour.delay_seconds)
        match behaviour.fault:
            case Behaviour.Fault.SERVER_ERROR:
                body = microsoft_error("server_error", "The sandbox was asked to answer 500.")
                return JsonResponse(body, status=500)
            case Behaviour.Fault.HTML_PAGE:
                return render(request, "sandbox/maintenance.html")
            case Behaviour.Fault.TOO_MANY_CALLS:
                error = {"code": "0x80072322", "message": "The sandbox was asked to answer 429."}
                headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
                return JsonResponse({"error": error}, status=429, headers=headers)
            case _:
                return view(request, *args, **kwargs)

    return misbehave
