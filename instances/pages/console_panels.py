"""Panels of the admin's console: packages register their own at start-up."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AnonymousUser, User


@dataclass(frozen=True, slots=True)
class ConsolePanel:
    """A panel for users with a permission (`app_label.codename`).

    `template` renders what `context` returns.
    """

    permission: str
    template: str
    context: Callable[[User | AnonymousUser], dict[str, Any]]


_registered: list[ConsolePanel] = []


def register_console_panel(panel: ConsolePanel) -> None:
    _registered.append(panel)


def console_panels(user: User | AnonymousUser) -> list[ConsolePanel]:
    """The registered panels that this account may see."""
    return [panel for panel in _registered if user.has_perm(panel.permission)]
