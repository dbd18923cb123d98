"""Upload a file of instances. Its first rows are checked at once; a task reads it."""

import io
from pathlib import PurePath
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import AutocompleteSelect
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import InMemoryUploadedFile
from django.core.files.uploadhandler import FileUploadHandler, SkipFile
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _, gettext_lazy
from django.views.decorators.csrf import csrf_protect
from unfold.widgets import UnfoldAdminFileFieldWidget, UnfoldAdminSelectWidget, UnfoldBooleanWidget

from instances.bulk import tasks
from instances.bulk.admin.actions import later
from instances.bulk.files.csv_files import csv_template
from instances.bulk.files.lines import WINDOWS_1252
from instances.bulk.reading import check_head, store_upload
from instances.errors import InputError, TaskNotEnqueuedError
from instances.models import BulkJob, Element, Instance, Organization, OrganizationUser
from instances.pages.admin_pages import ModelAdmin, render_page

MAX_UPLOAD_BYTES = 64 * 1024 * 1024


class MemoryUploadHandler(FileUploadHandler):
    """Keep an upload in memory, since it is full of secrets.

    A file that is too large is dropped.
    """

    is_too_long = False

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self._content = io.BytesIO()

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        if start + len(raw_data) > MAX_UPLOAD_BYTES:
            self.is_too_long = True
            raise SkipFile
        self._content.write(raw_data)

    def file_complete(self, file_size: int) -> InMemoryUploadedFile:
        self._content.seek(0)
        return InMemoryUploadedFile(
            self._content,
            self.field_name,
            self.file_name or "",
            self.content_type or "",
            file_size,
            self.charset,
        )


class UploadForm(forms.Form):
    """A file of instances, and the organization user that they belong to."""

    organization_user = forms.ModelChoiceField(
        OrganizationUser.objects.none(),
        label=gettext_lazy("Organization user"),
    )
    element = forms.ModelChoiceField(
        Element.objects.active(),
        label=gettext_lazy("Default element"),
        required=False,
        help_text=gettext_lazy("Used for rows that do not name an element."),
    )
    file = forms.FileField(
        label=gettext_lazy("File"),
        widget=UnfoldAdminFileFieldWidget,
        help_text=gettext_lazy(
            "CSV, Excel (.xlsx), JSON Lines or a JSON list. The file is stored encrypted, and deleted once it has been read."
        ),
    )
    encoding = forms.ChoiceField(
        label=gettext_lazy("Text encoding"),
        choices=[
            ("", gettext_lazy("UTF-8 or UTF-16")),
            (WINDOWS_1252, gettext_lazy("Windows-1252 or ISO-8859-1")),
        ],
        required=False,
        widget=UnfoldAdminSelectWidget,
    )
    is_skipping_existing = forms.BooleanField(
        label=gettext_lazy("Skip instances that already exist (same name and element)"),
        required=False,
        widget=UnfoldBooleanWidget,
    )

    is_allowing_duplicates = forms.BooleanField(
        label=gettext_lazy("Create duplicates (same name and element as another row or instance)"),
        required=False,
        widget=UnfoldBooleanWidget,
    )

    def __init__(self, *args: Any, user: User | AnonymousUser, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        users = OrganizationUser.objects.operated_by(user).select_related("organization")
        cast(forms.ModelChoiceField[Any], self.fields["organization_user"]).queryset = users
        for name in ("organization_user", "element"):
            _search_for(name, self.fields[name])

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("is_skipping_existing") and cleaned.get("is_allowing_duplicates"):
            self.add_error(
                "is_allowing_duplicates", _("Either skip existing instances, or create duplicates.")
            )
        return cleaned


class TemplateForm(forms.Form):
    """The element to download a CSV template for."""

    element = forms.ModelChoiceField(Element.objects.active(), label=gettext_lazy("Element"))

    prefix = "template"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _search_for("element", self.fields["element"])


def upload_page(model_admin: ModelAdmin, request: HttpRequest) -> HttpResponse:
    """Read a file into a draft job, and start its dry run.

    The view is exempt from CSRF and checks it here instead: the upload handler must be set before the request is read.
    """
    if not model_admin.has_add_permission(request):
        raise PermissionDenied
    handler = MemoryUploadHandler(request)
    request.upload_handlers = [handler]
    answer: HttpResponse = csrf_protect(_upload_page)(request, model_admin, handler)
    return answer


def template_file(model_admin: ModelAdmin, request: HttpRequest) -> HttpResponse:
    """Send a CSV template for the chosen element."""
    if not model_admin.has_add_permission(request):
        raise PermissionDenied
    chosen = request.GET.get("template-element", "")
    pk = int(chosen) if chosen.isascii() and chosen.isdecimal() else 0
    organizations = Organization.objects.operated_by(request.user)
    elements = Element.objects.active().offered_to(organizations)
    element = get_object_or_404(elements, pk=pk)
    headers = {"Content-Disposition": f'attachment; filename="{element.key}.csv"'}
    return HttpResponse(csv_template(element), content_type="text/csv", headers=headers)


def _upload_page(
    request: HttpRequest, model_admin: ModelAdmin, handler: MemoryUploadHandler
) -> HttpResponse:
    sent = (request.POST, request.FILES) if request.method == "POST" else ()
    form = UploadForm(*sent, user=request.user)
    if handler.is_too_long:
        megabytes = MAX_UPLOAD_BYTES // 1024 // 1024
        form.add_error(
            None,
            _(
                "The file is larger than %d MB. Split it, or run manage.py provision_instances instead."
            )
            % megabytes,
        )
    elif form.is_valid() and (job := _store(request, form)):
        model_admin.log_addition(request, job, _("Uploaded."))
        messages.success(
            request,
            _(
                "The file was uploaded. Once it has been read, check the dry run, then start the job."
            ),
        )
        try:
            tasks.enqueue_bulk_job(job)
        except TaskNotEnqueuedError as error:
            messages.warning(request, later(error))
        return redirect("admin:instances_bulkjob_change", job.pk)
    context = {"title": _("Bulk upload"), "form": form, "template_form": TemplateForm()}
    return render_page(model_admin, request, "bulk_upload.html", context)


def _store(request: HttpRequest, form: UploadForm) -> BulkJob | None:
    """Store the file as a job.

    Returns None if it cannot be read, as far as its first rows show, with the reason added to the form.
    """
    chosen = form.cleaned_data
    file = chosen["file"].file
    how = {
        "default_element": chosen["element"].key if chosen["element"] else "",
        "encoding": chosen["encoding"],
    }
    try:
        check_head(file, **how)
    except InputError as refusal:
        form.add_error("file", str(refusal))
        return None
    file.seek(0)
    return store_upload(
        file,
        organization_user=chosen["organization_user"],
        actor=request.user.get_username(),
        name=PurePath(chosen["file"].name).name[:200],
        is_skipping_existing=chosen["is_skipping_existing"],
        is_allowing_duplicates=chosen["is_allowing_duplicates"],
        **how,
    )


def _search_for(name: str, field: forms.Field) -> None:
    field.widget = AutocompleteSelect(Instance._meta.get_field(name), admin.site)
    field.widget.choices = field.choices  # type: ignore[attr-defined]
    field.widget.is_required = field.required
