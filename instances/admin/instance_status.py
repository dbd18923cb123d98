"""The status of an instance in the list: cause, who must act, and since when."""

from datetime import datetime

from django.template.loader import render_to_string
from django.utils.text import capfirst

from instances.causes import Cause
from instances.models import Instance
from instances.provisioning.status.explain import explain_many
from instances.provisioning.status.meaning import Status

_PROBLEMS = {Status.BROKEN, Status.ATTENTION}


def status_in_list(instance: Instance, status: Status) -> str:
    """Return the cell. The cause replaces the status word, which screen readers still say."""
    text, who = str(capfirst(status.label)), ""
    if status in _PROBLEMS:
        cause = Cause.SECRETS_UNREADABLE if instance.quarantined_at else instance.cause
        text, who, _advice = explain_many(instance.state, cause)
    context = {
        "meaning": status.value,
        "word": capfirst(status.label),
        "text": text,
        "who": who,
        "since": _since(instance) if status in _PROBLEMS else None,
    }
    return render_to_string("admin/instances/status_cell.html", context)


def _since(instance: Instance) -> datetime | None:
    """Return since when it has the problem; a connected instance has failed since some time after its last success."""
    return instance.last_succeeded_at if instance.is_connected else instance.state_changed_at
