"""What the lifecycle commands have in common: run a sweep, tell of each failure, end with the sum."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from instances.models import Instance
from instances.provisioning.sweeps import SweepReport


class SweepCommand(BaseCommand):
    """Exit status 0 when all went well, 1 when some failed. --json ends with one object on standard output."""

    verb: str

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="end with the result as JSON")

    def sweep(self, **options: Any) -> SweepReport:
        """Do the work once."""
        raise CommandError("This command sweeps nothing.")

    def handle(self, **options: Any) -> None:
        report = self.sweep(**options)
        names = dict(Instance.objects.filter(pk__in=report.failures).values_list("pk", "name"))
        rows = [
            {"id": pk, "name": names.get(pk, ""), "error": error}
            for pk, error in sorted(report.failures.items())
        ]
        total = report.succeeded + len(rows)
        if options["json"]:
            result = {
                "total": total,
                "succeeded": report.succeeded,
                "failed": len(rows),
                "rows": rows,
            }
            self.stdout.write(json.dumps(result))
        else:
            for row in rows:
                self.stderr.write(f"{row['name']} ({row['id']}): {row['error']}")
            self.stdout.write(f"{self.verb}: {report.succeeded} of {total}.")
        if rows:
            raise CommandError(f"{len(rows)} of {total} failed.", returncode=1)
