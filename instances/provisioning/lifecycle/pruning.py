"""Delete old interactions, expired authorizations and expired idempotency keys."""

from collections.abc import Mapping
from datetime import timedelta

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from instances.models import Authorization, IdempotencyKey, Interaction
from instances.models.idempotency_keys import LIFETIME
from instances.queries.database_clock import require_right_clock


def days_kept() -> dict[str, int]:
    """Return how many days interactions are kept, by their kind."""
    return {
        Interaction.Kind.EXCHANGE: settings.KEEP_EXCHANGES_DAYS,
        Interaction.Kind.DATA: settings.KEEP_DATA_CALLS_DAYS,
    }


def prune(*, days: Mapping[str, int] | None = None, is_dry_run: bool = False) -> int:
    """Delete what is older, and return the number of interactions.

    days: how many days to keep interactions, by kind; by default as the settings say.

    Raises ClockSkewError, since a wrong clock makes recent rows look old.
    """
    require_right_clock()
    days, now = days or days_kept(), timezone.now()
    if is_dry_run:
        is_old = [Q(kind=kind, started_at__lt=now - timedelta(days=n)) for kind, n in days.items()]
        return sum(Interaction.objects.filter(old).count() for old in is_old)
    longest = now - timedelta(days=days[Interaction.Kind.EXCHANGE])
    Authorization.objects.filter(expires_at__lt=longest).delete()
    IdempotencyKey.objects.filter(created_at__lt=Now() - LIFETIME).delete()
    return sum(
        Interaction.objects.filter(kind=kind).prune(before=now - timedelta(days=n))
        for kind, n in days.items()
    )
