"""Hand work to the threads of a run, so that a host that hangs or asks to wait holds up no other."""

from dataclasses import dataclass

from instances.bulk.running.work import Run, Work
from instances.errors import InstancesError
from instances.provisioning.lifecycle.pacing import Pacing, Place

POLL_SECONDS = 0.2
_UNKNOWN_PLACE = Place(0, None, "", ())


@dataclass(frozen=True, slots=True)
class Taken:
    """Work that a thread has taken; it is given back if it may not start."""

    work: Work
    may_start: bool


class PacedQueue:
    """The work that a run's threads have not begun, in order."""

    def __init__(self, run: Run, *, threads: int) -> None:
        self._run = run
        # A job that had to wait begins with a single row at each place, others with half of the threads.
        first_share = threads if run.job.rests_until else 2
        self._pacing = Pacing(
            most_at_once=threads,
            most_at_a_place=threads,
            first_share=first_share,
            kept_for_others=threads // 4,
        )
        self._waiting: list[Work] = []
        self._is_closed = False

    def put(self, work: Work) -> None:
        with self._pacing.changed:
            self._waiting.append(work)
            self._pacing.changed.notify()

    def take(self) -> Taken | None:
        """Wait for work whose place has room, or that must be given back; None once the queue is closed."""
        changed = self._pacing.changed
        with changed:
            while not (taken := self._take_now()):
                if self._is_closed:
                    return None
                changed.wait(POLL_SECONDS if self._waiting else None)
            return taken

    def end(self, taken: Taken, error: InstancesError | None) -> None:
        """Take note of how the work ended that was taken."""
        if not taken.may_start:
            return
        self._run.rests.learn(taken.work.spot, error)
        with self._pacing.changed:
            self._pacing.end(taken.work.place or _UNKNOWN_PLACE, error)

    def close(self) -> list[Work]:
        """Return what no thread has begun, and let the threads end."""
        with self._pacing.changed:
            left, self._waiting, self._is_closed = self._waiting, [], True
            self._pacing.changed.notify_all()
        return left

    def _take_now(self) -> Taken | None:
        for number, work in enumerate(self._waiting):
            must_give_back = self._run.must_give_back(work)
            if not must_give_back:
                if self._run.rests.end_of(work.spot):
                    continue
                if not self._pacing.try_begin(work.place or _UNKNOWN_PLACE):
                    continue
            return Taken(self._waiting.pop(number), may_start=not must_give_back)
        return None
