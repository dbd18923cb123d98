"""How times are written: on pages, in sentences, in lists, in German, and in e-mails."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone, translation

from instances.models import Instance, Interaction
from instances.times import ReadersZone, format_full_time, format_time, format_time_of_day
from tests.support.factories import make_instance, make_interaction, make_user
from tests.support.lists import make_in_state

NOON = datetime(2026, 7, 1, 12, 30, tzinfo=UTC)


@pytest.fixture
def at_noon(monkeypatch):
    monkeypatch.setattr("django.utils.timezone.now", lambda: NOON)


@pytest.mark.usefixtures("at_noon")
@pytest.mark.parametrize(
    ("language", "zone", "at", "expected"),
    [
        ("en", ReadersZone("Asia/Tokyo"), NOON, "21:30"),
        ("en", ReadersZone("Asia/Tokyo"), NOON + timedelta(hours=3), "2026-07-02 00:30"),
        ("en", ReadersZone("UTC"), NOON, "12:30"),
        ("en", None, NOON, "12:30 UTC"),
        ("en", None, NOON - timedelta(days=1), "2026-06-30 12:30 UTC"),
        ("de", ReadersZone("Europe/Berlin"), NOON, "14:30"),
        ("de", ReadersZone("Europe/Berlin"), NOON - timedelta(days=1), "30.06.2026, 14:30"),
        ("de", None, NOON - timedelta(days=1), "30.06.2026, 12:30 UTC"),
    ],
)
def test_a_time_has_its_date_unless_it_is_today_and_its_zone_unless_it_is_the_readers(
    language, zone, at, expected
):
    with translation.override(language), timezone.override(zone):
        assert format_time(at) == expected


@pytest.mark.parametrize(
    ("language", "expected"), [("en", "2026-07-01 12:30 UTC"), ("de", "01.07.2026, 12:30 UTC")]
)
def test_a_full_time_names_date_and_zone(language, expected):
    with translation.override(language):
        assert format_full_time(NOON) == expected


def test_under_a_date_only_the_time_of_day_is_written():
    with timezone.override(ReadersZone("Asia/Tokyo")):
        assert format_time_of_day(NOON) == "21:30"


TWELVE_HOURS = [" a.m.", " p.m.", " AM", " PM", "noon", "midnight"]


@pytest.fixture
def rows(db):
    """An instance of every state and an interaction, all of one time of another day."""
    for state in Instance.State.values:
        make_in_state(state)
    make_interaction(instance=Instance.objects.first(), started_at=NOON)
    QuerySet.update(
        Instance.objects.all(),
        state_changed_at=NOON,
        last_checked_at=NOON,
        last_succeeded_at=NOON,
        expires_at=NOON,
        created_at=NOON,
        cause="credentials_rejected",
    )
    return Instance.objects.all()


def test_every_page_of_an_instance_and_every_list_writes_times_alike(client, rows):
    client.force_login(make_user("root", is_superuser=True))
    client.cookies["time_zone"] = "Asia/Tokyo"
    lists = [reverse(f"admin:instances_{name}_changelist") for name in ("instance", "interaction")]
    pages = [
        reverse(name, args=[instance.pk])
        for instance in rows
        for name in ("admin:instances_instance_change", "connection")
    ]
    for url in [*lists, *pages]:
        text = client.get(url).text
        assert "2026-07-01 21:30" in text, url
        assert not [form for form in TWELVE_HOURS if form in text], url
        assert not re.search(r"21:30 [A-Z]", text), url


@pytest.mark.parametrize("name", ["instance", "interaction"])
def test_a_list_leaves_out_the_date_of_today(client, db, name):
    client.force_login(make_user("root", is_superuser=True))
    client.cookies["time_zone"] = "Asia/Tokyo"
    now = timezone.now()
    make_interaction(instance=make_instance(), started_at=now)
    QuerySet.update(Instance.objects.all(), last_checked_at=now)
    QuerySet.update(Interaction.objects.all(), started_at=now)
    text = client.get(reverse(f"admin:instances_{name}_changelist")).text
    with timezone.override(ReadersZone("Asia/Tokyo")):
        assert f">{format_time_of_day(now)}</time>" in text
