"""The pages of an instance say how much programs use it."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.support.factories import make_instance, make_interaction


def calls(instance, *, days_ago, count, failed=0):
    for number in range(count):
        make_interaction(
            kind="data",
            instance=instance,
            started_at=timezone.now() - timedelta(days=days_ago),
            status=500 if number < failed else 200,
        )


@pytest.fixture
def instance_page(person):
    """The page of an instance: instance_page(instance, "admin")."""

    browsers: dict[str, Client] = {}

    def instance_page(instance, frame="admin"):
        if not browsers:
            operator = person("operator", of=instance.organization)
            operator.user.is_staff = True
            operator.user.save()
            browsers["operator"] = operator.browser
        name = {"admin": "admin:instances_instance_change", "self-service": "connection"}[frame]
        return browsers["operator"].get(reverse(name, args=[instance.pk]))

    return instance_page


def test_the_page_of_an_instance_shows_its_calls_by_day(instance_page):
    instance = make_instance()
    calls(instance, days_ago=0, count=3, failed=1)
    calls(instance, days_ago=2, count=5)
    calls(instance, days_ago=20, count=7)
    calls(make_instance(), days_ago=0, count=2)
    make_interaction(instance=instance, status=500)
    page = instance_page(instance)
    chart = page.context["chart"]
    assert (chart["figure"], chart["rate"]) == ("8", "12.5% errors")
    assert [[cell["text"] for cell in row][1:] for row in chart["rows"]] == [["3", "1"], ["5", "0"]]
    assert "at most 5 calls a day" in page.text
    assert len(chart["bars"]) == 3


def test_an_instance_that_is_used_a_lot_is_counted_only_so_far(instance_page, monkeypatch):
    monkeypatch.setattr("instances.pages.usage.MAX_COUNTED_CALLS", 4)
    instance = make_instance()
    calls(instance, days_ago=1, count=3)
    calls(instance, days_ago=0, count=3)
    page = instance_page(instance)
    assert (page.context["chart"]["figure"], page.context["chart"]["rate"]) == ("4", "no errors")
    assert "Only the latest 4 calls are counted." in page.text


def test_without_calls_there_is_no_chart(instance_page):
    page = instance_page(make_instance())
    assert page.context["chart"] is None


def test_self_service_says_when_it_was_last_used(instance_page):
    instance = make_instance()
    assert "Not in the last 30 days" in instance_page(instance, "self-service").text
    calls(instance, days_ago=3, count=1)
    facts = instance_page(instance, "self-service").context["key_facts"]
    [last_used] = [fact.at for fact in facts if fact.label == "Last used"]
    assert timedelta(days=2) < timezone.now() - last_used < timedelta(days=4)
