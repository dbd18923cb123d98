"""`manage.py import_instances`: import a user's instances from its platform."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from instances.errors import InstancesError
from instances.management.user_command import UserCommand
from instances.provisioning.importing import ImportedInstance, import_instances


class Command(UserCommand):
    help = (
        "Import the instances that a user has on its remote platform, with their ids and Element tokens. Safe to run "
        "again: instances that already exist stay unchanged. Exit status: 0 all imported, 1 some failed, 2 bad usage."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--json", action="store_true", help="print the result as one JSON object"
        )

    def handle(self, **options: Any) -> None:
        user = self.find_user(options)
        found: list[ImportedInstance] = []
        try:
            for imported in import_instances(user, actor="command line"):
                found.append(imported)
                if not options["json"]:
                    self.stdout.write(imported.error or f"{imported.name}: {_outcome(imported)}")
        except InstancesError as error:
            raise CommandError(f"{error} So far: {_sum_of(found)}", returncode=2) from None
        failed = sum(1 for imported in found if imported.error)
        if options["json"]:
            self.stdout.write(json.dumps(_document(found, failed)))
        else:
            self.stdout.write(_sum_of(found))
        if failed:
            raise CommandError(f"{failed} of {len(found)} instances failed.", returncode=1)


def _outcome(imported: ImportedInstance) -> str:
    return "imported" if imported.is_new else "already exists"


def _sum_of(found: list[ImportedInstance]) -> str:
    new = sum(1 for imported in found if imported.is_new)
    return f"Imported: {new} of {len(found)}."


def _document(found: list[ImportedInstance], failed: int) -> dict[str, Any]:
    return {
        "total": len(found),
        "succeeded": len(found) - failed,
        "failed": failed,
        "rows": [
            {
                "name": imported.name,
                "state": imported.instance.state if imported.instance else None,
                "id": imported.remote_id,
                "error": imported.error,
            }
            for imported in found
        ],
    }
