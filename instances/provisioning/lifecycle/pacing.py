"""How much work may be at a host at once, so that one that hangs or is rate-limited holds up no other.

This is one process's own knowledge of hosts. When an instance is due is in its row.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from instances.errors import (
    AnswerLostError,
    LeaseLostError,
    OutcomeUnknownError,
    PlatformError,
    ProviderFaultError,
    RateLimitedError,
    UnreachableError,
)
from instances.models import Instance

# The part of the threads that a host gets before it has answered.
FIRST_SHARE = 8
# A host in trouble gets this part of what it had.
_CUT = 4
_REMEMBERED = 10_000
_OUTAGES = (UnreachableError, AnswerLostError, OutcomeUnknownError, ProviderFaultError)


class Place(NamedTuple):
    """Where an instance's requests go, and for whom: limits and outages are common to all with the same place.

    hosts: those that the instance's configuration names; empty if all instances of the element use one host.
    """

    organization_id: int | None
    # A remote platform has one place for all elements of an organization.
    element_id: int | None
    platform_url: str
    hosts: tuple[str, ...]

    @property
    def of_everybody(self) -> "Place":
        """The same hosts, for all organizations."""
        return self._replace(organization_id=None)


def place_of(instance: Instance) -> Place:
    organization = instance.organization
    if organization.is_remote:
        return Place(organization.pk, None, organization.platform_url, ())
    hosts = sorted({host for host, *_ in instance.secret_hosts or ()})
    return Place(organization.pk, instance.element_id, "", tuple(hosts))


@dataclass(slots=True)
class _Pace:
    allowed: int
    running: int = 0


class Pacing:
    """Counts what runs at each place in this process, and how much may.

    A place begins with a part of its most. Each answer doubles that, each outage cuts it to a quarter; so does a rate
    limit, for its organization alone.

    kept_for_others: what no place gets once there is more than one. first_share: an eighth of its most by default.
    """

    def __init__(
        self,
        *,
        most_at_once: int,
        most_at_a_place: int,
        kept_for_others: int = 0,
        first_share: int = FIRST_SHARE,
    ) -> None:
        # Notified of room for more than what has just ended, whose thread goes on itself.
        self.changed = threading.Condition()
        self._most_at_once = most_at_once
        self._most = most_at_a_place
        self._kept_for_others = kept_for_others
        self._first_share = first_share
        self._running = 0
        self._paces: OrderedDict[Place, _Pace] = OrderedDict()

    def try_begin(self, place: Place) -> bool:
        """Count one more at the place if it has room. Call end() afterwards. The caller holds `changed`."""
        paces = [self._pace(one) for one in (place, place.of_everybody)]
        # Each place is known for its organization and for everybody.
        kept = self._kept_for_others if len(self._paces) > 2 else 0
        has_room = all(pace.running < min(pace.allowed, self._most - kept) for pace in paces)
        if not has_room or self._running >= self._most_at_once:
            return False
        self._running += 1
        for pace in paces:
            pace.running += 1
        return True

    def end(self, place: Place, error: BaseException | None) -> None:
        """Count one less at the place, and learn from how it ended. The caller holds `changed`."""
        self._running -= 1
        change, growth = _change_for(error), 0
        for one in (place, place.of_everybody):
            pace = self._pace(one)
            pace.running -= 1
            # The limit of one organization is not that of the others.
            if one.organization_id or not isinstance(error, RateLimitedError):
                before, pace.allowed = pace.allowed, min(max(change(pace.allowed), 1), self._most)
                growth = max(growth, pace.allowed - before)
        self.changed.notify(growth)

    def _pace(self, place: Place) -> _Pace:
        first = max(self._most // self._first_share, 1)
        # That of an organization must not be all that everybody has.
        first = first if place.organization_id else min(2 * first, self._most)
        pace = self._paces.setdefault(place, _Pace(first))
        self._paces.move_to_end(place)
        if len(self._paces) > _REMEMBERED:
            oldest = next(iter(self._paces))
            if not self._paces[oldest].running:
                del self._paces[oldest]
        return pace


def _change_for(error: BaseException | None) -> Callable[[int], int]:
    """Return how the number of allowed requests changes after this outcome."""
    if isinstance(error, LeaseLostError):
        return lambda allowed: allowed
    if isinstance(error, (*_OUTAGES, RateLimitedError)):
        return lambda allowed: allowed // _CUT
    if error is None or isinstance(error, PlatformError):
        return lambda allowed: 2 * allowed
    # Nothing was asked.
    return lambda allowed: allowed
