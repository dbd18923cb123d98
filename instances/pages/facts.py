"""The facts about an instance: the four that matter, its details, and its configuration."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _, ngettext

from instances.errors import InputError
from instances.models import Instance
from instances.pages.admin_pages import secret_state
from instances.pages.forms import WAY_LABELS
from instances.pages.usage import Usage
from instances.provisioning.certificates import certificate_end
from instances.times import format_time

# Count no further than this: an instance may have many exchanges, and a cause many instances.
MAX_COUNTED = 1_000
_TYPE_KEY = "authentication.type"


@dataclass(frozen=True, slots=True)
class Fact:
    """A label with its value, or with a time."""

    label: str
    value: Any = ""
    note: str = ""
    url: str = ""
    at: Any = None


def bounded(count: int) -> str:
    return f"{count:,}+" if count == MAX_COUNTED else f"{count:,}"


def key_facts(instance: Instance, usage: Usage, *, has_exchanges: bool) -> list[Fact]:
    """Return the facts that matter. has_exchanges: for those who look after the exchanges, too."""
    owner = instance.organization_user
    return [
        Fact(_("Owner"), owner.email, str(owner.organization)),
        _access(instance),
        Fact(_("Last success"), _("None yet"), at=instance.last_succeeded_at),
        _exchanges_of_a_day(instance) if has_exchanges else _last_use(usage),
    ]


def _last_use(usage: Usage) -> Fact:
    days = settings.KEEP_DATA_CALLS_DAYS
    value = ngettext("Not in the last day", "Not in the last %(days)d days", days)
    return Fact(_("Last used"), value % {"days": days}, at=usage.last_used_at)


def _access(instance: Instance) -> Fact:
    """Return until when the access token is valid, and what happens then."""
    if instance.expires_at is None:
        way = WAY_LABELS.get(instance.authentication_type, instance.authentication_type)
        value = _("No known end") if instance.tokens else _("None")
        return Fact(_("Access token"), value, str(way))
    if instance.expires_at <= timezone.now():
        return Fact(_("Access token ended"), at=instance.expires_at)
    note = _("Cannot be renewed")
    if instance.next_refresh_at:
        note = _("Refreshed automatically at %(time)s") % {
            "time": format_time(instance.next_refresh_at)
        }
    return Fact(_("Access token valid until"), at=instance.expires_at, note=note)


def _exchanges_of_a_day(instance: Instance) -> Fact:
    since = timezone.now() - timedelta(days=1)
    recent = instance.interactions.order_by("-pk").filter(started_at__gte=since)
    count = recent[:MAX_COUNTED].count()
    failed = recent.failed()[:MAX_COUNTED].count() if count else 0
    note = _("%(count)s failed") % {"count": bounded(failed)} if failed else ""
    return Fact(_("Exchanges in 24 hours"), bounded(count), note)


def details_of(instance: Instance, *, certificate_url: str = "") -> list[Fact]:
    """Return everything else. certificate_url: where its certificate is downloaded, if it has one."""
    way = WAY_LABELS.get(instance.authentication_type, instance.authentication_type)
    facts = [
        Fact(_("Element token"), secret_state(instance, "token")),
        Fact(_("Authentication"), way),
        Fact(_("Tags"), ", ".join(instance.tag_names)),
        Fact(_("Account at the provider"), _account(instance)),
        Fact(_("Provider tokens"), secret_state(instance, "tokens")),
        Fact(_("Scopes not granted"), ", ".join(instance.missing_scopes)),
        _refresh_token_end(instance),
        Fact(_("Certificate valid until"), at=certificate_end(instance)),
        Fact(_("Certificate"), _("Download") if certificate_url else "", url=certificate_url),
        Fact(_("Next refresh"), at=instance.next_refresh_at),
        Fact(_("Refresh status"), _refresh_status(instance)),
        Fact(_("Verified"), at=instance.verified_at),
        Fact(_("Last checked"), at=instance.last_checked_at),
        Fact(_("Next check"), at=instance.next_check_at),
        Fact(_("Consecutive failures"), instance.consecutive_failures or ""),
        Fact(_("Created"), at=instance.created_at),
        Fact(_("Platform"), instance.organization.platform_url or _("Embedded")),
        Fact(_("ID on the remote platform"), str(instance.remote_id or "")),
        Fact(_("ID"), str(instance.pk)),
        Fact(_("UID"), str(instance.uid)),
    ]
    return [fact for fact in facts if fact.value or fact.at]


def _refresh_token_end(instance: Instance) -> Fact:
    try:
        is_idle = instance.authentication.refresh_token_idle_days is not None
    except InputError:
        # Its element no longer has this way of authentication.
        is_idle = False
    label = _("Refresh token ends if unused") if is_idle else _("Refresh token valid until")
    return Fact(label, at=instance.refresh_token_expires_at)


def _account(instance: Instance) -> str:
    return ", ".join(f"{name} {value}" for name, value in (instance.account_identity or {}).items())


def _refresh_status(instance: Instance) -> str:
    """Say whether a refresh is in progress, lost its response, or failed, and how often in a row."""
    if not instance.tokens:
        return ""
    is_in_progress = bool(instance.leased_until and instance.leased_until > timezone.now())
    if instance.refresh_started_at and is_in_progress:
        return _("In progress since %s.") % format_time(instance.refresh_started_at)
    if instance.refresh_started_at:
        return _("The last response was lost. The refresh token will be tried once more.")
    failures = instance.refresh_failures + instance.refresh_refusals
    return _("Failed %d times in a row.") % failures if failures else _("No failures.")


def configuration_of(instance: Instance) -> list[Fact]:
    """Return the configuration with a mask in place of each secret."""
    masked = dict.fromkeys(instance.secret_keys, secret_state(instance, "secret_configuration"))
    labels = _labels(instance)
    values = sorted({**instance.configuration, **masked}.items())
    # The details say which way of authentication it is.
    return [Fact(labels.get(key, key), value) for key, value in values if key != _TYPE_KEY]


def _labels(instance: Instance) -> dict[str, str]:
    """Return the forms' labels of the configuration's keys."""
    ways = instance.element.parsed.authentication
    return {field.key: field.label for way in ways for field in way.fields}
