"""`manage.py refresh_tokens`: refresh every access token that is due."""

from typing import Any

from instances.management.sweep_command import SweepCommand
from instances.provisioning.lifecycle.sweeps import SweepReport, refresh_due_instances


class Command(SweepCommand):
    help = "Refresh the access tokens that are due now. Safe to run beside a scheduler."
    verb = "Refreshed"

    def sweep(self, **_: Any) -> SweepReport:
        total = SweepReport()
        while (report := refresh_due_instances()).total:
            total.add(report)
        return total
