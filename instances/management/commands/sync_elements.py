"""`manage.py sync_elements`: load elements into the database."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from instances.errors import CatalogueError
from instances.provisioning.elements import SyncReport, sync_elements


class Command(BaseCommand):
    help = (
        "Load the shipped elements, or your own from FILEs, into the database. Safe to run again. Your own elements "
        "take precedence over shipped ones with the same key."
    )
    requires_migrations_checks = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("files", nargs="*", type=Path, metavar="FILE.toml")
        parser.add_argument("--dry-run", action="store_true", help="only show what would change")

    def handle(self, *, files: list[Path], dry_run: bool, **_: Any) -> None:
        try:
            with transaction.atomic():
                report = sync_elements(files)
                transaction.set_rollback(dry_run)
        except CatalogueError as error:
            raise CommandError(str(error), returncode=2) from None
        self._print(report)

    def _print(self, report: SyncReport) -> None:
        outcomes = {
            "added": report.added,
            "changed": report.changed,
            "removed": report.removed,
            "kept": report.kept,
        }
        for outcome, keys in outcomes.items():
            for key in keys:
                self.stdout.write(f"{outcome:8} {key}")
        self.stdout.write(", ".join(f"{len(keys)} {outcome}" for outcome, keys in outcomes.items()))
