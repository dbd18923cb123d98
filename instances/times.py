"""How every page writes a time: 24 hours, in the reader's time zone, with the date unless it is today.

The forms of date and time are those of the language (config/formats).
"""

from datetime import datetime
from zoneinfo import ZoneInfo

from django.utils import timezone
from django.utils.formats import date_format


class ReadersZone(ZoneInfo):
    """The reader's own time zone, which needs no name beside the time. Any other zone is named."""


def format_time(at: datetime) -> str:
    local = timezone.localtime(at)
    is_today = local.date() == timezone.localdate()
    return _with_zone(local, "TIME_FORMAT" if is_today else "SHORT_DATETIME_FORMAT")


def format_time_of_day(at: datetime) -> str:
    """Leave out the date, where a heading says it."""
    return _with_zone(timezone.localtime(at), "TIME_FORMAT")


def format_full_time(at: datetime) -> str:
    """Write the date, the time and the zone, for readers who are elsewhere or read it later."""
    return date_format(timezone.localtime(at), "DATETIME_FORMAT")


def _with_zone(local: datetime, name: str) -> str:
    text = date_format(local, name)
    return text if isinstance(local.tzinfo, ReadersZone) else f"{text} {local.tzname()}"
