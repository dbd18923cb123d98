"""Who of a bulk job has to wait, because a platform or provider asked for it."""

from collections import Counter
from datetime import datetime, timedelta
from typing import NamedTuple

from django.utils import timezone

from instances.errors import InstancesError, PlatformError
from instances.provisioning.lifecycle.pacing import Place

# However long one account is asked to wait, other rows are tried again after this.
LONGEST_REST = timedelta(minutes=5)


class Spot(NamedTuple):
    """What rows have in common that wait together.

    place: None if the row's instance is not known yet.
    """

    element_key: str
    place: Place | None

    @property
    def is_remote(self) -> bool:
        return bool(self.place and self.place.platform_url)

    @property
    def is_whole_element(self) -> bool:
        return not (self.place and self.place.hosts)


class Rests:
    """The waits that a run has met.

    A remote platform asks for a whole organization. A provider asks for one account, or for everybody: another row is
    tried, and if that is asked to wait too, with no success between, all others with the same hosts wait.
    """

    def __init__(self) -> None:
        self._until: dict[Spot, datetime] = {}
        self._asked = Counter[Spot]()

    def learn(self, spot: Spot, error: InstancesError | None) -> None:
        """Take note of how an exchange ended."""
        if isinstance(error, PlatformError) and error.retry_after_seconds:
            self._asked[spot] += 1
            if spot.is_remote or self._asked[spot] > 1:
                asked = timedelta(seconds=error.retry_after_seconds)
                self._until[spot] = timezone.now() + min(asked, LONGEST_REST)
        elif error is None and not spot.is_remote:
            self._asked.pop(spot, None)
            self._until.pop(spot, None)

    def end_of(self, spot: Spot) -> datetime | None:
        """Return when the wait of these rows ends; None if they need not wait."""
        until = self._until.get(spot)
        return until if until and until > timezone.now() else None

    def of_elements(self, *, at: datetime) -> dict[str, datetime]:
        """Return the keys of elements all rows of which wait, with the end of the wait."""
        waits = list(self._until.items())
        return {
            spot.element_key: until for spot, until in waits if until > at and spot.is_whole_element
        }
