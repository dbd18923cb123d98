"""A remote server that answers after a delay, with little CPU time.

A GET answers records, below EntityDefinitions their fields, `/token` tokens, `/elements/api-v2/instances` the requested
instance. `with stub(delay) as port:` runs it in a process of its own.
"""

import asyncio
import itertools
import json
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PROJECT = Path(__file__).resolve().parent.parent
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_numbers = itertools.count(1)
# So that two stubs never issue the same token.
_prefix = secrets.token_hex(8)


@contextmanager
def stub(delay_seconds: float) -> Iterator[int]:
    """Run the stub; yields its port."""
    command = [sys.executable, "-m", "bench.stub", str(delay_seconds)]
    with subprocess.Popen(command, cwd=_PROJECT, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            yield int(process.stdout.readline() if process.stdout else "")
        finally:
            process.terminate()


class _Connection(asyncio.Protocol):
    """One kept-alive connection with one request at a time."""

    def __init__(self, delay_seconds: float) -> None:
        self._delay_seconds = delay_seconds
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not found or len(body) < int(length[1] if length else 0):
            return
        self._received = b""
        answer = _answer_to(head, body)
        asyncio.get_running_loop().call_later(self._delay_seconds, self._answer, answer)

    def _answer(self, document: dict[str, object]) -> None:
        body = json.dumps(document).encode()
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        if isinstance(self._transport, asyncio.Transport) and not self._transport.is_closing():
            self._transport.write(head % len(body) + body)


def _answer_to(head: bytes, body: bytes) -> dict[str, object]:
    if head.startswith(b"GET "):
        return _FIELDS if b"/EntityDefinitions(" in head else _RECORDS
    return _tokens() if head.startswith(b"POST /token ") else _instance(body)


# A page of five records, as a program reads them most often.
_RECORDS: dict[str, object] = {
    "value": [
        {"contactid": f"b7c40d1e-{number:04}", "lastname": "de Wit", "emailaddress1": "a@b.example"}
        for number in range(5)
    ]
}

_FIELDS: dict[str, object] = {
    "value": [
        {"LogicalName": "contactid", "AttributeType": "Uniqueidentifier"},
        {"LogicalName": "lastname", "AttributeType": "String"},
        {"LogicalName": "emailaddress1", "AttributeType": "String"},
    ]
}


def _tokens() -> dict[str, object]:
    number = next(_numbers)
    return {
        "access_token": f"access-token-{number}",
        "refresh_token": f"refresh-token-{number}",
        "token_type": "Bearer",
        "expires_in": 3600,
    }


def _instance(body: bytes) -> dict[str, object]:
    number = next(_numbers)
    asked: dict[str, object] = json.loads(body)
    return {"id": number, "token": f"element-token-{_prefix}-{number}", "valid": True} | asked


async def _serve(delay_seconds: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(delay_seconds), "127.0.0.1", backlog=256)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(float(sys.argv[1])))
