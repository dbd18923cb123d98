"""What the error pages of DEBUG=true show of URLs that hold credentials."""

from pathlib import Path

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path

PASSWORDS = [f"hunter{number}" for number in range(9)]
BROKER, CACHE, DATABASE, EMAIL, NESTED, LOCAL, IN_OBJECT, IN_LONG, SAID = PASSWORDS


class Connection:
    def __repr__(self) -> str:
        return f"<Connection amqp://worker:{IN_OBJECT}@broker.example:5672/instances>"


def fail(request: HttpRequest) -> HttpResponse:
    url = f"redis://:{LOCAL}@cache.example:6379/1"
    connection = Connection()
    # The page cuts what is longer than 4096 characters: here, in the middle of the password.
    long = f"{'x' * 4070} redis://:{IN_LONG}@cache.example"
    plain = Path("plainly-shown")
    raise ValueError(
        f"Cannot reach postgres://ada:{SAID}@db.example/name", url[:5], connection, long[:1], plain
    )


urlpatterns = [path("fail", fail)]


@pytest.mark.urls(__name__)
@pytest.mark.parametrize("accept", ["text/html", "text/plain"])
def test_no_password_of_a_url_is_shown(settings, accept):
    settings.DEBUG = True
    settings.CELERY_BROKER_URL = f"amqp://worker:{BROKER}@broker.example/instances"
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
            "LOCATION": f"redis://:{CACHE}@cache.example:6379/1",
        }
    }
    settings.ELSEWHERE = [{"proxy": ("plain", f"http://ada:{NESTED}@proxy.example:3128")}]
    browser = Client(raise_request_exception=False)
    page = browser.get(
        "/fail",
        headers={"Accept": accept},
        DATABASE_URL=f"postgres://ada:{DATABASE}/with#odd?characters@db.example/name",
        EMAIL_URL=f"smtp://ada:{EMAIL}@mail.example:25",
    )
    assert page.status_code == 500
    assert [one for one in PASSWORDS if one in page.text] == []
    for shown in (
        "Cannot reach postgres://****@db.example",
        "proxy.example:3128",
        "CELERY_BROKER_URL",
    ):
        assert shown in page.text
    if accept == "text/html":
        assert "plainly-shown" in page.text
        assert "redis://****@cache.example:6379/1" in page.text
