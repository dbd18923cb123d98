"""Generate load over kept-alive connections, with little CPU time."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

BUFFER_BYTES = 65_536


@dataclass(frozen=True)
class Result:
    """Result of a run. latencies: in seconds, ascending."""

    seconds: float
    latencies: list[float]

    @property
    def rate(self) -> float:
        """Responses per second."""
        return len(self.latencies) / self.seconds

    def percentile_ms(self, percent: int) -> float:
        return self.latencies[(len(self.latencies) - 1) * percent // 100] * 1000


def run(port: int, client_count: int, requests: Callable[[], bytes], *, seconds: float) -> Result:
    """Let `client_count` clients send one request after another.

    Raises RuntimeError for any response but 200.
    """
    latencies: list[float] = []
    problems: list[str] = []
    begin = threading.Barrier(client_count + 1)

    def work() -> None:
        try:
            with _connection(port) as exchange:
                begin.wait()
                latencies.extend(_measure(exchange, requests, time.monotonic() + seconds))
        except (OSError, RuntimeError, threading.BrokenBarrierError) as error:
            problems.append(str(error))
            begin.abort()

    threads = [threading.Thread(target=work) for _ in range(client_count)]
    for thread in threads:
        thread.start()
    try:
        begin.wait()
    except threading.BrokenBarrierError:
        problems.append("a client could not connect")
    began = time.monotonic()
    for thread in threads:
        thread.join()
    if problems:
        raise RuntimeError(f"{len(problems)} clients failed. First error: {problems[0]}")
    return Result(time.monotonic() - began, sorted(latencies))


def _measure(
    exchange: Callable[[bytes], bytes], requests: Callable[[], bytes], until: float
) -> Iterator[float]:
    while (began := time.monotonic()) < until:
        answer = exchange(requests())
        if not answer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(answer[:500].decode(errors="replace"))
        yield time.monotonic() - began


@contextmanager
def _connection(port: int) -> Iterator[Callable[[bytes], bytes]]:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def exchange(request: bytes) -> bytes:
            connection.sendall(request)
            answer = connection.recv(BUFFER_BYTES)
            while not _is_whole(answer):
                more = connection.recv(BUFFER_BYTES)
                if not more:
                    raise RuntimeError("the server closed the connection")
                answer += more
            return answer

        yield exchange


def _is_whole(answer: bytes) -> bool:
    head, found, body = answer.partition(b"\r\n\r\n")
    if not found:
        return False
    _, _, length = head.lower().partition(b"content-length:")
    return len(body) >= int(length.partition(b"\r\n")[0] or 0)
