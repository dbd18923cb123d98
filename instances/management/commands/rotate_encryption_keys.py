"""`manage.py rotate_encryption_keys`: encrypt every secret anew under the first of ENCRYPTION_KEYS."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from instances.errors import UnreadableSecretError
from instances.provisioning.key_rotation import rotate_encryption_keys


class Command(BaseCommand):
    help = (
        "Encrypt every secret under the first of ENCRYPTION_KEYS, so that older keys can be taken away. "
        "Safe to stop and to run again, and while the program runs."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only say how many there are")

    def handle(self, **options: Any) -> None:
        try:
            rotated = rotate_encryption_keys(is_dry_run=options["dry_run"])
        except UnreadableSecretError as error:
            raise CommandError(f"{error} Nothing of that row was changed.", returncode=1) from None
        word = "Would encrypt" if options["dry_run"] else "Encrypted"
        self.stdout.write(f"{word} {rotated} secrets under the first key.")
