"""OAuth apps: a client secret is entered and never shown."""

from datetime import date, timedelta

import pytest
from django.utils import timezone

from instances.models import Instance, OAuthApp
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


def test_a_second_app_of_the_same_element_is_rejected(operator, dynamics):
    organization = make_organization()
    make_oauth_app(organization=organization, element=dynamics)
    page = operator.post(f"{PATH}add/", data_of(organization, dynamics))
    assert "already has an OAuth app for this element" in page.text


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
    counts = {row[0]["text"]: row[1]["text"] for row in page.context["effects"]}
    assert counts == {
        "Client secret": "2",
        "Client ID": "1",
        "Scope": "2",
        "Callback URL": "0",
        "Additional host crm.acme.example": "1",
        "Additional host *.b.example": "0",
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
