"""Lists of hosts in forms: validated, and stored as catalogue/hosts.py reads them."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from unfold.widgets import UnfoldAdminTextareaWidget

from instances.catalogue.hosts import parse_pattern


class HostsField(forms.CharField):
    """One host or pattern per line; the value is a list of patterns."""

    def __init__(self, **kwargs: Any) -> None:
        for name in ("encoder", "decoder"):
            kwargs.pop(name, None)
        # The previous value comes from the row, never from a hidden field, which a request can forge.
        options = {"widget": UnfoldAdminTextareaWidget, "show_hidden_initial": False}
        super().__init__(**kwargs | options)

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        return clean_hosts((super().to_python(value) or "").split())

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return set(initial or ()) != set(self.to_python(data))
        except forms.ValidationError:
            return True


def clean_hosts(entered: Iterable[str]) -> list[str]:
    """Parse into patterns without duplicates. Raises ValidationError that names an invalid one."""
    try:
        return list(dict.fromkeys(parse_pattern(text) for text in entered))
    except ValueError as error:
        raise forms.ValidationError(str(error)) from None


def clean_private_hosts(entered: Any) -> dict[str, list[str]]:
    """Validate hosts by element key. Raises ValidationError."""
    is_mapping = isinstance(entered or {}, dict) and all(
        isinstance(hosts, list) and all(isinstance(host, str) for host in hosts)
        for hosts in (entered or {}).values()
    )
    if not is_mapping:
        raise forms.ValidationError(
            _('Enter {"element key": ["host", "host:port"]}, or {} for none.')
        )
    return {key: clean_hosts(hosts) for key, hosts in (entered or {}).items()}
