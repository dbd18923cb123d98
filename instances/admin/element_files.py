"""Upload an element file: see its problems and what it changes, then install it."""

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.formats import localize
from django.utils.translation import gettext as _, gettext_lazy
from unfold.widgets import UnfoldAdminFileFieldWidget, UnfoldAdminTextareaWidget

from instances.errors import CatalogueError
from instances.models import Element
from instances.pages.admin_pages import ModelAdmin, render_page
from instances.provisioning.element_changes import (
    MAX_FILE_BYTES,
    ElementChange,
    apply_change,
    change_of,
)

_COLUMNS = (
    gettext_lazy("Setting"),
    gettext_lazy("Installed"),
    gettext_lazy("In the file"),
    gettext_lazy("Instances that use it"),
)
_MAX_VALUE_CHARACTERS = 300
_MAX_LOGGED_PLACES = 20
_MAX_NAME = 200


class ElementFileForm(forms.Form):
    """An element file, uploaded or pasted."""

    file = forms.FileField(
        label=gettext_lazy("Element file (.toml)"),
        required=False,
        widget=UnfoldAdminFileFieldWidget,
        max_length=_MAX_NAME,
    )
    text = forms.CharField(
        label=gettext_lazy("Or its text"),
        required=False,
        strip=False,
        max_length=MAX_FILE_BYTES,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 12, "spellcheck": "false"}),
    )

    def clean_file(self) -> "UploadedFile[Any] | None":
        file: UploadedFile[Any] | None = self.cleaned_data["file"]
        if file and (file.size or 0) > MAX_FILE_BYTES:
            raise forms.ValidationError(
                _("The file is longer than %d bytes. Is it an element file?") % MAX_FILE_BYTES
            )
        return file

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors and bool(cleaned["file"]) == bool(cleaned["text"]):
            raise forms.ValidationError(_("Either choose a file, or paste its text."))
        return cleaned

    @property
    def content(self) -> bytes:
        file: UploadedFile[Any] | None = self.cleaned_data["file"]
        if file is None:
            return str(self.cleaned_data["text"]).encode(errors="replace")
        file.seek(0)
        return bytes(file.read())

    @property
    def file_name(self) -> str:
        file: UploadedFile[Any] | None = self.cleaned_data["file"]
        return (file.name if file else self.data.get("name", "")[:_MAX_NAME]) or "element.toml"


def upload_page(model_admin: ModelAdmin, request: HttpRequest) -> HttpResponse:
    """Show the form, then what the file changes, then install it."""
    if not model_admin.has_add_permission(request):
        raise PermissionDenied
    if request.method != "POST":
        return _render_form(model_admin, request, ElementFileForm())
    form = ElementFileForm(request.POST, request.FILES)
    if not form.is_valid():
        return _render_form(model_admin, request, form)
    try:
        return _answer(model_admin, request, form)
    except CatalogueError as error:
        for problem in str(error).splitlines():
            form.add_error(None, problem)
        return _render_form(model_admin, request, form)


def _answer(model_admin: ModelAdmin, request: HttpRequest, form: ElementFileForm) -> HttpResponse:
    """Install what was seen; otherwise show it."""
    mark = request.POST.get("mark", "")
    if not mark:
        return _render_change(model_admin, request, form)
    change = apply_change(form.content, form.file_name, mark=mark)
    if change is None:
        text = _("The installed element has changed since you looked. Check the difference again.")
        messages.warning(request, text)
        return _render_change(model_admin, request, form)
    _log(model_admin, request, change)
    messages.success(request, _("%s was installed.") % change.definition.name)
    return redirect("admin:instances_element_change", change.definition.id)


def _log(model_admin: ModelAdmin, request: HttpRequest, change: ElementChange) -> None:
    element = Element.objects.get(pk=change.definition.id)
    if change.installed is None:
        model_admin.log_addition(request, element, _("Installed from a file."))
        return
    places = [difference.place for difference in change.differences]
    shown = ", ".join(places[:_MAX_LOGGED_PLACES])
    more = "" if len(places) <= _MAX_LOGGED_PLACES else " …"
    model_admin.log_change(
        request, element, _("Installed from a file. Changed: %s.") % (shown + more)
    )


def _render_form(
    model_admin: ModelAdmin, request: HttpRequest, form: ElementFileForm
) -> HttpResponse:
    visible = {"title": _("Add or change an element"), "form": form}
    return render_page(model_admin, request, "element_file.html", visible)


def _render_change(
    model_admin: ModelAdmin, request: HttpRequest, form: ElementFileForm
) -> HttpResponse:
    change = change_of(form.content, form.file_name)
    context = {
        "title": change.definition.name,
        "change": change,
        "columns": [str(column) for column in _COLUMNS],
        "rows": _rows_of(change),
        "sent": {
            "text": form.content.decode(errors="replace"),
            "name": form.file_name,
            "mark": change.mark,
        },
    }
    return render_page(model_admin, request, "element_change.html", context)


def _rows_of(change: ElementChange) -> list[list[dict[str, str]]]:
    return [
        [
            {"text": text, "label": str(column)}
            for column, text in zip(
                _COLUMNS,
                (
                    difference.place,
                    _shortened(difference.before),
                    _shortened(difference.after),
                    localize(difference.instances),
                ),
                strict=True,
            )
        ]
        for difference in change.differences
    ]


def _shortened(text: str) -> str:
    return text if len(text) <= _MAX_VALUE_CHARACTERS else f"{text[:_MAX_VALUE_CHARACTERS]}…"
