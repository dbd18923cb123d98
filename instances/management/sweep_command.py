"""What the lifecycle commands have in common: run a sweep, tell of each failure, end with the sum."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from instances.errors import ClockSkewError
from instances.models import Instance
from instances.provisioning.lifecycle.sweeps import SweepReport
from instances.provisioning.status.explain import explain


class SweepCommand(BaseCommand):
    """Exit status 0 when all went well, 1 when some failed. --json ends with one object on standard output."""

    verb: str

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="end with the result as JSON")

    def sweep(self, **options: Any) -> SweepReport:
        """Do the work once."""
        raise CommandError("This command sweeps nothing.")

    def handle(self, **options: Any) -> None:
        try:
            report = self.sweep(**options)
        except ClockSkewError as error:
            raise CommandError(str(error)) from None
        rows = _rows_of(report)
        total = report.total
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
                self.stderr.write(f"{row['name']} ({row['id']}): {row['error']} {row['advice']}")
            self.stdout.write(f"{self.verb}: {report.succeeded} of {total}.")
        if rows:
            raise CommandError(f"{len(rows)} of {total} failed.", returncode=1)


def _rows_of(report: SweepReport) -> list[dict[str, Any]]:
    """Each failure with what is to be done about it; no name and no advice where the instance is gone."""
    found = Instance.objects.select_related("element", "cause_interaction")
    instances = found.in_bulk(list(report.failures))
    rows = []
    for pk, error in sorted(report.failures.items()):
        instance = instances.get(pk)
        explanation = explain(instance) if instance else None
        rows.append(
            {
                "id": pk,
                "name": instance.name if instance else "",
                "error": error,
                "advice": explanation.advice if explanation else "",
            }
        )
    return rows
