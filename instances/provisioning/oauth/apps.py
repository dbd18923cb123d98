"""Which instances use which OAuth app, and moving them to another one."""

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from instances.models import Instance, OAuthApp, Organization
from instances.models.instance_querysets import InstanceQuerySet
from instances.models.oauth_apps import OAuthAppQuerySet


def instances_using(app: OAuthApp) -> InstanceQuerySet:
    """Return the instances whose client is this app's."""
    ways = [way.type for way in app.element.parsed.authentication if way.takes_oauth_app]
    rows = Instance.objects.filter(element=app.element_id, authentication_type__in=ways)
    is_used = Q(oauth_app=app)
    if app.is_default:
        is_used |= Q(oauth_app=None, organization_user__organization=app.organization_id)
    return rows.filter(is_used).without_own_client()


def make_default(app: OAuthApp) -> None:
    """Let new instances of the organization and element get this app. Existing ones keep theirs."""
    others = OAuthApp.objects.filter(organization=app.organization, element=app.element)
    for former in others.filter(is_default=True).exclude(pk=app.pk):
        instances_using(former).filter(oauth_app=None).update(oauth_app=former)
        former.is_default = False
        former.save(update_fields=["is_default"])
    app.is_default = True


def keep_a_default(organization_id: int, element_id: int) -> None:
    """Make the first app the default one if its organization and element have none, as after a deletion."""
    apps = OAuthApp.objects.filter(organization=organization_id, element=element_id)
    if apps.filter(is_default=True).exists():
        return
    apps.filter(pk__in=apps.order_by("pk").values_list("pk", flat=True)[:1]).update(is_default=True)


def movable_apps(target: OAuthApp) -> OAuthAppQuerySet:
    """Return the other apps that have instances which may use this one."""
    reached = Instance.objects.filter(
        element=target.element_id,
        organization_user__organization__in=_organizations_within_reach(target).values("pk"),
    ).order_by()
    theirs = reached.filter(
        oauth_app=None, organization_user__organization=OuterRef("organization")
    )
    is_used = Q(Exists(reached.filter(oauth_app=OuterRef("pk"))))
    is_used |= Q(Exists(theirs), is_default=True)
    return OAuthApp.objects.filter(is_used, element=target.element_id).exclude(pk=target.pk)


def movable_instances(source: OAuthApp, target: OAuthApp) -> InstanceQuerySet:
    """Return the instances of an app that may use another one, the oldest first."""
    if source.element_id != target.element_id:
        return Instance.objects.none()
    organizations = _organizations_within_reach(target).values("pk")
    rows = instances_using(source).filter(organization_user__organization__in=organizations)
    return rows.order_by("pk")


def _organizations_within_reach(app: OAuthApp) -> QuerySet[Organization]:
    """Return whoever may connect accounts with an app, as OAuthAppQuerySet.usable_by() decides."""
    trusted = Organization.objects.filter(platform_url="", shared_oauth_apps=app)
    borrowers = trusted.exclude(endpoint_overrides__has_key=app.element.key)
    return Organization.objects.filter(
        Q(pk=app.organization_id) | Q(pk__in=borrowers.values("pk"))
    ).order_by()


def move_to_app(source: OAuthApp, target: OAuthApp, *, count: int) -> int:
    """Let the first instances of an app use another one from now on. Returns how many.

    With the same client ID they keep working: it is the same client with another secret. Otherwise their refresh tokens
    stay with the old client (RFC 6749 10.4), so they must be authorized again when their access tokens end.
    """
    with transaction.atomic():
        pks = list(movable_instances(source, target).values_list("pk", flat=True)[:count])
        return Instance.objects.filter(pk__in=pks).update(oauth_app=target)
