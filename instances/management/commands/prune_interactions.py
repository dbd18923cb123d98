"""`manage.py prune_interactions`: delete old interactions and expired rows."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from instances.errors import ClockSkewError
from instances.models import Interaction
from instances.provisioning.lifecycle.pruning import days_kept, prune


class Command(BaseCommand):
    help = (
        "Delete old interactions, and expired authorizations and idempotency keys. How long interactions are kept is "
        "set by KEEP_EXCHANGES_DAYS and KEEP_DATA_CALLS_DAYS."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--days", type=int, help="days to keep, for every kind (default: as in the settings)"
        )
        parser.add_argument("--dry-run", action="store_true", help="only count them")

    def handle(self, **options: Any) -> None:
        days = days_kept()
        if options["days"] is not None:
            if options["days"] < 1:
                raise CommandError("--days must be at least 1.", returncode=2)
            days = dict.fromkeys(days, options["days"])
        try:
            removed = prune(days=days, is_dry_run=options["dry_run"])
        except ClockSkewError as error:
            raise CommandError(str(error)) from None
        word = "Would delete" if options["dry_run"] else "Deleted"
        kept = ", ".join(f"{Interaction.Kind(kind).label} {n}" for kind, n in days.items())
        self.stdout.write(f"{word} {removed} interactions. Days kept: {kept}.")
