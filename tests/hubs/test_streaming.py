"""Data calls in a real web process: sizes, memory, and what slow providers do to everybody else."""

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from tests.support.provider_api import BLOCK, ProviderApi, Reply, key_definition
from tests.support.server import Server

pytestmark = [pytest.mark.xdist_group("data calls"), pytest.mark.slow]

MEBIBYTE = 1_048_576
MAX_MORE_MEBIBYTES = 20
# The machine of a test may be busy.
HEALTH_SECONDS = 1.0


@dataclass
class Program:
    server: Server
    header: str

    @property
    def proxy(self):
        return f"{self.server.url}/elements/api-v2/proxy"

    @property
    def headers(self):
        return {"Authorization": self.header}

    def reset_peak(self):
        """Begin to measure the peak of memory; return what the process holds, in MiB."""
        Path(f"/proc/{self.server.worker}/clear_refs").write_text("5")
        return self.mebibytes("VmRSS")

    def mebibytes(self, name):
        status = Path(f"/proc/{self.server.worker}/status").read_text()
        [line] = [line for line in status.splitlines() if line.startswith(name)]
        return int(line.split()[1]) / 1024


@pytest.fixture(scope="module")
def provider_api():
    with ProviderApi() as api:
        yield api


@pytest.fixture(scope="module")
def server(tmp_path_factory, provider_api):
    folder = tmp_path_factory.mktemp("web")
    server = Server(folder, PROVIDER_ALLOWED_PRIVATE_HOSTS=provider_api.netloc)
    server.manage("migrate", "--verbosity", "0")
    server.run_python("-c", LOAD, json.dumps(key_definition(provider_api.url)))
    server.start()
    yield server
    if server.is_running:
        server.kill()


LOAD = """
import json, os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
import django; django.setup()
from instances.models import Element
d = json.loads(sys.argv[1])
Element.objects.create(id=d["id"], key=d["key"], name=d["name"], hub=d["hub"], source="own", definition=d)
"""


def make_programs(server, count):
    made = json.loads(
        server.manage(
            "create_account", "--organization", f"Acme {count}", "--user", "a@b.example", "--json"
        )
    )
    organization, user = made["organizationSecret"], made["userSecret"]
    for number in range(count):
        response = requests.post(
            f"{server.url}/elements/api-v2/instances",
            json={
                "element": {"key": "relayed-key"},
                "name": f"Acme {number}",
                "configuration": {"api.key": "k3y"},
            },
            headers={"Authorization": f"User {user}, Organization {organization}"},
            timeout=30,
        )
        assert response.ok, response.text
        yield Program(server, f"User {user}, Element {response.json()['token']}")


@pytest.fixture(scope="module")
def program(server):
    [program] = make_programs(server, 1)
    # Whatever is loaded by the first call is not counted.
    for _ in range(20):
        assert requests.get(f"{program.proxy}/x", headers=program.headers, timeout=30).ok
    return program


def test_a_download_of_a_gibibyte_needs_no_memory(program, provider_api):
    provider_api.replies["large"] = lambda _: Reply(
        200, (BLOCK for _ in range(16_384)), {"Content-Type": "application/octet-stream"}
    )
    before = program.reset_peak()
    with requests.get(
        f"{program.proxy}/large", headers=program.headers, stream=True, timeout=60
    ) as response:
        received = sum(map(len, response.iter_content(1_048_576)))
    assert received == 1024 * MEBIBYTE
    assert program.mebibytes("VmHWM") - before < MAX_MORE_MEBIBYTES


@pytest.mark.parametrize("is_chunked", [False, True], ids=["sized", "chunked"])
def test_an_upload_of_a_hundred_mebibytes_needs_no_memory(is_chunked, program, provider_api):
    lengths = []

    def measure(request):
        lengths.append(len(request.body))
        return Reply()

    provider_api.replies["large"] = measure
    body = b"x" * (100 * MEBIBYTE)
    before = program.reset_peak()
    response = requests.post(
        f"{program.proxy}/large",
        data=(body[at : at + MEBIBYTE] for at in range(0, len(body), MEBIBYTE))
        if is_chunked
        else body,
        headers=program.headers,
        timeout=120,
    )
    provider_api.received.clear()
    assert (response.status_code, lengths) == (200, [len(body)])
    assert program.mebibytes("VmHWM") - before < MAX_MORE_MEBIBYTES


UNUSUAL = {
    "status": b"HTTP/1.1 999 Denied\r\nContent-Length: 0\r\n\r\n",
    "control character": b"HTTP/1.1 200 OK\r\nX-A: a\x01b\r\nContent-Length: 2\r\n\r\nok",
    "name": b"HTTP/1.1 200 OK\r\nX(A: a\r\nContent-Length: 2\r\n\r\nok",
    "folded": b"HTTP/1.1 200 OK\r\nX-A: a\r\n b\r\nContent-Length: 2\r\n\r\nok",
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\nConnection: close\r\n\r\nok",
}


@pytest.mark.parametrize("raw", UNUSUAL.values(), ids=UNUSUAL)
def test_a_response_that_no_web_server_sends_takes_no_place_away(raw, program, provider_api):
    provider_api.replies["odd"] = lambda _: Reply(raw=raw)
    for _ in range(10):
        response = requests.get(f"{program.proxy}/odd", headers=program.headers, timeout=30)
        assert response.status_code == (502 if b"999" in raw else 200)
    assert requests.get(f"{program.proxy}/x", headers=program.headers, timeout=30).ok


def waiting_at(provider_api):
    return sum(one.target.endswith("/slow") for one in provider_api.received)


def test_slow_providers_delay_nobody_else(server, program, provider_api):
    provider_api.replies["slow"] = provider_api.wait_for_release
    programs = list(make_programs(server, 25))
    with ThreadPoolExecutor(210) as pool:
        calls = [
            pool.submit(requests.get, f"{one.proxy}/slow", headers=one.headers, timeout=60)
            for one in programs
            for _ in range(8)
        ]
        deadline = time.monotonic() + 30
        while waiting_at(provider_api) < 200 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert waiting_at(provider_api) == 200
        seconds = [
            requests.get(f"{server.url}/healthz", timeout=10).elapsed.total_seconds()
            for _ in range(20)
        ]
        assert max(seconds) < HEALTH_SECONDS
        # A call more is refused at once, by this server and not by the provider.
        refused = requests.get(f"{program.proxy}/x", headers=program.headers, timeout=10)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
        ninth = requests.get(f"{programs[0].proxy}/x", headers=programs[0].headers, timeout=10)
        assert (ninth.status_code, "Elements-Provider-Status" in ninth.headers) == (429, False)
        # What needs no provider is served as ever.
        listed = requests.get(f"{server.url}/elements/api-v2/elements?pageSize=1", timeout=10)
        assert listed.status_code in {200, 404}
        provider_api.released.set()
        assert {call.result().status_code for call in calls} == {200}


def test_long_uploads_that_stall_delay_nobody_else(server, program):
    stalled = list(make_programs(server, 3))
    with ExitStack() as clients:
        for one in stalled:
            for _ in range(8):
                client = clients.enter_context(socket.create_connection(("127.0.0.1", server.port)))
                client.sendall(
                    b"POST /elements/api-v2/proxy/x HTTP/1.1\r\nHost: localhost\r\n"
                    b"Authorization: %b\r\nContent-Length: 100000000\r\n\r\n"
                    % one.header.encode()
                    + b"x" * 1_100_000
                )
        time.sleep(1)
        assert requests.get(f"{program.proxy}/x", headers=program.headers, timeout=10).ok


def test_a_client_that_leaves_gives_its_place_back(program, provider_api):
    def endless():
        while True:
            yield BLOCK

    provider_api.replies["endless"] = lambda _: Reply(200, endless())
    for _ in range(10):
        with requests.get(
            f"{program.proxy}/endless", headers=program.headers, stream=True, timeout=30
        ) as response:
            next(response.iter_content(65_536))
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        answer = requests.get(f"{program.proxy}/x", headers=program.headers, timeout=30)
        if answer.ok:
            break
        time.sleep(0.1)
    assert answer.status_code == 200


def test_records_survive_an_orderly_stop(program, provider_api, server):
    provider_api.replies.pop("large", None)
    requests.get(f"{program.proxy}/last-call", headers=program.headers, timeout=30)
    server.stop()
    found = server.run_python("-c", COUNT)
    assert int(found) == 1


COUNT = """
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
import django; django.setup()
from instances.models import Interaction
print(Interaction.objects.filter(kind="data", url__endswith="/last-call").count())
"""
