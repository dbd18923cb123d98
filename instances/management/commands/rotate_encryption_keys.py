"""`manage.py rotate_encryption_keys`: re-encrypt every secret."""

import json
from argparse import ArgumentParser
from time import monotonic
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError

from instances.provisioning.keys.rotation import (
    Rotation,
    RotationProgress,
    WaitingRows,
    rotate_encryption_keys,
)
from instances.redaction import redact_text

PROGRESS_EVERY_SECONDS = 0.5


class Command(BaseCommand):
    help = (
        "Re-encrypt every secret with the first of ENCRYPTION_KEYS. Exit status 0: the older keys can be removed; 1: "
        "they are still needed, as the output explains. Safe to interrupt, to run again, and to run while the program "
        "is running."
    )
    _progress_at = 0.0

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only count them")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, **options: Any) -> None:
        is_dry_run, is_json = options["dry_run"], options["json"]
        is_shown = self.stdout.isatty() and not is_json
        try:
            rotation = rotate_encryption_keys(
                is_dry_run=is_dry_run,
                on_progress=self._print_progress if is_shown else lambda progress: None,
            )
        except OperationalError as error:
            raise CommandError(
                f"The database is locked or unavailable: {redact_text(str(error)).strip()}. Run the command again; it "
                "continues where it stopped.",
                returncode=1,
            ) from None
        if is_json:
            self.stdout.write(json.dumps(_document(rotation)))
        else:
            self._sum_up(rotation, is_dry_run=is_dry_run)
        if not rotation.is_complete:
            raise CommandError(
                "The older keys are still needed. Do not remove them yet.", returncode=1
            )

    def _print_progress(self, progress: RotationProgress) -> None:
        is_last = progress.done == progress.total
        if not is_last and monotonic() < self._progress_at:
            return
        self._progress_at = monotonic() + PROGRESS_EVERY_SECONDS
        name = progress.model._meta.verbose_name_plural
        self.stdout.write(
            f"\r\x1b[K{name}: {progress.done} of {progress.total}", ending="\n" if is_last else ""
        )
        self.stdout.flush()

    def _sum_up(self, rotation: Rotation, *, is_dry_run: bool) -> None:
        for row in rotation.unreadable:
            self.stderr.write(f"Skipped {row.line}")
        word = "Would re-encrypt" if is_dry_run else "Re-encrypted"
        self.stdout.write(f"{word} {rotation.rotated} secrets with the first key.")
        if rotation.unreadable:
            self.stderr.write(
                f"{len(rotation.unreadable)} rows cannot be decrypted. Add the missing key to ENCRYPTION_KEYS and run "
                "this command again, or mark the rows: manage.py quarantine_unreadable"
            )
        if rotation.changing:
            self.stderr.write(
                f"{rotation.changing} rows kept changing and were not re-encrypted. Run this command again."
            )
        for waiting in rotation.waiting:
            self.stderr.write(_need_of(waiting))


def _need_of(waiting: WaitingRows) -> str:
    return (
        f"{waiting.count} {waiting.model._meta.verbose_name_plural} still need an older key until "
        f"{waiting.until:%Y-%m-%d %H:%M} UTC at the latest."
    )


def _document(rotation: Rotation) -> dict[str, Any]:
    return {
        "rotated": rotation.rotated,
        "unreadable": [row.document() for row in rotation.unreadable],
        "changing": rotation.changing,
        "waiting": [
            {
                "model": waiting.model._meta.model_name,
                "count": waiting.count,
                "until": waiting.until.isoformat(),
            }
            for waiting in rotation.waiting
        ],
    }
