"""`manage.py reconcile_instances`: resolve lost creations, finish deletions."""

from typing import Any

from instances.management.sweep_command import SweepCommand
from instances.models import Instance
from instances.provisioning.lifecycle.sweeps import SweepReport, work_due_instances


class Command(SweepCommand):
    help = (
        "Ask the platforms for the instances whose creation was interrupted or whose answer was lost, and finish "
        "interrupted deletions. Safe to run beside a scheduler."
    )
    verb = "Reconciled"

    def sweep(self, **_: Any) -> SweepReport:
        states = [
            Instance.State.UNKNOWN,
            Instance.State.PROVISIONING,
            Instance.State.DELETING,
        ]
        return work_due_instances(states=states)
