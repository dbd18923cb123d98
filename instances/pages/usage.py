"""How much programs use an instance, from its recorded data calls."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db.models import BooleanField, ExpressionWrapper
from django.utils import timezone
from django.utils.formats import date_format, localize
from django.utils.translation import gettext as _, ngettext

from instances.models import Instance, Interaction
from instances.models.interactions import IS_FAILURE

DAYS = 14
# Of an instance that is used more, only the latest calls are counted.
MAX_COUNTED_CALLS = 5_000
# The view box of the chart: a day's width and gap, and its height.
_DAY_WIDTH, _GAP, _HEIGHT = 20, 2, 100


@dataclass(frozen=True, slots=True)
class Day:
    day: date
    calls: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """days: the last DAYS, oldest first. is_partial: whether older calls than the counted ones may exist.

    last_used_at: None if no call is recorded; records are kept for KEEP_DATA_CALLS_DAYS.
    """

    days: Sequence[Day]
    last_used_at: datetime | None
    is_partial: bool

    @property
    def calls(self) -> int:
        return sum(day.calls for day in self.days)

    @property
    def failed(self) -> int:
        return sum(day.failed for day in self.days)


def usage_of(instance: Instance) -> Usage:
    """Count the data calls of the last days, in one query that reads at most MAX_COUNTED_CALLS."""
    latest = instance.interactions.filter(kind=Interaction.Kind.DATA).order_by("-pk")
    failure = ExpressionWrapper(IS_FAILURE, output_field=BooleanField())
    # Counted here: to group the rows of a slice, databases would read those of all instances.
    rows = latest.annotate(has_failed=failure).values_list("started_at", "has_failed")
    counted = list(rows[:MAX_COUNTED_CALLS])
    calls = Counter(timezone.localdate(started_at) for started_at, _has_failed in counted)
    failed = Counter(
        timezone.localdate(started_at) for started_at, has_failed in counted if has_failed
    )
    today = timezone.localdate()
    dates = [today - timedelta(days=DAYS - 1 - number) for number in range(DAYS)]
    return Usage(
        days=[Day(day, calls[day], failed[day]) for day in dates],
        last_used_at=max((started_at for started_at, _has_failed in counted), default=None),
        is_partial=len(counted) == MAX_COUNTED_CALLS,
    )


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of the chart, in units of its view box, as SVG writes numbers."""

    x: str
    y: str
    width: str
    height: str
    is_failed: bool


def chart_of(usage: Usage) -> dict[str, object]:
    """Return what components/chart.html shows."""
    most = max(day.calls for day in usage.days) or 1
    shown = [day for day in usage.days if day.calls]
    return {
        "figure": localize(usage.calls),
        "rate": _rate(usage),
        "is_failing": bool(usage.failed),
        "note": _note() if usage.is_partial else "",
        "width": str(DAYS * _DAY_WIDTH),
        "bars": [bar for number, day in enumerate(usage.days) for bar in _bars(number, day, most)],
        "first": date_format(usage.days[0].day, "MONTH_DAY_FORMAT"),
        "most": ngettext("at most %(count)s call a day", "at most %(count)s calls a day", most)
        % {"count": localize(most)},
        "columns": [_("Day"), _("Calls"), _("Failed")],
        "rows": [
            [
                {"text": date_format(day.day, "MONTH_DAY_FORMAT"), "label": _("Day")},
                {"text": localize(day.calls), "label": _("Calls")},
                {"text": localize(day.failed), "label": _("Failed")},
            ]
            for day in reversed(shown)
        ],
    }


def _rate(usage: Usage) -> str:
    """Return the share of calls that failed, in words."""
    if not usage.failed:
        return _("no errors")
    # One failure among many is not none.
    percent = max(100 * usage.failed / usage.calls, 0.1)
    return _("%(percent)s%% errors") % {"percent": localize(round(percent, 1))}


def _note() -> str:
    return _("Only the latest %(count)s calls are counted.") % {
        "count": localize(MAX_COUNTED_CALLS)
    }


def _bars(number: int, day: Day, most: int) -> list[Bar]:
    failed = _HEIGHT * day.failed / most
    heights = [(failed, 0.0, True), (_HEIGHT * day.calls / most - failed, failed, False)]
    return [
        Bar(
            x=f"{number * _DAY_WIDTH + _GAP / 2:.1f}",
            y=f"{_HEIGHT - below - height:.1f}",
            width=f"{_DAY_WIDTH - _GAP:.1f}",
            height=f"{height:.1f}",
            is_failed=is_failed,
        )
        for height, below, is_failed in heights
        if height
    ]
