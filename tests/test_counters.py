"""Calls and failed sign-ins are counted in a cache; one that is gone stops nobody."""

import socket

import pytest

from instances import counters
from tests.support.factories import make_user

REDIS = "django.core.cache.backends.redis.RedisCache"


@pytest.fixture
def lost_cache(settings):
    """A cache whose server has gone away."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        location = f"redis://127.0.0.1:{closed.getsockname()[1]}/0"
        settings.CACHES = {"default": {"BACKEND": REDIS, "LOCATION": location}}
        yield


@pytest.mark.usefixtures("lost_cache")
def test_nobody_is_stopped_while_the_cache_is_away(client, db, caplog):
    assert [counters.hit("calls", seconds=60) for _ in range(3)] == [0, 0, 0]
    make_user()
    answer = client.post("/connect/sign-in", {"username": "ada", "password": "correct-horse"})
    assert answer.status_code == 302
    assert "cache does not answer" in caplog.text


def test_a_count_is_kept_until_it_is_forgotten():
    counters.reset("calls")
    assert [counters.hit("calls", seconds=60) for _ in range(3)] == [1, 2, 3]
    assert counters.current("calls") == 3
    counters.reset("calls")
    assert counters.current("calls") == 0
