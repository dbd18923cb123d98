"""The web server's own behaviour towards clients that send slowly, in pieces or in chunks."""

import json
import socket
import time
from contextlib import ExitStack

import pytest
import requests

from config.web_server import GATHERED_BYTES
from instances.api.middleware import MAX_BODY_BYTES
from instances.queries.connection_slots import SLOTS
from tests.support.server import THREADS, Server

# All of them share a server.
pytestmark = pytest.mark.xdist_group("web server")

STALLED = 5 * THREADS
ANSWERED_WITHIN_SECONDS = 5
# Without an Authorization it is answered with 401, but only after its whole body was found to be JSON.
PATH = "/elements/api-v2/instances"
BODY = json.dumps({"element": {"key": "stripe"}, "name": "Stripe"}).encode()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("web"))
    server.manage("migrate", "--verbosity", "0")
    server.start()
    yield server
    server.kill()


def connect(server):
    return socket.create_connection(("127.0.0.1", server.port), timeout=ANSWERED_WITHIN_SECONDS)


def head(*fields):
    lines = [f"POST {PATH} HTTP/1.1", "Host: localhost", "Content-Type: application/json", *fields]
    return "\r\n".join([*lines, "", ""]).encode()


def answer_of(connection):
    """The status and the body of the answer, and whether it was told to continue before."""
    reader = connection.makefile("rb")
    status = int(reader.readline().split()[1])
    is_told = status == 100
    while status == 100:
        assert reader.readline() == b"\r\n"
        status = int(reader.readline().split()[1])
    length = 0
    while (line := reader.readline()) != b"\r\n":
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return status, json.loads(reader.read(length)), is_told


@pytest.mark.parametrize(
    "beginning",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: loc",
        head("Content-Length: 1000") + b'{"username": "no',
        head("Transfer-Encoding: chunked") + b"5\r\n{ ",
        head(f"Content-Length: {2 * GATHERED_BYTES}") + b" " * 1000,
    ],
    ids=["nothing", "half a head", "half a body", "half a chunk", "a long body's beginning"],
)
def test_more_stalled_clients_than_threads_do_not_delay_the_others(server, beginning):
    with ExitStack() as clients:
        for _ in range(STALLED):
            clients.enter_context(connect(server)).sendall(beginning)
        assert requests.get(f"{server.url}/healthz", timeout=ANSWERED_WITHIN_SECONDS).ok


@pytest.mark.slow
@pytest.mark.parametrize("framing", ["chunked", "of known length"])
def test_data_calls_that_stall_do_not_delay_the_others(server, framing):
    """Nobody has checked their tokens yet, and one more than there are database connections for them."""
    authorization = "Authorization: User a, Element b"
    if framing == "chunked":
        beginning = head(authorization, "Transfer-Encoding: chunked") + b"200000\r\n"
    else:
        # With its head, more than GATHERED_BYTES; its body is not.
        beginning = head(authorization, f"Content-Length: {GATHERED_BYTES}")
    beginning += b" " * (GATHERED_BYTES + (65_536 if framing == "chunked" else -10))
    with ExitStack() as clients:
        for _ in range(SLOTS + 1):
            clients.enter_context(connect(server)).sendall(beginning)
        # Until they have been read as far as they were sent.
        time.sleep(1)
        answer = requests.get(
            f"{server.url}/elements/api-v2/proxy/x",
            headers={"Authorization": "User a, Element b"},
            timeout=ANSWERED_WITHIN_SECONDS,
        )
    assert answer.status_code == 401


def test_a_second_request_that_stalls_holds_no_thread_either(server):
    with ExitStack() as clients:
        for _ in range(STALLED):
            client = clients.enter_context(connect(server))
            client.sendall(head(f"Content-Length: {len(BODY)}") + BODY + b"GET /heal")
            assert answer_of(client)[0] == 401
        assert requests.get(f"{server.url}/healthz", timeout=ANSWERED_WITHIN_SECONDS).ok


@pytest.mark.parametrize("size", [1, 7, 64], ids="{} bytes at a time".format)
@pytest.mark.parametrize("is_chunked", [True, False], ids=["chunked", "whole"])
def test_a_request_may_come_in_pieces(server, size, is_chunked):
    if is_chunked:
        chunks = b"%x\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (
            9,
            BODY[:9],
            len(BODY) - 9,
            BODY[9:],
        )
        request = head("Transfer-Encoding: chunked") + chunks
    else:
        request = head(f"Content-Length: {len(BODY)}") + BODY
    with connect(server) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(request), size):
            client.sendall(request[start : start + size])
        status, document, _ = answer_of(client)
    assert (status, "requestId" in document) == (401, True)


def test_requests_that_come_together_are_answered_in_turn(server):
    one = head(f"Content-Length: {len(BODY)}") + BODY
    with connect(server) as client:
        client.sendall(one * 3)
        reader = client.makefile("rb")
        for _ in range(3):
            assert reader.readline().startswith(b"HTTP/1.1 401")
            while (line := reader.readline()) != b"\r\n":
                if line.lower().startswith(b"content-length"):
                    length = int(line.split(b":")[1])
            reader.read(length)


def test_a_client_that_asks_first_is_told_to_continue(server):
    with connect(server) as client:
        client.sendall(head(f"Content-Length: {len(BODY)}", "Expect: 100-continue"))
        assert client.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(BODY)
        assert answer_of(client)[0] == 401


@pytest.mark.parametrize("size", [len(BODY), MAX_BODY_BYTES], ids=["short", "the longest"])
def test_a_body_in_chunks_is_read(server, size):
    padding = b" " * (size - len(BODY))
    pieces = iter([BODY, padding]) if padding else iter([BODY])
    answer = requests.post(
        server.url + PATH,
        data=pieces,
        headers={"Content-Type": "application/json"},
        timeout=ANSWERED_WITHIN_SECONDS,
    )
    assert answer.status_code == 401


def test_a_longer_body_in_chunks_is_refused(server):
    answer = requests.post(
        server.url + PATH,
        data=iter([b" " * 65_536] * 17),
        headers={"Content-Type": "application/json"},
        timeout=ANSWERED_WITHIN_SECONDS,
    )
    assert (answer.status_code, "larger than the limit" in answer.json()["message"]) == (413, True)


@pytest.mark.slow
def test_a_long_body_that_stalls_gives_its_thread_back(server):
    beginning = head(f"Content-Length: {GATHERED_BYTES + 10}") + b" " * GATHERED_BYTES
    with ExitStack() as clients:
        for _ in range(THREADS):
            clients.enter_context(connect(server)).sendall(beginning)
        time.sleep(1)
        assert requests.get(f"{server.url}/healthz", timeout=60).ok


def test_a_head_without_an_end_is_refused(server):
    with connect(server) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nX: " + b"x" * 200_000)
        assert client.recv(12) == b"HTTP/1.1 431"
