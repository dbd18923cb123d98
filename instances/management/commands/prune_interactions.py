"""`manage.py prune_interactions`: delete old interactions and expired rows."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from instances.errors import ClockSkewError
from instances.provisioning.lifecycle.pruning import prune


class Command(BaseCommand):
    help = "Delete interactions older than --days, and expired authorizations and idempotency keys."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--days", type=int, default=90, help="days to keep (default: 90)")
        parser.add_argument("--dry-run", action="store_true", help="only count them")

    def handle(self, **options: Any) -> None:
        if options["days"] < 1:
            raise CommandError("--days must be at least 1.", returncode=2)
        before = timezone.now() - timedelta(days=options["days"])
        try:
            removed = prune(before=before, is_dry_run=options["dry_run"])
        except ClockSkewError as error:
            raise CommandError(str(error)) from None
        word = "Would delete" if options["dry_run"] else "Deleted"
        self.stdout.write(f"{word} {removed} interactions from before {before:%Y-%m-%d}.")
