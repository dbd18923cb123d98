"""The form that begins a new instance."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelect
from django.contrib.auth.models import AnonymousUser, User
from django.utils.translation import gettext_lazy as _

from instances.errors import RetiredElementError
from instances.models import Element, Instance, OrganizationUser


class ChoiceForm(forms.Form):
    """The organization user and the element of a new instance."""

    organization_user = forms.ModelChoiceField(
        OrganizationUser.objects.none(), label=_("Organization user")
    )
    element = forms.ModelChoiceField(
        Element.objects.active(),
        label=_("Element"),
        help_text=_("Search by name, key or hub."),
    )

    def __init__(self, user: User | AnonymousUser, data: Any = None) -> None:
        super().__init__(data)
        users = OrganizationUser.objects.operated_by(user).select_related("organization")
        offered = Element.objects.active().offered_to(users.values("organization"))
        self.fields["organization_user"].queryset = users  # type: ignore[attr-defined]
        self.fields["element"].queryset = offered  # type: ignore[attr-defined]
        for name, field in self.fields.items():
            source = Instance._meta.get_field(name)
            field.widget = AutocompleteSelect(source, admin.site)
            field.widget.choices = field.choices  # type: ignore[attr-defined]

    def clean_element(self) -> Element:
        element: Element = self.cleaned_data["element"]
        if retirement := element.parsed.retirement:
            raise forms.ValidationError(str(RetiredElementError(element.name, retirement)))
        return element

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        owner, element = cleaned.get("organization_user"), cleaned.get("element")
        if owner and element and not element.is_offered_to(owner.organization_id):
            names = {"organization": owner.organization, "element": element.name}
            text = _("%(organization)s may not use %(element)s. Ask an administrator to offer it.")
            self.add_error("element", text % names)
        return cleaned
