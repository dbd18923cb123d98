"""Authorization links for their creators: create, show once, send by email, revoke."""

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _, gettext_lazy

from instances.errors import InputError, InstancesError
from instances.models import AuthorizationLink, Instance
from instances.pages.frames import permitted_instance, signed_in_user
from instances.provisioning.access.permissions import InstancePermission
from instances.provisioning.oauth.links import NewLink, make_link, revoke_link, send_link
from instances.selfservice.pages import self_service


class LinkForm(forms.Form):
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


@self_service
def make(request: HttpRequest, pk: int) -> HttpResponse:
    """Create a link. The response to the POST shows it; afterwards it cannot be shown again."""
    instance = permitted_instance(request, pk, InstancePermission.CHANGE)
    form = LinkForm(request.POST if request.method == "POST" else None)
    if form.is_valid() and (new_link := _make(request, instance, form)):
        context = {"instance": instance, "new_link": new_link}
        return render(request, "instances/connect/link_made.html", context)
    return render(request, "instances/connect/make_link.html", {"instance": instance, "form": form})


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


@self_service
def revoke(request: HttpRequest, pk: int) -> HttpResponse:
    """Revoke a link: a GET asks, the POST acts."""
    rows = AuthorizationLink.objects.visible_to(signed_in_user(request)).select_related("made_by")
    link = get_object_or_404(rows, pk=pk)
    instance = permitted_instance(request, link.instance_id, InstancePermission.CHANGE)
    if request.method != "POST":
        return render(request, "instances/connect/revoke_link.html", {"link": link})
    try:
        revoke_link(link, user=signed_in_user(request))
    except InstancesError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("The link was revoked."))
    return redirect("connection", instance.pk)
