"""The list of connections: its order, its pages by key, and its database queries."""

import re
from html import unescape

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from instances.models import Instance
from tests.support.factories import make_instance, make_organization_user, make_user
from tests.support.lists import make_in_state

PATH = "/connect/"


@pytest.fixture
def mina(person):
    return person("staff", name="mina")


@pytest.fixture
def owner(mina):
    """Mina's organization user, whose connections are listed."""
    return make_organization_user(user=mina.user)


@pytest.fixture
def small_pages(monkeypatch):
    monkeypatch.setattr("instances.selfservice.connections.PER_PAGE", 3)


def make_many(owner, *names, **fields):
    for name in names:
        make_instance(name=name, organization_user=owner, **fields)


def names(page):
    return [unescape(name) for name in re.findall(r'href="/connect/\d+/">([^<]*)</a>', page.text)]


def follow(page, browser, rel):
    """Return the page that a link leads to, or None without such a link."""
    found = re.search(rf'href="(\?[^"]*)"\s+rel="{rel}"', page.text)
    return browser.get(PATH + unescape(found[1])) if found else None


def walk(browser, rel="next", page=None):
    """Return the names on this page and on each page after it, and the last page."""
    page = page or browser.get(PATH)
    pages = []
    while page:
        pages.append(names(page))
        last, page = page, follow(page, browser, rel)
    return pages, last


def test_problems_come_first_and_names_continue_from_page_to_page(mina, owner, small_pages):
    for state, name in [
        ("connected", "Anna"),
        ("connected", "Cleo"),
        ("connected", "Cleo"),
        ("connected", "Dora"),
        ("failed", "Cleo"),
        ("needs_reauthorization", "Berta"),
        ("draft", "Zoe"),
        ("unknown", "Emma"),
    ]:
        make_in_state(state, name=name, organization_user_id=owner.pk)
    expected = [["Berta", "Cleo", "Emma"], ["Zoe", "Anna", "Cleo"], ["Cleo", "Dora"]]
    pages, last = walk(mina.browser)
    assert pages == expected
    back, first = walk(mina.browser, "prev", last)
    # From the end backwards, all pages but the last one are full.
    assert back == [["Cleo", "Dora"], expected[1], expected[0]]
    assert follow(first, mina.browser, "next") is not None
    assert "1 /" not in first.text


def test_a_page_can_end_at_any_name(mina, owner, small_pages):
    odd = sorted(['"', "-1-2", "50 % off & more?", "a+b#c", "Ärger", "日本 🎉", "x\ny", "x" * 200])
    make_many(owner, *odd)
    assert [name for page in walk(mina.browser)[0] for name in page] == odd


def test_rows_added_connected_or_deleted_meanwhile_move_no_page(mina, owner, small_pages):
    make_many(owner, "B", "D", "F", "H", "J")
    first = mina.browser.get(PATH)
    assert names(follow(first, mina.browser, "next")) == ["H", "J"]
    make_many(owner, "A", "C")
    assert names(follow(first, mina.browser, "next")) == ["H", "J"]
    make_in_state("connected", name="I", organization_user_id=owner.pk)
    Instance.objects.get(name="F").delete()
    assert names(follow(first, mina.browser, "next")) == ["H", "J", "I"]


def test_pages_keep_the_search(mina, owner, small_pages):
    make_many(owner, *(f"Acme {number}" for number in range(5)))
    make_many(owner, "Contoso", "Fabrikam", tags=["acme"])
    make_many(owner, "Northwind")
    page = mina.browser.get(PATH, {"q": "acme"})
    assert walk(mina.browser, page=page)[0] == [
        ["Acme 0", "Acme 1", "Acme 2"],
        ["Acme 3", "Acme 4", "Contoso"],
        ["Fabrikam"],
    ]


@pytest.mark.parametrize(
    "position",
    [
        "2",
        "first",
        "after-",
        "after-12",
        "after-1Acme",
        "after-1Acme-x",
        "after-1Acme-99999999999999999999",
        "after-1Ac\0me-1",
        "beside-1Acme-1",
    ],
)
def test_an_invalid_position_is_the_first_page(mina, owner, position):
    make_many(owner, "Acme", "Contoso")
    page = mina.browser.get(PATH, {"page": position})
    assert page.status_code == 200
    assert names(page) == ["Acme", "Contoso"]


def test_a_made_up_position_shows_the_rows_after_it(mina, owner):
    make_many(owner, "Acme", "Contoso")
    make_instance(name="Somebody else's")
    assert names(mina.browser.get(PATH, {"page": "after-0B-7"})) == ["Contoso"]


def test_a_page_whose_rows_were_deleted_leads_back(mina, owner):
    make_many(owner, "Acme", "Contoso")
    page = mina.browser.get(PATH, {"page": "after-1Zoe-1"})
    assert "No more connections." in page.text
    assert names(follow(page, mina.browser, "prev")) == ["Acme", "Contoso"]


@pytest.mark.parametrize(
    ("query", "asked"),
    [("", 9), ("page=after-0A-1", 9), ("page=before-1Z-1", 9), ("q=keyed", 13)],
)
def test_the_list_makes_as_many_queries_for_many_rows_as_for_few(mina, owner, query, asked):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            assert names(mina.browser.get(f"{PATH}?{query}"))
        return [one["sql"] for one in captured]

    make_many(owner, *(f"Keyed {number}" for number in range(26)), tags=["keyed"])
    few = queries()
    for _ in range(2):
        other = make_organization_user(user=mina.user)
        make_many(other, *(f"Keyed {number}" for number in range(26)), tags=["keyed"])
    many = queries()
    assert (len(few), len(many)) == (asked, asked)
    assert [sql for sql in many if "COUNT(" in sql] == []


def test_the_list_of_a_superuser_makes_fewer_queries(client, db, django_assert_num_queries):
    make_instance()
    client.force_login(make_user("root", is_superuser=True))
    with django_assert_num_queries(6):
        client.get(PATH)


@pytest.mark.parametrize("path", ["/connect/?q=%00", "/connect/catalogue/?q=%00&hub=%00"])
def test_nul_characters_are_not_sent_to_the_database(mina, path):
    assert mina.browser.get(path).status_code == 200
