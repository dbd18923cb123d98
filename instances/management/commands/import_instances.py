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
            for one in import_instances(user, actor="command line"):
                found.append(one)
                if not options["json"]:
                    self.stdout.write(one.error or f"{one.name}: {_outcome(one)}")
        except InstancesError as error:
            raise CommandError(f"{error} So far: {_sum_of(found)}", returncode=2) from None
        failed = sum(1 for one in found if one.error)
        if options["json"]:
            self.stdout.write(json.dumps(_document(found, failed)))
        else:
            self.stdout.write(_sum_of(found))
        if failed:
            raise CommandError(f"{failed} of {len(found)} instances failed.", returncode=1)


def _outcome(one: ImportedInstance) -> str:
    return "imported" if one.is_new else "already exists"


def _sum_of(found: list[ImportedInstance]) -> str:
    new = sum(1 for one in found if one.is_new)
    return f"Imported: {new} of {len(found)}."


def _document(found: list[ImportedInstance], failed: int) -> dict[str, Any]:
    return {
        "total": len(found),
        "succeeded": len(found) - failed,
        "failed": failed,
        "rows": [
            {
                "name": one.name,
                "state": one.instance.state if one.instance else None,
                "id": one.remote_id,
                "error": one.error,
            }
            for one in found
        ],
    }
