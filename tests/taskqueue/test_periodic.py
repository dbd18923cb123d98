"""Work that packages register with the scheduler."""

from datetime import timedelta

import pytest
from django.utils import timezone

from instances.taskqueue import periodic
from instances.taskqueue.periodic import PeriodicWork, Timetable, register_periodic_work


@pytest.fixture(autouse=True)
def _nothing_registered(monkeypatch):
    monkeypatch.setattr(periodic, "_registered", [])


@pytest.fixture
def done():
    """The names of the work that was done, in order."""
    return []


def _register(done, name, *, has_more=False, **options):
    def run():
        done.append(name)
        return has_more

    register_periodic_work(PeriodicWork(run, **options))


def test_registered_work_is_done_at_each_turn_and_rare_work_once_per_interval(done, monkeypatch):
    _register(done, "rare", interval=timedelta(hours=6))
    _register(done, "frequent")
    timetable = Timetable()

    timetable.run_due()
    timetable.run_due()
    assert done == ["frequent", "rare", "frequent"]

    later = timezone.now() + timedelta(hours=6)
    monkeypatch.setattr(timezone, "now", lambda: later)
    timetable.run_due()
    assert done == ["frequent", "rare", "frequent", "frequent", "rare"]


@pytest.mark.parametrize("has_more", [True, False])
def test_a_turn_says_whether_any_work_has_more_to_do(done, has_more):
    _register(done, "first", has_more=has_more)
    _register(done, "second")

    assert Timetable().run_due() is has_more
    assert done == ["first", "second"]


def test_work_that_raised_is_due_again_at_the_next_turn(done):
    def fail():
        done.append("tried")
        raise ConnectionResetError

    register_periodic_work(PeriodicWork(fail, interval=timedelta(hours=6)))
    timetable = Timetable()

    for _ in range(2):
        with pytest.raises(ConnectionResetError):
            timetable.run_due()
    assert done == ["tried", "tried"]
