"""Authorization links for their creators: create one, show it once, send it by email, revoke it."""

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _, gettext_lazy

from instances.errors import InputError, InstancesError
from instances.models import AuthorizationLink, Instance
from instances.pages.forms import PageForm
from instances.pages.frames import Frame, permitted_instance, signed_in_user
from instances.provisioning.actions import LINK, Action
from instances.provisioning.oauth.links import NewLink, make_link, revoke_link, send_link


class LinkForm(PageForm):
    """A note for the account owner, and the address to send the link to."""

    note = forms.CharField(
        label=gettext_lazy("Note"),
        max_length=500,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=gettext_lazy("Optional. Shown to the person who opens the link."),
    )
    email = forms.EmailField(
        label=gettext_lazy("Email address"),
        required=False,
        help_text=gettext_lazy("Optional. Leave blank to copy the link and send it yourself."),
    )

    language = forms.ChoiceField(
        label=gettext_lazy("Language of the email"), choices=settings.LANGUAGES, required=False
    )

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        if not settings.CAN_SEND_EMAIL:
            del self.fields["email"], self.fields["language"]


def link_page(
    request: HttpRequest, instance: Instance, action: Action, *, frame: Frame
) -> HttpResponse:
    """Create a link. The response to the POST shows it; afterwards it cannot be shown again."""
    form = LinkForm(request.POST if request.method == "POST" else None)
    context = {
        "title": action.label,
        "original": instance,
        "form": form,
        "back_url": frame.instance_url(instance),
    }
    if form.is_valid() and (new_link := _make(request, instance, form)):
        shown = {
            "secrets": {_("Link"): new_link.url},
            "advice": _(
                "Copy it now; it cannot be shown again. Send it only to the account owner."
            ),
            "done_url": frame.instance_url(instance),
        }
        return frame.render(request, "shown_once.html", context | shown)
    return frame.render(request, "link.html", context)


def _make(request: HttpRequest, instance: Instance, form: LinkForm) -> NewLink | None:
    try:
        new_link = make_link(instance, user=signed_in_user(request), note=form.cleaned_data["note"])
    except InstancesError as refusal:
        form.add_error(None, str(refusal))
        return None
    if address := form.cleaned_data.get("email"):
        try:
            language = form.cleaned_data["language"] or settings.LANGUAGE_CODE
            send_link(new_link, to=address, language=language)
        except InputError as error:
            messages.error(request, str(error))
        else:
            messages.success(request, _("The link was sent to %s.") % address)
    return new_link


def revoke_page(request: HttpRequest, pk: int, *, frame: Frame) -> HttpResponse:
    """Revoke a link: a GET asks, the POST acts."""
    rows = AuthorizationLink.objects.visible_to(signed_in_user(request)).select_related("made_by")
    link = get_object_or_404(rows, pk=pk)
    instance = permitted_instance(request, link.instance_id, LINK.permission)
    if request.method != "POST":
        context = {
            "title": _("Revoke link"),
            "original": instance,
            "effect": _(
                "The link stops working. An account that was connected with it stays connected."
            ),
            "instances": [instance],
            "back_url": frame.instance_url(instance),
        }
        return frame.render(request, "confirmation.html", context)
    try:
        revoke_link(link, user=signed_in_user(request))
    except InstancesError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("The link was revoked."))
    return redirect(frame.instance_url(instance))
