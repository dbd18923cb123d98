"""Statements per API call: few, and the same number however large the response is."""

import pytest
from django.db import connection

from instances.models import Element, Instance
from tests.api.conftest import KEYED_BODY, make_api_client


@pytest.mark.parametrize("tags", [["acme"], ["acme", "eu", "gold"]])
def test_a_create_that_sends_nothing_takes_few_statements(api, tags, django_assert_num_queries):
    api.post("instances", KEYED_BODY)
    # Reads the user and the element; inserts the instance, its history and its tags, on PostgreSQL in one statement.
    with django_assert_num_queries(3 if connection.vendor == "postgresql" else 5):
        answer = api.post("instances", KEYED_BODY | {"tags": tags})
    assert answer.json()["tags"] == tags
    assert answer.json()["valid"]


def test_a_read_takes_two_statements(api, instance, django_assert_num_queries):
    tags = ["zebra", "acme", "1", "gold"]
    api.patch(f"instances/{instance['id']}", {"tags": tags})
    api.get(f"instances/{instance['id']}")
    with django_assert_num_queries(2):
        answer = api.get(f"instances/{instance['id']}").json()
    assert answer["tags"] == tags


def test_a_list_takes_as_many_statements_for_three_as_for_one(
    api, instance, django_assert_num_queries
):
    with django_assert_num_queries(2):
        assert len(api.get("instances").json()) == 1
    tags = [["b", "a"], [], ["c"]]
    for names in tags:
        api.post("instances", KEYED_BODY | {"tags": names})
    with django_assert_num_queries(2):
        found = api.get("instances").json()
    assert [one["tags"] for one in found] == [["acme"], *tags]


def test_what_was_asked_before_answers_nobody_else(api, instance):
    other = api.post("instances", KEYED_BODY | {"name": "Other"}).json()
    path = f"instances/{instance['id']}"
    assert api.get(path).json()["name"] == "Acme"
    assert api.get(f"instances/{other['id']}").json()["name"] == "Other"
    stranger = make_api_client("Strange", "stranger@example.com")
    assert stranger.get(path).status_code == 404
    assert api.get(path).json() == instance
    assert api.get(path, Authorization="User wrong, Organization wrong").status_code == 401


def test_a_change_is_seen_by_the_next_call(api, instance):
    api.get(f"instances/{instance['id']}")
    Instance.objects.update(name="Renamed", is_disabled=True)
    answer = api.get(f"instances/{instance['id']}").json()
    assert (answer["name"], answer["disabled"]) == ("Renamed", True)
    Element.objects.update(is_active=False)
    assert api.post("instances", KEYED_BODY).status_code == 404
    api.user.secret = "another-secret"
    api.user.save()
    assert api.get(f"instances/{instance['id']}").status_code == 401


@pytest.mark.parametrize("number", [2**31, 2**63 - 1, 2**63, 10**30])
def test_no_id_is_too_large_to_be_looked_for(api, instance, number):
    assert api.get(f"instances/{number}").status_code == 404
