"""The one door to the network: guarded, limited, timed, and every exchange recorded once."""

import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from time import monotonic, sleep

import pytest
import requests
from django.db import connection

from instances.errors import (
    AnswerLostError,
    AnswerTimeoutError,
    BlockedAddressError,
    RefusedError,
    UnreachableError,
)
from instances.models import Interaction
from instances.platforms.transport import exchange, interaction_of, mount
from tests.platforms.conftest import SECRET, failure_of


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def test_an_exchange_is_recorded_once_and_redacted(subject, provider):
    answer = exchange(
        subject,
        "POST",
        f"{provider.url}/probe?apiSecret=abc&note={'x'}",
        json={"password": "hidden", "note": f"says {SECRET}"},
        headers={"X-Api-Key": "hidden-too"},
    )
    interaction = Interaction.objects.get()
    assert interaction_of(answer) == interaction
    assert answer.json() == {"message": "Unauthorized"}
    assert interaction.status == 401
    assert interaction.url == f"{provider.url}/probe?apiSecret=%5Bredacted%5D&note=x".replace(
        "%5B", "["
    ).replace("%5D", "]")
    assert json.loads(interaction.request_body) == {
        "password": "[redacted]",
        "note": "says [redacted]",
    }
    assert interaction.request_headers["X-Api-Key"] == "[redacted]"
    assert json.loads(interaction.response_body) == {"message": "Unauthorized"}
    assert (interaction.actor, interaction.operation, interaction.method) == (
        "ada",
        "check",
        "POST",
    )
    assert interaction.duration_ms >= 0


@pytest.mark.parametrize(
    "mode", ["cut before", "cut after", "cut body", "nonsense", "flood", "gzip bomb"]
)
def test_an_answer_that_does_not_come_whole_is_lost(subject, provider, mode):
    provider.mode = mode
    error = failure_of(subject, f"{provider.url}/probe?password={SECRET}", AnswerLostError)
    assert "may have been carried out" in str(error)
    assert len(provider.requests) == 1


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("mode", ["hang", "drip", "drip headers"])
def test_no_answer_holds_longer_than_the_timeout(subject, provider, mode):
    provider.mode = mode
    began = monotonic()
    error = failure_of(subject, f"{provider.url}/probe", AnswerTimeoutError)
    assert 0.4 < monotonic() - began < 1.5
    assert "within 0.5 seconds" in str(error)


def test_a_refused_connection_sends_nothing(subject, settings):
    netloc = f"127.0.0.1:{free_port()}"
    settings.PROVIDER_ALLOWED_PRIVATE_HOSTS = [netloc]
    error = failure_of(subject, f"http://{netloc}/", UnreachableError)
    assert netloc in str(error)
    assert "nothing was sent" in str(error)


@pytest.mark.usefixtures("quick")
def test_a_host_that_does_not_accept_in_time_is_unreachable(subject, settings):
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        netloc = f"127.0.0.1:{full.getsockname()[1]}"
        settings.PROVIDER_ALLOWED_PRIVATE_HOSTS = [netloc]
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        error = failure_of(subject, f"http://{netloc}/", UnreachableError)
        for one in waiting:
            one.close()
    assert "timed out" in str(error)


@pytest.mark.usefixtures("quick")
def test_a_name_server_that_does_not_answer_holds_nobody(subject, monkeypatch):
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: released.wait(30))
    error = failure_of(subject, "http://provider.example/", UnreachableError)
    assert not released.is_set()
    released.set()
    assert "provider.example could not be resolved (DNS)" in str(error)


def test_an_unknown_host_is_unreachable(subject):
    error = failure_of(subject, "http://no-such-host.invalid/", UnreachableError)
    assert "no-such-host.invalid could not be resolved (DNS)" in str(error)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://localhost/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://0.0.0.0/",
        "http://10.1.2.3/",
        "http://172.16.0.1/",
        "http://192.168.0.1/",
        "http://100.64.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://224.0.0.1/",
        "http://[::1]/",
        "http://[::]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:169.254.169.254]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://[fe80::1]/",
        "http://[fc00::1]/",
        "http://[fec0::1]/",
        "http://[ff02::1]/",
        "http://[::127.0.0.1]/",
        "http://[2002:7f00:1::]/",
        "http://[::ffff:0:7f00:1]/",
        "http://168.63.129.16/machine?comp=goalstate",
        "http://192.88.99.1/",
    ],
)
def test_a_private_address_is_never_contacted(subject, url):
    error = failure_of(subject, url, BlockedAddressError, method="GET")
    assert "PROVIDER_ALLOWED_PRIVATE_HOSTS" in str(error)
    assert not error.is_retryable


def test_one_private_address_among_public_ones_blocks_the_name(subject, monkeypatch):
    lookup = socket.getaddrinfo
    mixed = ["8.8.8.8", "127.0.0.1"]
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda _, port, **kw: [one for ip in mixed for one in lookup(ip, port, **kw)],
    )
    failure_of(subject, "http://rebinding.example/", BlockedAddressError)


def test_the_address_that_was_checked_is_the_one_connected_to(
    subject, provider, monkeypatch, settings
):
    lookups = []

    def rebinding(name, port, **_):
        lookups.append(name)
        address = "127.0.0.1" if len(lookups) == 1 else "169.254.169.254"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    port = provider.netloc.partition(":")[2]
    settings.PROVIDER_ALLOWED_PRIVATE_HOSTS = [f"named.example:{port}"]
    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    exchange(subject, "GET", f"http://named.example:{port}/probe")
    assert lookups == ["named.example"]
    assert provider.last.headers["host"] == f"named.example:{port}"


def test_a_reconnect_is_checked_again(subject, provider, settings):
    exchange(subject, "GET", f"{provider.url}/probe")
    provider.mode = "cut before"
    with pytest.raises(AnswerLostError):
        exchange(subject, "GET", f"{provider.url}/probe")
    settings.PROVIDER_ALLOWED_PRIVATE_HOSTS = []
    with pytest.raises(BlockedAddressError):
        exchange(subject, "GET", f"{provider.url}/probe")


def test_another_port_of_an_allowed_host_stays_closed(subject, provider):
    failure_of(subject, f"http://127.0.0.1:{free_port()}/", BlockedAddressError)
    assert provider.requests == []


def test_the_next_address_is_tried_when_one_does_not_answer(
    subject, provider, monkeypatch, settings
):
    port = int(provider.netloc.partition(":")[2])
    settings.PROVIDER_ALLOWED_PRIVATE_HOSTS = ["two.example"]
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda *_, **__: [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.2", free_port())),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
        ],
    )
    assert exchange(subject, "GET", "http://two.example/probe").status_code == 401


def test_a_get_is_redirected_within_its_origin_and_each_step_recorded(subject, provider):
    provider.mode, provider.redirect_to = "redirect", "/redirected"
    answer = exchange(subject, "GET", f"{provider.url}/probe")
    assert answer.status_code == 401
    assert list(Interaction.objects.order_by("pk").values_list("status", flat=True)) == [302, 401]


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "https://elsewhere.example/login?token=t0ken-of-the-redirect"),
        ("GET", "http://169.254.169.254/latest"),
        ("GET", "http://[bad"),
        ("POST", "/redirected"),
    ],
)
def test_any_other_redirect_is_refused_and_told(subject, provider, method, target):
    provider.mode, provider.redirect_to = "redirect", target
    error = failure_of(subject, f"{provider.url}/probe", RefusedError, method=method)
    assert error.status == 302
    assert "redirect" in str(error)
    assert "t0ken-of-the-redirect" not in f"{error} {Interaction.objects.get().response_headers}"
    assert len(provider.requests) == 1


def test_redirects_without_end_are_not_followed_for_ever(subject, provider):
    provider.mode, provider.redirect_to = "redirect", "/again"
    with pytest.raises(RefusedError):
        exchange(subject, "GET", f"{provider.url}/probe")
    assert len(provider.requests) == 4


def test_proxies_and_netrc_of_the_environment_are_not_used(
    subject, provider, monkeypatch, tmp_path
):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login ada password from-netrc\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    exchange(subject, "GET", f"{provider.url}/probe")
    assert "authorization" not in provider.last.headers


def test_a_thread_keeps_its_connection_but_not_for_long(subject, provider):
    for _ in range(3):
        exchange(subject, "GET", f"{provider.url}/probe")
    assert provider.connections == 1
    sleep(1.1)
    exchange(subject, "POST", f"{provider.url}/probe")
    assert provider.connections == 2


def test_an_address_that_is_none_is_refused_in_a_sentence(subject):
    session = requests.Session()
    mount(session, subject)
    request = requests.Request("GET", "http://example.com").prepare()
    request.url = "http:///nowhere"
    with pytest.raises(UnreachableError, match="is not a valid host"):
        session.send(request)
    assert Interaction.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_thirty_two_threads_each_get_their_own_answer(subject, provider):
    def call(number):
        try:
            answer = exchange(subject, "GET", f"{provider.url}/probe?n={number}")
            return interaction_of(answer).url
        finally:
            connection.close()

    with ThreadPoolExecutor(32) as pool:
        urls = list(pool.map(call, range(96)))
    assert urls == [f"{provider.url}/probe?n={number}" for number in range(96)]
    assert Interaction.objects.count() == 96
