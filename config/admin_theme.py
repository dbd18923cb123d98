"""The admin's appearance: names, colours and sidebar."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise


def admin_theme(*, has_sandbox: bool) -> dict[str, Any]:
    """Return the UNFOLD setting of django-unfold."""
    navigation = [*_SIDEBAR, _PRACTICE] if has_sandbox else _SIDEBAR
    return _THEME | {"SIDEBAR": {"show_search": False, "navigation": navigation}}


def _listed(
    title: "StrPromise", icon: str, model: str, description: "StrPromise"
) -> dict[str, Any]:
    """Return an entry of sidebar and index for users who may see the model's list."""
    app_label, model_name = model.split(".")
    return {
        "title": title,
        "icon": icon,
        "description": description,
        "link": reverse_lazy(f"admin:{app_label}_{model_name}_changelist"),
        "permission": lambda request: request.user.has_perm(f"{app_label}.view_{model_name}"),
    }


def _file(name: str) -> Callable[[HttpRequest], str]:
    # The address of a static file is known only when the settings are read.
    return lambda request: static(f"instances/{name}")


_SIDEBAR: list[dict[str, Any]] = [
    {
        "title": _("Connections"),
        "items": [
            _listed(
                _("Instances"),
                "cable",
                "instances.instance",
                _("Connect accounts and see the status of each connection."),
            )
            | {"badge": "instances.admin.console.action_badge", "badge_variant": "danger"},
            _listed(
                _("Bulk jobs"),
                "playlist_add_check",
                "instances.bulkjob",
                _("Provision many instances from a file."),
            ),
            _listed(
                _("OAuth apps"),
                "key",
                "instances.oauthapp",
                _("OAuth clients registered with providers."),
            ),
            _listed(
                _("Authorizations"),
                "handshake",
                "instances.authorization",
                _("Every authorization at a provider and its outcome."),
            ),
            _listed(
                _("Authorization links"),
                "link",
                "instances.authorizationlink",
                _("Links for account owners and their status."),
            ),
            _listed(
                _("Interactions"),
                "swap_horiz",
                "instances.interaction",
                _("Recorded requests and responses, with secrets redacted."),
            ),
        ],
    },
    {
        "title": _("Platform"),
        "items": [
            _listed(
                _("Organizations"),
                "domain",
                "instances.organization",
                _("Customers and the platform that each one uses."),
            ),
            _listed(
                _("Organization users"),
                "badge",
                "instances.organizationuser",
                _("The people and programs that own instances."),
            ),
            _listed(
                _("Elements"),
                "extension",
                "instances.element",
                _("The catalogue of services that can be connected."),
            ),
        ],
    },
    {
        "title": _("Access"),
        "items": [
            _listed(_("Users"), "person", "auth.user", _("People who can sign in here.")),
            _listed(_("Groups"), "group", "auth.group", _("Sets of permissions for users.")),
            _listed(
                _("Memberships"),
                "supervisor_account",
                "instances.membership",
                _("Which organizations each user operates or views."),
            ),
        ],
    },
]
_PRACTICE: dict[str, Any] = {
    "title": _("Practice"),
    "items": [
        {
            "title": _("Sandbox"),
            "icon": "science",
            "link": "/sandbox/",
            "description": _("A built-in provider for trying things out."),
        }
    ],
}
_THEME: dict[str, Any] = {
    "DASHBOARD_CALLBACK": "instances.admin.console.console",
    "SITE_TITLE": "Instance Manager",
    "SITE_HEADER": "Instance Manager",
    "SITE_SUBHEADER": _("Element instances"),
    "SITE_SYMBOL": "hub",
    "SITE_URL": None,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "SITE_FAVICONS": [
        {
            "rel": "icon",
            "type": "image/svg+xml",
            "href": _file("favicon.svg"),
        }
    ],
    "STYLES": [_file(f"{name}.css") for name in ("tokens", "im", "frame")],
    "SCRIPTS": [_file(f"{name}.js") for name in ("time_zone", "busy", "pages", "select_names")],
    "COLORS": {
        # The greys of tokens.css, so that Unfold's panels and forms agree with ours.
        "base": {
            "50": "oklch(98.3% .003 220)",
            "100": "oklch(96.3% .004 220)",
            "200": "oklch(92.2% .006 220)",
            "300": "oklch(86% .009 220)",
            "400": "oklch(70% .014 220)",
            "500": "oklch(54% .018 220)",
            "600": "oklch(43% .019 222)",
            "700": "oklch(36% .018 224)",
            "800": "oklch(26.5% .015 226)",
            "900": "oklch(19.5% .012 228)",
            "950": "oklch(15.5% .01 230)",
        },
        # Teal; 600 carries white text and 400 dark text at more than 4.5 : 1 (WCAG 2.2 AA).
        "primary": {
            "50": "oklch(98% .012 200)",
            "100": "oklch(95% .03 200)",
            "200": "oklch(90% .055 200)",
            "300": "oklch(84% .085 200)",
            "400": "oklch(76% .1 200)",
            "500": "oklch(62% .1 205)",
            "600": "oklch(49% .085 208)",
            "700": "oklch(43% .075 210)",
            "800": "oklch(37% .06 212)",
            "900": "oklch(32% .05 214)",
            "950": "oklch(24% .04 216)",
        },
    },
}
