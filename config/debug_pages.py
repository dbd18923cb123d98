"""Django's error pages of DEBUG=true, without the credentials that stand in URLs: settings, environment, locals, messages.

Django masks by name, and no more than settings; a URL of a database, a broker or a mail server shows its password.
"""

import re
from collections.abc import ItemsView
from types import FrameType
from typing import Any

from django.http import HttpRequest
from django.template.defaultfilters import pprint
from django.utils.safestring import SafeString
from django.views.debug import ExceptionReporter, SafeExceptionReporterFilter

# From the scheme to the last @ before a blank or a quote: an unencoded password may hold whatever else there is.
_URL_CREDENTIALS = re.compile(r"://[^\s'\"<>]*@")


class _Text:
    """Shown as this text, without quotes around it."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


class DebugFilter(SafeExceptionReporterFilter):
    hidden_settings = re.compile(
        SafeExceptionReporterFilter.hidden_settings.pattern + "|(CACHE|BROKER|DATABASE|EMAIL)_URL",
        flags=re.IGNORECASE,
    )

    def cleanse_setting(self, key: str | int, value: Any) -> Any:
        """What a setting, a variable of the environment or a cookie is shown as; Django asks for each part of it."""
        cleansed = super().cleanse_setting(key, value)
        if isinstance(cleansed, str):
            return without_credentials(cleansed)
        if isinstance(cleansed, dict | list | tuple | int | float | None):
            return cleansed
        return _shown(cleansed)

    def get_traceback_frame_variables(
        self, request: HttpRequest | None, tb_frame: FrameType
    ) -> ItemsView[str, Any]:
        found = super().get_traceback_frame_variables(request, tb_frame)
        return {name: _shown(value) for name, value in found}.items()


class DebugReporter(ExceptionReporter):
    """Masks what no filter is asked about, too: the exception's message, its notes, lines of code."""

    def get_traceback_html(self) -> SafeString:
        return SafeString(without_credentials(super().get_traceback_html()))

    def get_traceback_text(self) -> SafeString:
        return SafeString(without_credentials(super().get_traceback_text()))


def without_credentials(text: str) -> str:
    return _URL_CREDENTIALS.sub("://****@", text)


def _shown(value: Any) -> _Text:
    # Before the page cuts it: half a URL would not be known by its @.
    return _Text(without_credentials(pprint(value)))
