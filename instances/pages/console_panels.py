"""Panels of the admin's console: a package adds its own by registering it at start-up."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AnonymousUser, User


@dataclass(frozen=True, slots=True)
class ConsolePanel:
    """`template` renders what `context` returns, for whoever holds the permission (`app_label.codename`)."""

    permission: str
    template: str
    context: Callable[[User | AnonymousUser], dict[str, Any]]


_registered: list[ConsolePanel] = []


def register_console_panel(panel: ConsolePanel) -> None:
    _registered.append(panel)


def console_panels(account: User | AnonymousUser) -> list[ConsolePanel]:
    """The registered panels that this account may see."""
    return [panel for panel in _registered if account.has_perm(panel.permission)]
