"""Parts of the admin's lists: active filters, and rows that are cards on narrow screens."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib.admin import SimpleListFilter
from django.contrib.admin.utils import NotRelationField, get_fields_from_path
from django.contrib.admin.views.main import PAGE_VAR, SEARCH_VAR, ChangeList
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db.models import BooleanField, Field, Model
from django.http import HttpRequest
from django.template import Library
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

register = Library()

# A cell as Unfold writes it; the first class names the column.
_CELL = re.compile(r'<(t[dh]) class="([\w-]+)[^"]*">(.*)</t[dh]>', re.DOTALL)
_EMPTY = "-"


@dataclass(frozen=True, slots=True)
class ActiveFilter:
    """One condition of a list. url: the same list without it."""

    label: str
    value: str
    url: str


@register.simple_tag(takes_context=True)
def active_filters(context: Any, changelist: ChangeList) -> list[ActiveFilter]:
    """Return the search and each chosen value of each filter."""
    request = context["request"]
    found = []
    if changelist.query:
        url = _url_without(request, SEARCH_VAR, changelist.query)
        found.append(ActiveFilter(_("Search"), changelist.query, url))
    own = {
        name: spec
        for spec in changelist.filter_specs
        if isinstance(spec, SimpleListFilter)
        for name in spec.expected_parameters()
    }
    for name in changelist.get_filters_params():
        for value in filter(None, request.GET.getlist(name)):
            describe = _describe_own(own[name], value) if name in own else None
            label, text = describe or _describe_field(changelist, request, name, value)
            found.append(ActiveFilter(label, text, _url_without(request, name, value)))
    return found


def _url_without(request: HttpRequest, name: str, value: str) -> str:
    query = request.GET.copy()
    query.pop(PAGE_VAR, None)
    query.setlist(name, [other for other in query.getlist(name) if other != value])
    return f"?{query.urlencode()}"


def _describe_own(spec: Any, value: str) -> tuple[str, str]:
    choices = {str(key): str(text) for key, text in spec.lookup_choices or ()}
    return str(spec.title), choices.get(value, value)


def _describe_field(
    changelist: ChangeList, request: HttpRequest, name: str, value: str
) -> tuple[str, str]:
    """Name the field of a lookup such as `element__id__exact`, and its value."""
    path = re.sub(r"(__(id|pk))?(__exact)?$", "", name)
    try:
        field = get_fields_from_path(changelist.model, path)[-1]
    except (FieldDoesNotExist, NotRelationField):
        return name, value
    text = _text_of_value(changelist, request, field, value) if path != name else None
    return str(field.verbose_name), text or value


def _text_of_value(
    changelist: ChangeList, request: HttpRequest, field: Field[Any, Any], value: str
) -> str | None:
    if isinstance(field, BooleanField):
        return _("Yes") if value == "1" else _("No")
    if field.is_relation:
        return _name_of(changelist, request, field.related_model, value)
    return dict(field.flatchoices).get(value)


def _name_of(changelist: ChangeList, request: HttpRequest, model: Any, value: str) -> str | None:
    """Return the name of a row that the user may see."""
    site = changelist.model_admin.admin_site
    if not site.is_registered(model):
        return None
    try:
        row: Model | None = site.get_model_admin(model).get_object(request, value)
    except (ValueError, ValidationError):
        return None
    return str(row) if row else None


@register.filter
def cells(row: Iterable[str], headers: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yield the cells of a row, each with its column's label, which is shown where the row is a card."""
    for cell, header in zip(row, headers, strict=True):
        yield _labelled(cell, str(header["text"]))


def _labelled(cell: str, label: str) -> str:
    parts = _CELL.fullmatch(cell)
    if parts is None:
        return cell
    tag, column, content = parts.groups()
    # Unfold has escaped it.
    inner = SafeString(content)
    if column == "action-checkbox":
        return format_html('<td role="cell" class="im-pick">{}</td>', inner)
    if tag == "th":
        return format_html(
            '<th role="rowheader" scope="row" class="im-title-cell {}">{}</th>', column, inner
        )
    empty = " im-narrow-hide" if content == _EMPTY else ""
    return format_html(
        '<td role="cell" class="{}{}" data-label="{}"><span>{}</span></td>',
        column,
        empty,
        label[:1].upper() + label[1:],
        inner,
    )
