"""Django's error pages of DEBUG=true, without the credentials in URLs.

Django masks settings by name only, but the URL of a database, a broker or a mail server contains its password. So URLs
are masked in settings, the environment, local variables and messages.
"""

import re
from collections.abc import ItemsView
from types import FrameType
from typing import Any

from django.http import HttpRequest
from django.template.defaultfilters import pprint
from django.utils.safestring import SafeString
from django.views.debug import ExceptionReporter, SafeExceptionReporterFilter

# From the scheme to the last @ before a space or quote: an unencoded password may contain anything else.
_URL_CREDENTIALS = re.compile(r"://[^\s'\"<>]*@")


class _Text:
    """A text whose repr() has no quotes."""

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
        """Mask a setting, an environment variable or a cookie.

        Django calls this for each part of it.
        """
        cleansed = super().cleanse_setting(key, value)
        if isinstance(cleansed, str):
            return without_credentials(cleansed)
        if isinstance(cleansed, dict | list | tuple | int | float | None):
            return cleansed
        return _masked(cleansed)

    def get_traceback_frame_variables(
        self, request: HttpRequest | None, tb_frame: FrameType
    ) -> ItemsView[str, Any]:
        variables = super().get_traceback_frame_variables(request, tb_frame)
        return {name: _masked(value) for name, value in variables}.items()


class DebugReporter(ExceptionReporter):
    """Also mask the exception's message, its notes, and lines of code."""

    def get_traceback_html(self) -> SafeString:
        return SafeString(without_credentials(super().get_traceback_html()))

    def get_traceback_text(self) -> SafeString:
        return SafeString(without_credentials(super().get_traceback_text()))


def without_credentials(text: str) -> str:
    return _URL_CREDENTIALS.sub("://****@", text)


def _masked(value: Any) -> _Text:
    # Before the page truncates it: a truncated URL may lack its @.
    return _Text(without_credentials(pprint(value)))
