"""Times in the reader's time zone on every page, and in UTC without a valid one."""

from datetime import UTC, datetime

import pytest
from django.urls import reverse

from instances.models import Instance
from tests.support.factories import make_instance, make_user

pytestmark = pytest.mark.django_db

TIMES = {
    "Asia/Tokyo": "2026-07-01 21:30",
    "America/New_York": "2026-07-01 08:30",
    "": "2026-07-01 12:30",
    "Nowhere/Atlantis": "2026-07-01 12:30",
    "America": "2026-07-01 12:30",
    "../../etc/passwd": "2026-07-01 12:30",
    "x" * 5000: "2026-07-01 12:30",
}


@pytest.fixture
def instance():
    made = make_instance()
    Instance.objects.update(last_checked_at=datetime(2026, 7, 1, 12, 30, tzinfo=UTC))
    return made


@pytest.mark.parametrize("zone", TIMES, ids=lambda zone: zone[:20])
def test_every_page_shows_times_in_the_readers_zone(client, instance, zone):
    client.force_login(make_user("root", is_superuser=True))
    client.cookies["time_zone"] = zone
    for url in (
        reverse("connection", args=[instance.pk]),
        reverse("admin:instances_instance_change", args=[instance.pk]),
        reverse("admin:instances_instance_changelist"),
    ):
        assert TIMES[zone] in client.get(url).text, url


def test_the_time_in_utc_is_its_title(client, instance):
    client.force_login(make_user("root", is_superuser=True))
    client.cookies["time_zone"] = "Asia/Tokyo"
    page = client.get(reverse("connection", args=[instance.pk])).text
    assert 'title="2026-07-01 12:30:00 UTC"' in page


def test_one_readers_zone_does_not_affect_the_next(client, instance):
    client.force_login(make_user("root", is_superuser=True))
    url = reverse("connection", args=[instance.pk])
    client.cookies["time_zone"] = "Asia/Tokyo"
    client.get(url)
    del client.cookies["time_zone"]
    assert TIMES[""] in client.get(url).text
