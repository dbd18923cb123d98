"""The status in the list of instances: the cause in place of a word, who must act, and since when."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.support.lists import make_in_state, names

LIST = "/admin/instances/instance/"


def cells(page):
    found = re.findall(r'class="im im-status-cell">(.*?)</td>', page.text, re.DOTALL)
    return [" ".join(re.sub(r"<[^>]+>", " ", cell).split()) for cell in found]


@pytest.mark.parametrize(
    ("state", "columns", "words"),
    [
        ("connected", {"verified_at": timezone.now()}, "healthy"),
        ("connected", {}, "not verified"),
        ("connected", {"is_disabled": True}, "paused"),
        ("draft", {}, "waiting"),
        ("unknown", {}, "in progress"),
    ],
)
def test_what_needs_nobody_has_one_word(operator, state, columns, words):
    make_in_state(state, **columns)
    assert cells(operator.get(LIST)) == [words.capitalize()]


@pytest.mark.parametrize(
    ("state", "columns", "words"),
    [
        (
            "failed",
            {"cause": "credentials_rejected"},
            "Broken: Credentials rejected Account owner must act. Since",
        ),
        (
            "failed",
            {"cause": "refused", "quarantined_at": timezone.now()},
            "Broken: Stored secrets unreadable Operator must act. Since",
        ),
        (
            "connected",
            {"cause": "provider_down", "last_succeeded_at": timezone.now()},
            "Needs attention: Provider is down No action needed. Since",
        ),
        (
            "awaiting_authorization",
            {"state_changed_at": timezone.now() - timedelta(hours=25)},
            "Needs attention: The authorization was started but not finished. Account owner must act. Since",
        ),
    ],
)
def test_a_problem_has_its_cause_who_must_act_and_since_when(operator, state, columns, words):
    make_in_state(state, **columns)
    [cell] = cells(operator.get(LIST))
    assert cell.startswith(words)


def test_a_view_shows_the_instances_of_a_status(operator):
    make_in_state("failed", name="broken")
    make_in_state("draft", name="waiting")
    page = operator.get(LIST, {"status": "broken"})
    assert names(page) == ["broken"]
    current = re.findall(r'<a href="([^"]+)" aria-current="page">([^<]+)<', page.text)
    assert current == [("?status=broken", "Broken")]


def test_the_number_of_statements_does_not_grow_with_the_rows(operator):
    def statements():
        operator.get(LIST)
        with CaptureQueriesContext(connection) as queries:
            operator.get(LIST)
        return len(queries)

    make_in_state("failed", cause="refused")
    before = statements()
    for number in range(5):
        make_in_state("needs_reauthorization", cause="grant_rejected", name=f"{number}")
    assert statements() == before
