"""Which instances use which OAuth app, and moving them to another one."""

from django.db import transaction
from django.db.models import Q

from instances.models import Instance, OAuthApp
from instances.models.instance_querysets import InstanceQuerySet


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


def movable_instances(source: OAuthApp, target: OAuthApp) -> InstanceQuerySet:
    """Return the instances of an app that may use another one, the oldest first."""
    if source.element_id != target.element_id:
        return Instance.objects.none()
    is_own = Q(organization_user__organization=target.organization_id)
    is_borrowed = Q(organization_user__organization__in=target.shared_with.values("pk"))
    return instances_using(source).filter(is_own | is_borrowed).order_by("pk")


def move_to_app(source: OAuthApp, target: OAuthApp, *, count: int) -> int:
    """Let the first instances of an app use another one from now on. Returns how many.

    With the same client ID they keep working: it is the same client with another secret. Otherwise their refresh tokens
    stay with the old client (RFC 6749 10.4), so they must be authorized again when their access tokens end.
    """
    with transaction.atomic():
        pks = list(movable_instances(source, target).values_list("pk", flat=True)[:count])
        return Instance.objects.filter(pk__in=pks).update(oauth_app=target)
