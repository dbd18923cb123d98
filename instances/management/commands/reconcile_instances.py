"""`manage.py reconcile_instances`: find out what became of lost answers, and end deletions that were cut off."""

from typing import Any

from instances.management.sweep_command import SweepCommand
from instances.models import Instance
from instances.provisioning.lifecycle.sweeps import SweepReport, work_due_instances


class Command(SweepCommand):
    help = (
        "Ask the platforms for instances whose creation is unknown or was cut off, and go on with deletions that "
        "did not end. Safe beside a scheduler."
    )
    verb = "Reconciled"

    def sweep(self, **_: Any) -> SweepReport:
        states = [
            Instance.State.UNKNOWN,
            Instance.State.PROVISIONING,
            Instance.State.DELETING,
        ]
        return work_due_instances(states=states)
