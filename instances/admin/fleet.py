"""The instances of somebody by status: a bar whose parts lead to the filtered list."""

from collections import Counter
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.translation import ngettext

from instances.pages.bars import Part, bar_of
from instances.provisioning.status.meaning import Status

# Good, neutral, bad.
_ORDER = (
    Status.HEALTHY,
    Status.BUSY,
    Status.WAITING,
    Status.UNVERIFIED,
    Status.PAUSED,
    Status.ATTENTION,
    Status.BROKEN,
)


def list_url(**filters: Any) -> str:
    """Return the address of the filtered list of instances."""
    return f"{reverse('admin:instances_instance_changelist')}?{urlencode(filters)}"


def fleet_of(statuses: Counter[Status], **filters: Any) -> list[Part]:
    """Return the parts of the bar. filters: of the list that the parts lead to, beside the status."""
    counts = [(status, statuses[status]) for status in _ORDER]
    parts = [
        Part(status, _label(status, count), count, list_url(status=status, **filters))
        for status, count in counts
    ]
    return bar_of(parts, total=statuses.total())


def _label(status: Status, count: int) -> str:
    if status == Status.ATTENTION:
        return ngettext("needs attention", "need attention", count)
    return str(status.label)
