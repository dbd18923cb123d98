"""The threads of data calls."""

import threading

import pytest

from config import thread_pool
from config.thread_pool import RecentFirstPool


@pytest.fixture
def ended():
    return threading.Semaphore(0)


def pool_of(count, ended):
    return RecentFirstPool(count, at_end=ended.release)


def test_it_does_what_it_is_given_and_hands_errors_on(ended):
    pool = pool_of(2, ended)
    assert [pool.submit(pow, 2, n).result(10) for n in range(20)] == [2**n for n in range(20)]
    with pytest.raises(ZeroDivisionError):
        pool.submit(divmod, 1, 0).result(10)


def test_no_more_threads_than_allowed_and_nothing_is_lost(ended):
    pool, release = pool_of(3, ended), threading.Event()
    begun = threading.Semaphore(0)

    def work(number):
        begun.release()
        release.wait(10)
        return number, threading.get_ident()

    futures = [pool.submit(work, number) for number in range(10)]
    for _ in range(3):
        assert begun.acquire(timeout=10)
    assert not begun.acquire(timeout=0.05)
    release.set()
    results = [future.result(10) for future in futures]
    assert [number for number, _ in results] == list(range(10))
    assert len({thread for _, thread in results}) == 3


def test_one_busy_client_uses_one_thread_however_many_there_are(ended):
    pool, together = pool_of(8, ended), threading.Barrier(8)
    for future in [pool.submit(together.wait, 10) for _ in range(8)]:
        future.result(10)
    used = set()
    for _ in range(50):
        used.add(pool.submit(threading.get_ident).result(10))
        # The thread is idle again a moment after its result is there.
        with pool._lock:
            pass
    assert len(used) <= 3


def test_idle_threads_end(ended, monkeypatch):
    monkeypatch.setattr(thread_pool, "IDLE_SECONDS", 0.05)
    pool, together = pool_of(3, ended), threading.Barrier(3)
    for future in [pool.submit(together.wait, 10) for _ in range(3)]:
        future.result(10)
    for _ in range(3):
        assert ended.acquire(timeout=10)
    assert pool.submit(pow, 2, 3).result(10) == 8
