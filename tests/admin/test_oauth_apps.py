"""OAuth apps: a client secret is entered and never shown."""

import re
from datetime import date, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from instances.errors import HostNotAllowedError
from instances.models import Instance, OAuthApp, Organization
from instances.provisioning.plan import has_oauth_app
from instances.provisioning.platform_requests import platform_request
from tests.support.factories import (
    make_element,
    make_instance,
    make_oauth_app,
    make_organization,
    make_organization_user,
)

PATH = "/admin/instances/oauthapp/"
SECRET = "cl1ent-secret-of-the-app"


def data_of(organization, element, **changes):
    return {
        "organization": organization.pk,
        "element": element.pk,
        "client_id": "the-client",
        "new_client_secret": SECRET,
    } | changes


def test_an_app_is_entered_once_and_its_secret_never_comes_back(operator, dynamics):
    operator.post(f"{PATH}add/", data_of(make_organization(), dynamics))
    app = OAuthApp.objects.get()
    assert app.client_secret.reveal() == SECRET
    change = operator.get(f"{PATH}{app.pk}/change/").text
    assert "the-client" in change
    assert "http://localhost:8000/oauth/callback" in change
    for page in (change, operator.get(PATH).text):
        assert SECRET not in page


def test_the_form_names_a_page_that_says_how_to_register_an_app(operator):
    [page] = re.findall(r"docs/howto/[\w-]+\.md", operator.get(f"{PATH}add/").text)
    assert (settings.BASE_DIR / page).exists()


def test_a_blank_secret_keeps_the_stored_one(operator, dynamics):
    app = make_oauth_app(organization=make_organization(), element=dynamics, client_secret=SECRET)
    data = data_of(app.organization, dynamics, client_id="renamed", new_client_secret="")
    operator.post(f"{PATH}{app.pk}/change/", data)
    app.refresh_from_db()
    assert (app.client_id, app.client_secret.reveal()) == ("renamed", SECRET)


def test_a_new_app_needs_its_secret(operator, dynamics):
    data = data_of(make_organization(), dynamics, new_client_secret="")
    page = operator.post(f"{PATH}add/", data)
    assert "Enter the client secret from the provider." in page.text
    assert not OAuthApp.objects.exists()


def test_an_element_without_oauth_is_rejected_and_the_secret_not_sent_back(operator):
    page = operator.post(f"{PATH}add/", data_of(make_organization(), make_element()))
    assert "does not use an OAuth app" in page.text
    assert SECRET not in page.text


def test_a_second_app_of_the_same_element_needs_another_name(operator, dynamics):
    organization = make_organization()
    make_oauth_app(organization=organization, element=dynamics)
    page = operator.post(f"{PATH}add/", data_of(organization, dynamics))
    assert "already has an OAuth app with this name for this element" in page.text
    operator.post(f"{PATH}add/", data_of(organization, dynamics, name="New"))
    assert list(OAuthApp.objects.order_by("pk").values_list("name", "is_default")) == [
        ("", True),
        ("New", False),
    ]


def test_another_default_app_is_for_new_instances_only(operator, dynamics):
    organization = make_organization()
    user = make_organization_user(organization=organization)
    make_oauth_app(organization=organization, element=dynamics, client_id="first")
    made, older = connect(dynamics, user, name="Made"), connect(dynamics, user, name="Older")
    # As a release without several apps made it.
    Instance.objects.filter(pk=older.pk).update(oauth_app=None)
    data = data_of(organization, dynamics, name="Second", client_id="second", make_default="on")
    operator.post(f"{PATH}add/", data)
    assert OAuthApp.objects.get(is_default=True).client_id == "second"
    after = connect(dynamics, user, name="After")
    assert [client_of(operator, one) for one in (made, older, after)] == [
        "first",
        "first",
        "second",
    ]
    # The only default app stays it.
    second = OAuthApp.objects.get(name="Second")
    data = data_of(organization, dynamics, name="Second", client_id="second", new_client_secret="")
    operator.post(f"{PATH}{second.pk}/change/", data)
    assert OAuthApp.objects.get(is_default=True) == second
    users = operator.get(f"/admin/instances/instance/?oauth_app={second.pk}")
    assert [one.name for one in users.context["cl"].result_list] == ["After"]


def test_the_form_and_a_client_id_choose_an_app(operator, dynamics):
    organization = make_organization()
    user = make_organization_user(organization=organization)
    make_oauth_app(organization=organization, element=dynamics, client_id="first")
    second = make_oauth_app(
        organization=organization, element=dynamics, client_id="second", name="B", is_default=False
    )
    form = (
        reverse("admin:instances_instance_configure", args=[user.pk, dynamics.pk]) + "?way=oauth2"
    )
    entered = {"configuration.dynamics.tenant": "acme.crm.dynamics.com", "draft": ""}
    operator.post(form, entered | {"name": "By form", "oauth_app": second.pk})
    by_form = Instance.objects.get(name="By form")
    by_client_id = connect(dynamics, user, **{"oauth.api.key": "second"})
    assert by_client_id.secret_keys == []
    assert [client_of(operator, one) for one in (by_form, by_client_id)] == ["second", "second"]
    foreign = make_oauth_app(organization=make_organization(), element=dynamics)
    answer = operator.post(form, entered | {"name": "No", "oauth_app": foreign.pk})
    assert "Select a valid choice" in answer.text


def test_a_shared_app_connects_accounts_of_other_organizations(operator, dynamics):
    lender, borrower = make_organization(), make_organization()
    data = data_of(lender, dynamics, shared_with=[borrower.pk])
    operator.post(f"{PATH}add/", data)
    app = OAuthApp.objects.get()
    assert list(app.shared_with.all()) == [borrower]
    user = make_organization_user(organization=borrower)
    instance = connect(dynamics, user, name="Borrowed")
    assert client_of(operator, instance) == "the-client"
    counts = effects(operator, app)
    assert (counts["Client secret"], counts[f"Shared with {borrower}"]) == ("1", "1")
    # An own app comes first.
    make_oauth_app(organization=borrower, element=dynamics, client_id="own")
    assert client_of(operator, connect(dynamics, user, name="Own")) == "own"
    assert client_of(operator, instance) == "the-client"
    app.shared_with.clear()
    assert client_of(operator, instance) != "the-client"


@pytest.mark.parametrize(
    "changes",
    [
        {"endpoint_overrides": {"dynamicscrmadfs": {"https://a.example": "https://evil.example"}}},
        {"platform_url": "https://evil.example/elements/api-v2"},
    ],
)
def test_whoever_decides_where_requests_go_borrows_no_secret(dynamics, changes):
    borrower = make_organization()
    make_oauth_app(organization=make_organization(), element=dynamics).shared_with.add(borrower)
    user = make_organization_user(organization=borrower)
    assert has_oauth_app(borrower, dynamics, way_of(dynamics))
    Organization.objects.filter(pk=borrower.pk).update(**changes)
    borrower.refresh_from_db()
    user.refresh_from_db()
    assert not has_oauth_app(borrower, dynamics, way_of(dynamics))


def test_private_hosts_of_a_borrower_get_no_secret(dynamics):
    borrower = make_organization(private_hosts={"dynamicscrmadfs": ["evil.example"]})
    make_oauth_app(organization=make_organization(), element=dynamics).shared_with.add(borrower)
    user = make_organization_user(organization=borrower)
    with pytest.raises(HostNotAllowedError):
        connect(dynamics, user, host="evil.example")


def test_operators_of_one_organization_share_nothing(sign_in, dynamics):
    organization = make_organization()
    client = sign_in("add_oauthapp", "view_oauthapp", "change_oauthapp")
    other = make_organization()
    client.post(f"{PATH}add/", data_of(organization, dynamics, shared_with=[other.pk]))
    assert OAuthApp.objects.get().shared_with.count() == 0


def way_of(element):
    return element.parsed.authentication_type("oauth2")


def client_of(operator, instance):
    """Return the client ID that the provider's page is opened with."""
    url = reverse("admin:instances_instance_action", args=[instance.pk, "authorize"])
    location = operator.post(url).headers.get("Location", "")
    return parse_qs(urlsplit(location).query).get("client_id", [""])[0]


def secret_of(instance):
    """Return the client secret that the instance's next token request sends."""
    row = Instance.objects.get(pk=instance.pk)
    return platform_request(row, actor="test").configuration["oauth.api.secret"]


def effects(operator, app):
    page = operator.get(f"{PATH}{app.pk}/change/")
    return {row[0]["text"]: row[1]["text"] for row in page.context["effects"]}


def connect(element, user, *, name="", host="acme.crm.dynamics.com", **configuration):
    return make_instance(
        element=element,
        organization_user=user,
        name=name,
        authentication_type="oauth2",
        configuration={"dynamics.tenant": host, **configuration},
    )


def test_the_page_says_what_each_change_affects(operator, dynamics):
    app = make_oauth_app(
        organization=make_organization(),
        element=dynamics,
        hosts=["crm.acme.example", "*.b.example"],
    )
    user = make_organization_user(organization=app.organization)
    one = connect(dynamics, user, name="One")
    Instance.objects.filter(pk=one.pk).update(has_refresh_token=True)
    connect(dynamics, user, name="Two", host="crm.acme.example")
    own = {
        "oauth.api.key": "x",
        "oauth.api.secret": "y",
        "oauth.callback.url": "https://a.example/",
    }
    connect(dynamics, user, name="Own", **own)
    make_instance(name="Other element", organization_user=user)
    connect(dynamics, make_organization_user(), name="Foreign", **own)
    page = operator.get(f"{PATH}{app.pk}/change/")
    assert effects(operator, app) == {
        "Client secret": "2",
        "Client ID": "1",
        "Scope": "2",
        "Callback URL": "0",
        "Additional host crm.acme.example": "1",
        "Additional host *.b.example": "0",
        "Deletion": "2",
    }
    assert "must be authorized again" in page.text
    listed = operator.get(page.context["users_url"])
    assert {one.name for one in listed.context["cl"].result_list} == {"One", "Two"}


def test_another_organizations_app_lists_nothing(sign_in, dynamics):
    client = sign_in("view_instance", "view_oauthapp")
    app = make_oauth_app(organization=make_organization(), element=dynamics)
    user = make_organization_user(organization=app.organization)
    connect(dynamics, user)
    page = client.get(f"/admin/instances/instance/?oauth_app={app.pk}")
    assert list(page.context["cl"].result_list) == []
    assert client.get(f"{PATH}{app.pk}/change/").status_code != 200


@pytest.mark.parametrize(
    ("days", "listed", "notice"),
    [
        (-1, "Ended on", "The client secret has ended."),
        (1, "in 1 day", "The client secret ends soon."),
        (29, "in 29 days", "The client secret ends soon."),
        (90, "", ""),
    ],
)
def test_the_end_of_a_secret_is_shown_in_time(operator, dynamics, days, listed, notice):
    ends_on = timezone.localdate() + timedelta(days=days)
    app = make_oauth_app(organization=make_organization(), element=dynamics, secret_ends_on=ends_on)
    assert listed in operator.get(PATH).text
    page = operator.get(f"{PATH}{app.pk}/change/").text
    assert notice in page
    assert ("The client secret" in page) == bool(notice)
    is_listed = operator.get(PATH, {"secret": "ending"}).context["cl"].result_count == 1
    assert is_listed == bool(notice)
    data = data_of(app.organization, dynamics, new_client_secret="", secret_ends_on="2031-01-31")
    operator.post(f"{PATH}{app.pk}/change/", data)
    app.refresh_from_db()
    assert app.secret_ends_on == date(2031, 1, 31)


def test_a_new_secret_is_rolled_out_a_few_instances_at_a_time(operator, dynamics):
    organization = make_organization()
    user = make_organization_user(organization=organization)
    make_oauth_app(organization=organization, element=dynamics, client_id="client")
    rows = [connect(dynamics, user, name=f"Row {number}") for number in range(3)]
    new = make_oauth_app(
        organization=organization, element=dynamics, client_id="client", name="New", is_default=False,
        client_secret="the-second-secret",
    )  # fmt: skip
    old = OAuthApp.objects.get(is_default=True)
    page = operator.get(f"{PATH}{new.pk}/change/")
    assert "instances keep working" in page.text
    operator.post(f"{PATH}{new.pk}/move/", {"source": old.pk, "count": 1})
    secrets = [secret_of(row) for row in rows]
    assert secrets == ["the-second-secret", "client-secret-of-the-app", "client-secret-of-the-app"]
    page = operator.post(f"{PATH}{new.pk}/move/", {"source": old.pk, "count": 5}, follow=True)
    assert "2 instances were moved." in page.text
    assert "Move instances to this app" not in page.text
    assert [secret_of(row) for row in rows] == ["the-second-secret"] * 3
    assert "the-second-secret" not in page.text


def test_a_move_to_another_client_says_what_it_costs(operator, dynamics):
    organization = make_organization()
    user = make_organization_user(organization=organization)
    make_oauth_app(organization=organization, element=dynamics, client_id="first")
    connect(dynamics, user)
    other = make_oauth_app(
        organization=organization, element=dynamics, client_id="second", name="B", is_default=False
    )
    assert "must be authorized again when" in operator.get(f"{PATH}{other.pk}/change/").text


@pytest.mark.parametrize("data", [{}, {"count": 0}, {"count": "x"}, {"source": 0}, {"source": "x"}])
def test_a_move_that_cannot_be_read_moves_nothing(operator, dynamics, data):
    organization = make_organization()
    user = make_organization_user(organization=organization)
    old = make_oauth_app(organization=organization, element=dynamics)
    instance = connect(dynamics, user)
    new = make_oauth_app(organization=organization, element=dynamics, name="New", is_default=False)
    entered = {"source": old.pk, "count": 1} | data if data else {}
    page = operator.post(f"{PATH}{new.pk}/move/", entered, follow=True)
    assert (page.status_code, "moved" in page.text) == (200, False)
    instance.refresh_from_db()
    assert instance.oauth_app == old


def test_instances_out_of_reach_of_the_new_app_stay(operator, sign_in, dynamics):
    lender, borrower = make_organization(), make_organization()
    old = make_oauth_app(organization=lender, element=dynamics)
    old.shared_with.add(borrower)
    borrowed = connect(dynamics, make_organization_user(organization=borrower))
    new = make_oauth_app(organization=lender, element=dynamics, name="New", is_default=False)
    operator.post(f"{PATH}{new.pk}/move/", {"source": old.pk, "count": 9})
    borrowed.refresh_from_db()
    assert borrowed.oauth_app == old
    viewer = sign_in("view_oauthapp")
    new.shared_with.add(borrower)
    assert viewer.post(f"{PATH}{new.pk}/move/", {"source": old.pk, "count": 9}).status_code == 403
    assert viewer.get(f"{PATH}{new.pk}/move/").status_code == 405


def test_instances_that_may_not_borrow_stay(operator, dynamics):
    lender, borrower = make_organization(), make_organization()
    own = make_oauth_app(organization=borrower, element=dynamics)
    instance = connect(dynamics, make_organization_user(organization=borrower))
    shared = make_oauth_app(organization=lender, element=dynamics)
    shared.shared_with.add(borrower)
    overrides = {"https://a.example": "https://b.example"}
    borrower.endpoint_overrides = {dynamics.key: overrides}
    borrower.save()
    assert "Move instances" not in operator.get(f"{PATH}{shared.pk}/change/").text
    operator.post(f"{PATH}{shared.pk}/move/", {"source": own.pk, "count": 9})
    instance.refresh_from_db()
    assert instance.oauth_app == own


def test_the_page_takes_as_many_queries_for_many_organizations_as_for_few(operator, dynamics):
    lender = make_organization()
    app = make_oauth_app(organization=lender, element=dynamics)

    def queries():
        with CaptureQueriesContext(connection) as captured:
            assert operator.get(f"{PATH}{app.pk}/change/").status_code == 200
        return len(captured)

    def make(count):
        for _ in range(count):
            borrower = make_organization()
            make_oauth_app(organization=borrower, element=dynamics)
            app.shared_with.add(borrower)

    make(1)
    queries()
    few = queries()
    make(5)
    assert queries() == few


@pytest.mark.parametrize("way", ["page", "action", "elsewhere"])
def test_another_app_becomes_the_default_one_once_that_is_gone(operator, dynamics, way):
    organization = make_organization()
    user = make_organization_user(organization=organization)
    first = make_oauth_app(organization=organization, element=dynamics)
    second = make_oauth_app(organization=organization, element=dynamics, name="B", is_default=False)
    connect(dynamics, user, name="Mine")
    if way == "page":
        operator.post(f"{PATH}{first.pk}/delete/", {"post": "yes"})
    elif way == "action":
        action = {"action": "delete_selected", "_selected_action": [first.pk], "post": "yes"}
        operator.post(PATH, action)
    else:
        elsewhere = data_of(make_organization(), dynamics)
        operator.post(f"{PATH}{first.pk}/change/", elsewhere)
    assert OAuthApp.objects.get(organization=organization, is_default=True) == second
    if way != "elsewhere":
        assert effects(operator, second)["Client secret"] == "1"
