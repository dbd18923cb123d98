"""Delete old interactions, expired authorizations and expired idempotency keys."""

from datetime import datetime

from django.db.models.functions import Now

from instances.models import Authorization, IdempotencyKey, Interaction
from instances.models.idempotency_keys import LIFETIME
from instances.queries.database_clock import require_right_clock


def prune(*, before: datetime, is_dry_run: bool = False) -> int:
    """Delete what is older, and return the number of interactions.

    before: the start of the interactions to keep, aware.

    Raises ClockSkewError, since a wrong clock makes recent rows look old.
    """
    require_right_clock()
    if is_dry_run:
        return Interaction.objects.filter(started_at__lt=before).count()
    Authorization.objects.filter(expires_at__lt=before).delete()
    IdempotencyKey.objects.filter(created_at__lt=Now() - LIFETIME).delete()
    return Interaction.objects.prune(before=before)
