"""`manage.py quarantine_unreadable`: mark rows with unreadable secrets."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from instances.provisioning.keys.quarantine import Quarantine, quarantine_unreadable

ADVICE = (
    "Enter their secrets again, or delete the rows. If you find the missing key, add it to ENCRYPTION_KEYS and run this "
    "command again to release them."
)


class Command(BaseCommand):
    help = (
        "Mark every row with a secret that no key in ENCRYPTION_KEYS can decrypt, so that background work skips it "
        "until its secrets are entered again or it is deleted. Release rows whose secrets are readable again. Safe to "
        "run again, and while the program is running."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only list them")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, **options: Any) -> None:
        quarantine = quarantine_unreadable(is_dry_run=options["dry_run"])
        if options["json"]:
            self.stdout.write(json.dumps(_document(quarantine)))
        else:
            self._sum_up(quarantine, is_dry_run=options["dry_run"])
        if quarantine.changing:
            raise CommandError(
                f"{len(quarantine.changing)} rows changed meanwhile and were not examined. Run the command again.",
                returncode=1,
            )

    def _sum_up(self, quarantine: Quarantine, *, is_dry_run: bool) -> None:
        mark, release = ("Would mark", "Would release") if is_dry_run else ("Marked", "Released")
        for row in quarantine.marked:
            self.stdout.write(f"{mark} {row.line}")
        for row in quarantine.released:
            self.stdout.write(f"{release} {row.label}.")
        for row in quarantine.still:
            self.stdout.write(f"Still unreadable: {row.line}")
        self.stdout.write(
            f"{mark} {len(quarantine.marked)}, {release.lower()} {len(quarantine.released)}, "
            f"still unreadable {len(quarantine.still)}."
        )
        if quarantine.marked or quarantine.still:
            self.stdout.write(ADVICE)


def _document(quarantine: Quarantine) -> dict[str, Any]:
    return {
        name: [row.document() for row in getattr(quarantine, name)]
        for name in ("marked", "released", "still", "changing")
    }
