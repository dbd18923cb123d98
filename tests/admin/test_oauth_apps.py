"""OAuth apps: a client secret is entered and never shown."""

from instances.models import OAuthApp
from tests.support.factories import make_element, make_oauth_app, make_organization

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
