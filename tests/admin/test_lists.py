"""Lists of large tables: pages by key, quick filters, and the search."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from instances.models import Authorization, Instance
from instances.provisioning.lifecycle.refresh import refresh_instance
from instances.queries import database_clock
from tests.support.connected import make_connected
from tests.support.factories import (
    make_instance,
    make_interaction,
    make_organization,
    make_organization_user,
    make_user,
)
from tests.support.lists import make_in_state, names

INSTANCES = "/admin/instances/instance/"


INTERACTIONS = "/admin/instances/interaction/"


SEARCH = f"{INSTANCES}search/"


TOKEN = "Qm9ndXMtdG9rZW4tZm9yLXRlc3RzLW9ubHktMDEyMzQ1Ng=="


@pytest.fixture
def small_pages(monkeypatch):
    monkeypatch.setattr("instances.admin.keyset.KeysetAdmin.list_per_page", 3)


def make_many(count, **fields):
    user = make_organization_user()
    for number in range(count):
        make_instance(name=f"Acme {number}", organization_user=user, **fields)


def links(page):
    return dict(re.findall(r'href="(\?[^"]*)"\s+rel="(\w+)"', page.text))


def link_to(page, rel):
    found = [url for url, kind in links(page).items() if kind == rel]
    return INSTANCES + found[0].replace("&amp;", "&") if found else None


def test_pages_follow_one_another_both_ways(operator, small_pages):
    make_many(8)
    page, seen = operator.get(INSTANCES), []
    while True:
        seen += names(page)
        if not (older := link_to(page, "next")):
            break
        page = operator.get(older)
    assert seen == [f"Acme {number}" for number in reversed(range(8))]
    back = operator.get(link_to(page, "prev"))
    assert names(back) == ["Acme 4", "Acme 3", "Acme 2"]
    first = operator.get(link_to(back, "prev"))
    assert names(first) == ["Acme 7", "Acme 6", "Acme 5"]
    assert link_to(operator.get(INSTANCES), "prev") is None


def test_rows_added_meanwhile_move_no_page(operator, small_pages):
    make_many(6)
    older = link_to(operator.get(INSTANCES), "next")
    before = names(operator.get(older))
    make_many(4)
    assert names(operator.get(older)) == before == ["Acme 2", "Acme 1", "Acme 0"]


def test_pages_keep_filter_and_search(operator, small_pages):
    make_many(5, tags=["blue"])
    make_many(5)
    page = operator.get(INSTANCES, {"tag": "blue", "q": "acme"})
    page = operator.get(link_to(page, "next"))
    assert names(page) == ["Acme 1", "Acme 0"]
    assert link_to(page, "next") is None


@pytest.mark.parametrize("position", ["after-", "before-x", "7", "after-99999999999999999999"])
def test_an_invalid_position_is_the_first_page(operator, position):
    make_many(2)
    assert names(operator.get(INSTANCES, {"p": position})) == ["Acme 1", "Acme 0"]


def test_a_page_whose_rows_were_deleted_leads_back(operator, small_pages):
    make_many(2)
    page = operator.get(INSTANCES, {"p": "after-1"})
    assert names(page) == []
    assert names(operator.get(link_to(page, "prev"))) == ["Acme 1", "Acme 0"]


QUESTIONS = [
    f"{INSTANCES}?{query}"
    for query in (
        "",
        "p=after-999999",
        "p=before-1",
        "state__exact=draft",
        "tag=blue",
        "q=acme",
        "q=blue",
        "cause=none",
        "question=never-checked",
        "question=by-leavers",
        "question=shared-account",
        "account_of=1",
        "question=overdue-refresh",
    )
]


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [
        *QUESTIONS,
        INTERACTIONS,
        f"{INTERACTIONS}?outcome=failed",
        f"{INTERACTIONS}?q=acme",
        "/admin/",
    ],
)
@pytest.mark.parametrize("is_superuser", [True, False], ids=["superuser", "operator"])
def test_a_list_takes_as_many_queries_for_many_rows_as_for_few(
    operator, sign_in, path, is_superuser, monkeypatch
):
    # The console compares the clocks, otherwise every few seconds.
    monkeypatch.setattr(database_clock, "MEASURE_EVERY", timedelta(0))
    organization = make_organization()

    def make(count):
        for number in range(count):
            user = make_organization_user(organization=organization)
            one = make_instance(name=f"Acme {number}", organization_user=user, tags=["blue", "eu"])
            make_interaction(instance=one, organization=organization, subject=one.label, status=500)

    make(5)
    permissions = ("view_instance", "view_interaction", "view_bulkjob")
    client = operator if is_superuser else sign_in(*permissions)
    client.get(path)

    def queries():
        with CaptureQueriesContext(connection) as captured:
            assert client.get(path).status_code == 200
        return [query["sql"] for query in captured]

    few = queries()
    make(40)
    many = queries()
    assert len(many) == len(few)
    counted = [sql for sql in many if "COUNT(" in sql]
    assert path == "/admin/" or counted == []


@pytest.mark.parametrize(
    "question", ["failed-in-the-last-day", "needs-reauthorization", "disabled"]
)
def test_a_question_about_states_finds_those_and_no_others(operator, question):
    now = timezone.now()
    make_in_state("failed", name="failed-in-the-last-day", state_changed_at=now)
    make_in_state("failed", name="long ago", state_changed_at=now - timedelta(days=2))
    make_in_state("needs_reauthorization", name="needs-reauthorization")
    make_in_state("connected", name="disabled", is_disabled=True)
    make_in_state("connected", name="fine")
    assert names(operator.get(INSTANCES, {"question": question})) == [question]


def test_instances_awaiting_authorization_for_a_day_are_found(operator):
    now = timezone.now()
    make_in_state("awaiting_authorization", name="sent just now", state_changed_at=now)
    make_in_state("awaiting_authorization", name="waits", state_changed_at=now - timedelta(days=2))
    assert names(operator.get(INSTANCES, {"question": "waiting-for-a-day"})) == ["waits"]


def test_overdue_refreshes_and_unchecked_instances_are_found(operator):
    now = timezone.now()
    due = {"refresh_due_at": now - timedelta(minutes=6), "last_checked_at": now}
    make_in_state("connected", name="late", **due)
    make_in_state("connected", name="on its way", **due, leased_until=now + timedelta(minutes=1))
    make_in_state("connected", name="due now", refresh_due_at=now, last_checked_at=now)
    make_in_state("connected", name="unchecked")
    assert names(operator.get(INSTANCES, {"question": "overdue-refresh"})) == ["late"]
    assert names(operator.get(INSTANCES, {"question": "never-checked"})) == ["unchecked"]


def test_instances_without_a_refresh_token_are_found_until_they_have_one(operator, provider):
    instance = make_connected(provider, name="OAuth")
    make_in_state("connected", name="API key")
    question = {"question": "no-refresh-token"}
    assert instance.has_refresh_token is True
    assert names(operator.get(INSTANCES, question)) == []
    tokens = instance.tokens.reveal() | {"refresh_token": ""}
    instance.tokens = tokens
    Instance.objects.filter(pk=instance.pk).update(tokens=instance.tokens, has_refresh_token=False)
    assert names(operator.get(INSTANCES, question)) == ["OAuth"]


def test_a_refresh_records_that_there_is_a_refresh_token(provider, db):
    instance = make_connected(provider)
    Instance.objects.filter(pk=instance.pk).update(has_refresh_token=None)
    refresh_instance(Instance.objects.get(pk=instance.pk), actor="test")
    assert Instance.objects.get(pk=instance.pk).has_refresh_token is True


def authorize(instance, user):
    Authorization.objects.create(
        instance=instance,
        started_by=user,
        state_digest=f"{instance.pk}-{user}",
        browser_digest="b",
        redirect_uri="http://localhost:8000/oauth/callback",
        expires_at=timezone.now(),
        used_at=timezone.now(),
        outcome=Authorization.Outcome.COMPLETED,
    )


def test_instances_owned_or_authorized_by_an_inactive_user_are_found(operator):
    left, here = make_user("left"), make_user("here")
    authorize(make_instance(name="authorized"), left)
    renewed = make_instance(name="renewed since")
    authorize(renewed, left)
    authorize(renewed, here)
    make_instance(name="owned", organization_user=make_organization_user(user=left))
    make_instance(name="other", organization_user=make_organization_user(user=here))
    question = {"question": "by-leavers"}
    assert names(operator.get(INSTANCES, question)) == []
    left.is_active = False
    left.save()
    assert names(operator.get(INSTANCES, question)) == ["owned", "authorized"]


def test_the_search_finds_the_beginning_of_a_name_and_an_id(operator):
    wanted = make_instance(name="Acme Ltd")
    make_instance(name="The Acme")
    assert names(operator.get(INSTANCES, {"q": "aCME"})) == ["Acme Ltd"]
    assert names(operator.get(INSTANCES, {"q": str(wanted.pk)})) == ["Acme Ltd"]


def test_the_search_text_becomes_part_of_the_lists_address_with_its_filters(operator):
    answer = operator.post(SEARCH, {"q": " Acme ", "tag": "blue"})
    assert answer["Location"] == f"{INSTANCES}?tag=blue&q=Acme"


def test_a_token_leads_to_its_instance_and_is_in_no_address(operator):
    instance = make_in_state("connected", token=TOKEN)
    change = f"{INSTANCES}{instance.pk}/change/"
    assert operator.post(SEARCH, {"q": TOKEN})["Location"] == change
    assert operator.get(INSTANCES, {"q": TOKEN})["Location"] == change
    page = operator.get(INSTANCES).text
    assert re.search(r'id="changelist-search"\s+role="search"\s+method="post"', page)


@pytest.mark.parametrize("entered", [TOKEN[:-4], TOKEN.lower(), TOKEN[:26]])
def test_a_part_of_a_token_finds_nothing_and_is_in_no_address(operator, entered):
    make_in_state("connected", token=TOKEN)
    for answer in (operator.post(SEARCH, {"q": entered}), operator.get(INSTANCES, {"q": entered})):
        assert answer["Location"] == INSTANCES
    assert (
        "No instance that you may view has this name or this Element token."
        in operator.get(INSTANCES).text
    )


def test_the_token_of_an_instance_out_of_reach_finds_nothing(sign_in):
    make_in_state("connected", token=TOKEN)
    client = sign_in("view_instance")
    make_in_state("connected", token=TOKEN[::-1])
    assert client.post(SEARCH, {"q": TOKEN})["Location"] != INSTANCES
    assert client.post(SEARCH, {"q": TOKEN[::-1]})["Location"] == INSTANCES


def test_a_long_name_that_looks_like_a_token_is_found(operator):
    make_instance(name="a-name-without-any-space-of-2026")
    page = operator.post(SEARCH, {"q": "a-name-without-any-space-of"}, follow=True)
    assert names(page) == ["a-name-without-any-space-of-2026"]


def test_searching_needs_the_permission(sign_in):
    assert sign_in().post(SEARCH, {"q": "acme"}).status_code == 403


def test_interactions_are_found_by_prefix_of_their_subject_and_by_operation(operator):
    make_interaction(subject="Acme (crm, id 1)", operation="check")
    make_interaction(subject="Other", operation="refresh the tokens")
    for term, step in {"acme (c": "check", "refresh the tokens": "refresh the tokens"}.items():
        page = operator.get(INTERACTIONS, {"q": term})
        assert [one.operation for one in page.context["cl"].result_list] == [step]


def test_an_empty_list_says_what_to_do(operator):
    assert "Nothing here yet" in operator.get(INSTANCES).text
    assert "Nothing matches “acme”" in operator.get(INSTANCES, {"q": "acme"}).text
