"""The page that replaces an Element token, and shows the new one to those who may see it."""

from datetime import timedelta

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _, gettext_lazy

from instances.errors import InstancesError
from instances.models import Instance
from instances.pages.confirm import show_token
from instances.pages.frames import Frame
from instances.provisioning.access.permissions import InstancePermission, is_permitted
from instances.provisioning.access.tokens import replace_token
from instances.provisioning.actions import Action

_OVERLAPS = {
    "0": gettext_lazy("At once, because it leaked"),
    "1": gettext_lazy("In an hour"),
    "24": gettext_lazy("In a day"),
    "168": gettext_lazy("In a week"),
}


class ReplaceForm(forms.Form):
    overlap = forms.ChoiceField(
        label=gettext_lazy("The old token ends"),
        choices=list(_OVERLAPS.items()),
        help_text=gettext_lazy("Until then, both tokens work."),
    )

    @property
    def duration(self) -> timedelta:
        return timedelta(hours=int(self.cleaned_data["overlap"]))


def replace_page(
    request: HttpRequest, instance: Instance, action: Action, *, frame: Frame
) -> HttpResponse:
    form = ReplaceForm(request.POST if request.method == "POST" else None)
    if form.is_valid() and _replace(request, instance, form):
        messages.success(request, str(action.done) % {"name": instance.name})
        if is_permitted(request.user, instance, InstancePermission.REVEAL):
            return show_token(request, instance, frame=frame)
        return redirect(frame.instance_url(instance))
    context = {
        "title": action.label,
        "text": _("%(name)s: programs that use it need the new token.") % {"name": instance.name},
        "original": instance,
        "form": form,
        "submit": action.label,
        "back_url": frame.instance_url(instance),
    }
    return frame.render(request, "edit.html", context)


def _replace(request: HttpRequest, instance: Instance, form: ReplaceForm) -> bool:
    try:
        replace_token(instance, actor=request.user.get_username(), overlap=form.duration)
    except InstancesError as refusal:
        form.add_error(None, str(refusal))
        return False
    return True
