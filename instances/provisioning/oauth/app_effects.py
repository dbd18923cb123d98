"""What a change of an OAuth app affects: which instances, and what would happen to them."""

from collections import Counter
from dataclasses import dataclass

from django.db.models import Count
from django.utils.translation import gettext as _

from instances.catalogue.hosts import AllowedHosts, refused_host
from instances.errors import InstancesError
from instances.models import Authorization, Instance, OAuthApp
from instances.models.instance_querysets import InstanceQuerySet
from instances.provisioning.oauth.apps import instances_using
from instances.provisioning.plan import plan_of

# Count no further, and look at the hosts of no more instances: an app may have a million.
MAX_COUNTED = 1_000


@dataclass(frozen=True, slots=True)
class Effect:
    """what: what would be changed. count: of the instances that it affects, up to MAX_COUNTED. text: what would happen."""

    what: str
    count: int
    text: str


def effects_on(app: OAuthApp) -> list[Effect]:
    """Return what each change of an app would do today. Nothing is decrypted."""
    users = instances_using(app)
    count = users[:MAX_COUNTED].count()
    renewed = users.filter(has_refresh_token=True)[:MAX_COUNTED].count()
    pending = Authorization.objects.filter(
        instance__in=users.order_by().values("pk"), outcome=Authorization.Outcome.PENDING
    )
    return [
        Effect(
            _("Client secret"),
            count,
            _(
                "The next token request sends the new secret. Nobody has to authorize again. While the provider does not "
                "know it, refreshes fail and are retried."
            ),
        ),
        Effect(
            _("Client ID"),
            renewed,
            _(
                "Refresh tokens belong to the client that got them, so the provider rejects them. Each instance must be "
                "authorized again."
            ),
        ),
        Effect(
            _("Scope"),
            count,
            _(
                "Instances keep what they were granted. New scopes apply once they are authorized again."
            ),
        ),
        Effect(
            _("Callback URL"),
            pending[:MAX_COUNTED].count(),
            _(
                "Authorizations in progress end with an error. Register the new address with the provider before you "
                "change it here."
            ),
        ),
        *_effects_of_hosts(app, users),
        *_effects_of_sharing(app, users),
        Effect(
            _("Deletion"),
            count,
            _(
                "They use the default app of the organization, and must be authorized again. Without one, they fail."
            ),
        ),
    ]


def _effects_of_hosts(app: OAuthApp, users: InstanceQuerySet) -> list[Effect]:
    text = _("Without it, nothing more is sent there: refreshes and checks stop with an error.")
    counted = _hosts_in_use(app, users) if app.hosts else Counter[str]()
    return [
        Effect(_("Additional host %(host)s") % {"host": host}, counted[host], text)
        for host in app.hosts
    ]


def _effects_of_sharing(app: OAuthApp, users: InstanceQuerySet) -> list[Effect]:
    text = _("Without it, they have no client: refreshes fail until they get another one.")
    organizations = list(app.shared_with.order_by("name"))
    borrowing = users.filter(organization_user__organization__in=organizations).order_by()
    rows = borrowing.values_list("organization_user__organization").annotate(Count("pk"))
    counted = Counter(dict(rows)) if organizations else Counter[int]()
    return [
        Effect(
            _("Shared with %(organization)s") % {"organization": organization},
            min(counted[organization.pk], MAX_COUNTED),
            text,
        )
        for organization in organizations
    ]


def _hosts_in_use(app: OAuthApp, users: InstanceQuerySet) -> Counter[str]:
    """Count the instances that need each of the app's hosts, by its pattern."""
    counted = Counter[str]()
    rows = users.select_related("element", "organization_user__organization")
    for instance in rows.order_by("-pk")[:MAX_COUNTED]:
        counted.update(host for host in app.hosts if _needs(instance, app, host))
    return counted


def _needs(instance: Instance, app: OAuthApp, host: str) -> bool:
    """Whether an instance's requests are refused without this host."""
    try:
        # Hosts are not secret.
        plan = plan_of(instance, instance.configuration)
    except InstancesError:
        return False
    way, templates = plan.authentication, plan.url_templates
    values = way.values_of(plan.own_configuration)
    listed = (*plan.organization.private_hosts.get(plan.element.key, ()), *app.hosts)
    others = AllowedHosts(tuple(one for one in listed if one != host))
    return refused_host(way, templates, values, allowed=others) is not None and not refused_host(
        way, templates, values, allowed=AllowedHosts(listed)
    )
