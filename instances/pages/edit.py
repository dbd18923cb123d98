"""The page that changes the name and tags of an instance."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from instances.errors import InputError, StateConflictError
from instances.models import Instance
from instances.pages.forms import RenameForm
from instances.pages.frames import Frame
from instances.provisioning.actions import Action
from instances.provisioning.update import rename_instance


def edit_page(
    request: HttpRequest, instance: Instance, action: Action, *, frame: Frame
) -> HttpResponse:
    stored = {"name": instance.name, "tags": ", ".join(instance.tag_names)}
    form = RenameForm(request.POST if request.method == "POST" else None, initial=stored)
    if form.is_valid() and _rename(request, instance, form):
        messages.success(request, str(action.done) % {"name": instance.name})
        return redirect(frame.instance_url(instance))
    context = {
        "title": action.label,
        "original": instance,
        "form": form,
        "back_url": frame.instance_url(instance),
    }
    return frame.render(request, "edit.html", context)


def _rename(request: HttpRequest, instance: Instance, form: RenameForm) -> bool:
    try:
        rename_instance(instance, actor=request.user.get_username(), **form.changes)
    except (InputError, StateConflictError) as refusal:
        form.add_error(None, str(refusal))
        return False
    return True
