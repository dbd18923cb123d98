"""Threads for work that waits: the one that has been idle for the shortest time works next.

So a few busy ones keep their connections to providers, however many there once were. Those that are idle for long end.
"""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

IDLE_SECONDS = 5.0

type _Task = tuple[Future[Any], Callable[[], Any]]


class RecentFirstPool:
    """At most max_threads threads. at_end: called by each thread before it ends."""

    def __init__(self, max_threads: int, *, at_end: Callable[[], object]) -> None:
        self._max_threads = max_threads
        self._at_end = at_end
        self._lock = threading.Lock()
        self._count = 0
        # The inboxes of idle threads, that of the most recent one last.
        self._idle: list[SimpleQueue[_Task]] = []
        self._waiting: deque[_Task] = deque()

    def submit(self, work: Callable[..., Any], *args: Any) -> Future[Any]:
        """Have a thread do this; work waits while all threads are busy."""
        task: _Task = (Future(), partial(work, *args))
        with self._lock:
            if self._idle:
                self._idle.pop().put(task)
                return task[0]
            if self._count >= self._max_threads:
                self._waiting.append(task)
                return task[0]
            self._count += 1
        threading.Thread(target=self._work, args=(task,), daemon=True).start()
        return task[0]

    def _work(self, first: _Task) -> None:
        inbox: SimpleQueue[_Task] = SimpleQueue()
        task: _Task | None = first
        while task:
            _carry_out(*task)
            task = self._next(inbox)
        self._at_end()

    def _next(self, inbox: SimpleQueue[_Task]) -> _Task | None:
        """Return the thread's next task; None if it is to end."""
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._idle.append(inbox)
        try:
            return inbox.get(timeout=IDLE_SECONDS)
        except Empty:
            pass
        with self._lock:
            if inbox in self._idle:
                self._idle.remove(inbox)
                self._count -= 1
                return None
        # It was given a task in this very moment.
        return inbox.get()


def _carry_out(future: Future[Any], work: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001  raised again where the result is awaited
        future.set_exception(error)
    else:
        future.set_result(result)
