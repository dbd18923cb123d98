"""The page that reads some records of an instance, and shows them with the same request as curl. Nothing is stored."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from shlex import quote as shell_quote
from time import monotonic
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _, gettext_lazy, ngettext

from instances.errors import InstancesError
from instances.hubs.hub import RecordsPage
from instances.hubs.reading import read_page, resource_names
from instances.models import Instance
from instances.pages.forms import PageForm
from instances.pages.frames import Frame
from instances.provisioning.actions import Action

MAX_COLUMNS = 8
MAX_CELL_CHARACTERS = 80
_ROWS = [5, 10, 25, 50]
_RESOURCE_NAME = r"^[A-Za-z][A-Za-z0-9_.-]{0,99}$"


class TryForm(PageForm):
    """resources: those to choose from; without any, the name is entered."""

    where = forms.CharField(label=gettext_lazy("Where"), required=False, max_length=1000)
    rows = forms.TypedChoiceField(
        label=gettext_lazy("Rows"), choices=[(str(n), str(n)) for n in _ROWS], coerce=int
    )
    # Only in the form below the rows.
    next_page = forms.CharField(required=False, max_length=8000, widget=forms.HiddenInput)

    def __init__(self, resources: Sequence[str], data: Mapping[str, Any] | None = None) -> None:
        super().__init__(data)
        label = gettext_lazy("Resource")
        self.fields["resource"] = (
            forms.ChoiceField(label=label, choices=[(name, name) for name in resources])
            if resources
            else forms.RegexField(_RESOURCE_NAME, label=label)
        )
        self.order_fields(("resource", "where", "rows"))

    @property
    def parameters(self) -> dict[str, str]:
        """Return the query parameters of the call."""
        entered = self.cleaned_data
        named = {
            "pageSize": str(entered["rows"]),
            "where": entered["where"],
            "nextPage": entered["next_page"],
        }
        return {name: value for name, value in named.items() if value}


@dataclass(frozen=True, slots=True)
class Found:
    """What a call returned. rows: of cells, as components/table.html takes them. summary, note: sentences."""

    columns: list[str]
    rows: list[list[dict[str, str]]]
    summary: str
    note: str
    next_page: str


def try_page(
    request: HttpRequest, instance: Instance, action: Action, *, frame: Frame
) -> HttpResponse:
    form = TryForm(
        resource_names(instance.element), request.POST if request.method == "POST" else None
    )
    found, refusal, curl = None, None, ""
    if form.is_valid():
        curl = _curl(instance, form)
        try:
            found = _read(instance, form, actor=request.user.get_username())
        except InstancesError as error:
            refusal = error
    context = {
        "title": action.label,
        "text": f"{instance.name}. {action.effect}",
        "original": instance,
        "form": form,
        "found": found,
        "refusal": refusal,
        "provider_message": getattr(refusal, "provider_message", ""),
        "curl": curl,
        "back_url": frame.instance_url(instance),
    }
    return frame.render(request, "try_it.html", context)


def _read(instance: Instance, form: TryForm, *, actor: str) -> Found:
    begin = monotonic()
    page = read_page(instance, form.cleaned_data["resource"], form.parameters, actor=actor)
    milliseconds = round((monotonic() - begin) * 1000)
    count = len(page.records)
    summary = ngettext(
        "%(count)d row in %(milliseconds)d ms.", "%(count)d rows in %(milliseconds)d ms.", count
    ) % {"count": count, "milliseconds": milliseconds}
    is_traced = instance.is_traced(at=timezone.now())
    kept = (
        _("Trace logging is on, so the beginning of the response was recorded.")
        if is_traced
        else _("No records were stored.")
    )
    return _found(page, f"{summary} {kept}")


def _found(page: RecordsPage, summary: str) -> Found:
    flat = [_flat(record) for record in page.records]
    names = [
        name
        for name in dict.fromkeys(name for record in flat for name in record)
        # The provider's own id field says the same as id.
        if name == "id" or any(record.get(name) != record.get("id") for record in flat)
    ]
    columns = names[:MAX_COLUMNS]
    note = ""
    if len(names) > MAX_COLUMNS:
        note = _("The first %(shown)d of %(all)d fields are shown.") % {
            "shown": MAX_COLUMNS,
            "all": len(names),
        }
    rows = [
        [{"text": _text(record.get(name)), "label": name} for name in columns] for record in flat
    ]
    return Found(columns, rows, summary, note, page.next_page)


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a record side by side: some elements wrap them (contract for hubs, 3 and 4)."""
    for wrapper in ("attributes", "properties"):
        inner = record.get(wrapper)
        if isinstance(inner, dict):
            return {name: value for name, value in record.items() if name != wrapper} | inner
    return dict(record)


def _text(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_CELL_CHARACTERS else f"{text[:MAX_CELL_CHARACTERS]}…"


def _curl(instance: Instance, form: TryForm) -> str:
    """Return the same request as a command, with variables in place of the secrets."""
    path = f"/elements/api-v2/hubs/{instance.element.hub}/{form.cleaned_data['resource']}"
    url = f"{settings.PUBLIC_URL}{path}?{urlencode(form.parameters)}"
    header = '-H "Authorization: User $USER_SECRET, Element $ELEMENT_TOKEN"'
    return f"curl {shell_quote(url)} \\\n  {header}"
