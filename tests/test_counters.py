"""Calls and failed sign-ins are counted in a cache; while that is away, in memory."""

import socket
from datetime import timedelta

import pytest
from django.core.cache import caches

from instances import counters
from instances.deadlines import Deadline
from tests.support.factories import make_user

REDIS = "django.core.cache.backends.redis.RedisCache"


@pytest.fixture(params=["gone", "hanging"])
def lost_cache(request, settings):
    """A cache whose server is gone, or accepts connections and never answers; the socket that it listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        address = f"redis://127.0.0.1:{server.getsockname()[1]}/0"
        options = settings.CACHES["default"]["OPTIONS"] | {
            "socket_timeout": 0.1,
            "socket_connect_timeout": 0.1,
        }
        options.pop("MAX_ENTRIES")
        settings.CACHES = settings.CACHES | {
            "default": {"BACKEND": REDIS, "LOCATION": address, "OPTIONS": options}
        }
        if request.param == "gone":
            server.close()
        caches["memory"].clear()
        yield server
    counters._left_alone.move_to(Deadline(timedelta(0)))


def connections_to(server):
    count = 0
    while True:
        try:
            server.accept()[0].close()
        except OSError:
            return count
        count += 1


def test_what_the_cache_does_not_count_this_process_counts(lost_cache, caplog):
    assert [counters.hit("calls", seconds=60) for _ in range(30)] == list(range(1, 31))
    counters.remember("seen", seconds=60)
    assert (counters.current("calls"), counters.current("seen")) == (30, 1)
    counters.reset("calls")
    assert counters.current("calls") == 0
    assert caplog.text.count("cache does not answer") == 1
    # It is asked once, not at every call.
    assert connections_to(lost_cache) <= 1


@pytest.mark.usefixtures("lost_cache")
def test_limits_apply_while_the_cache_is_away(client, db, settings):
    settings.SIGN_IN_FAILURES_ALLOWED = 2
    make_user()
    wrong, right = ({"username": "ada", "password": word} for word in ("wrong", "correct-horse"))
    assert [client.post("/connect/sign-in", wrong).status_code for _ in range(3)] == [200, 200, 429]
    assert client.post("/connect/sign-in", right).status_code == 429


@pytest.mark.usefixtures("lost_cache")
def test_nobody_is_kept_out_because_the_cache_is_away(client, db):
    make_user()
    answer = client.post("/connect/sign-in", {"username": "ada", "password": "correct-horse"})
    assert answer.status_code == 302


def test_the_cache_is_asked_again_after_a_while(settings, lost_cache):
    counters.hit("calls", seconds=60)
    settings.CACHES = settings.CACHES | {
        "default": settings.CACHES["memory"] | {"LOCATION": "it is back"}
    }
    caches["default"].clear()
    counters._left_alone.move_to(Deadline(timedelta(0)))
    assert counters.hit("calls", seconds=60) == 1


def test_a_count_is_kept_until_it_is_forgotten():
    counters.reset("calls")
    assert [counters.hit("calls", seconds=60) for _ in range(3)] == [1, 2, 3]
    assert counters.current("calls") == 3
    counters.reset("calls")
    assert counters.current("calls") == 0
