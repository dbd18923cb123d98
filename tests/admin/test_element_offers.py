"""Elements that only some organizations may use: everywhere that new instances come from."""

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from instances.models import Element, Instance, Organization
from instances.provisioning.elements import offer_element, sync_elements
from tests.api.conftest import KEYED_BODY, make_api_client
from tests.support.factories import make_element, make_organization, make_organization_user

KEYS = {"api.key": "k3y", "site": "acme"}


@pytest.fixture
def element(db):
    """An element for the organization Acme alone."""
    element = make_element()
    offer_element(element, to_all=False, added=[make_organization(name="Acme")])
    return element


def page_of(element):
    return f"/admin/instances/element/{element.pk}/organizations/"


def test_some_organizations_are_chosen_and_all_again(operator):
    element, acme = make_element(), make_organization(name="Acme")
    page = operator.post(page_of(element), {"organizations": [acme.pk]}, follow=True)
    assert "May be used by: Acme." in page.text
    assert LogEntry.objects.get().change_message == "May be used by: Acme."
    assert not Element.objects.get().is_for_all
    operator.post(page_of(element), {"is_for_all": "on", "organizations": []})
    assert Element.objects.get().is_for_all
    assert not element.organizations.exists()


def test_no_organization_is_not_every_organization(operator, element):
    assert "no organization" in operator.post(page_of(element), {}, follow=True).text
    assert not Element.objects.offered_to(Organization.objects.all()).exists()


def test_both_is_an_error(operator, element):
    data = {"is_for_all": "on", "organizations": [Organization.objects.get().pk]}
    assert "do not offer it to all" in operator.post(page_of(element), data).text


def test_organizations_that_are_not_seen_stay(sign_in, element):
    browser = sign_in("view_element", "change_element")
    hidden = make_organization(name="Hidden")
    offer_element(element, to_all=False, added=[hidden])
    page = browser.post(page_of(element), {"organizations": []}, follow=True)
    assert "Hidden" not in page.text
    assert list(element.organizations.all()) == [hidden]


def test_choosing_needs_the_permission(sign_in, element):
    browser = sign_in("view_element")
    assert browser.get(page_of(element)).status_code == 403
    assert browser.post(page_of(element), {"is_for_all": "on"}).status_code == 403


def test_the_api_of_another_organization_neither_shows_nor_takes_it(element):
    stranger = make_api_client("Strangers", "eve@example.com")
    assert stranger.get("elements/keyed").status_code == 404
    assert stranger.get("elements").json() == []
    refused = stranger.post("instances", KEYED_BODY)
    assert refused.status_code == 404
    assert "keyed that" in refused.json()["message"]
    assert stranger.post("elements/keyed/instances", KEYED_BODY).status_code == 404
    assert not Instance.objects.exists()
    offer_element(element, to_all=False, added=Organization.objects.all())
    assert stranger.get("elements/keyed").status_code == 200
    assert stranger.post("instances", KEYED_BODY).status_code == 200


def test_instances_that_exist_keep_working(element):
    stranger = make_api_client("Strangers", "eve@example.com")
    offer_element(element, to_all=True)
    made = stranger.post("instances", KEYED_BODY).json()
    offer_element(element, to_all=False)
    assert stranger.get(f"instances/{made['id']}").status_code == 200
    body = KEYED_BODY | {"name": "Renamed"}
    assert stranger.call("PUT", f"instances/{made['id']}", body).status_code == 200


def test_self_service_offers_it_only_to_its_organization(person, element):
    other = make_organization(name="Other")
    stranger = person("operator", of=other).browser
    make_organization_user(organization=other)
    assert stranger.get("/connect/catalogue/keyed/").status_code == 404
    assert element.name not in stranger.get("/connect/catalogue/").text


def test_the_admins_lists_offer_it_only_to_its_organization(sign_in, element):
    Organization.objects.all().delete()
    make_organization(name="Other")
    browser = sign_in("view_element", "view_instance", "add_instance")
    assert element.name not in browser.get("/admin/instances/element/").text
    assert browser.get(f"/admin/instances/element/{element.pk}/change/").status_code in {302, 404}
    question = {"app_label": "instances", "model_name": "instance", "field_name": "element"}
    found = browser.get("/admin/autocomplete/", question).json()["results"]
    assert found == []


def test_its_fields_are_shown_to_its_organization_alone(sign_in, element):
    acme = Organization.objects.get()
    acme.delete()
    other = make_organization(name="Other")
    browser = sign_in("view_element", "add_instance", "add_bulkjob")
    user = make_organization_user(organization=other)
    pages = [
        reverse("admin:instances_instance_configure", args=[user.pk, element.pk]),
        f"/admin/instances/bulkjob/template/?template-element={element.pk}",
    ]
    assert [browser.get(page).status_code for page in pages] == [404, 404]
    offer_element(element, to_all=False, added=[other])
    assert [browser.get(page).status_code for page in pages] == [200, 200]


def test_the_first_step_says_that_an_organization_may_not_use_it(operator, element):
    make_organization_user(organization=Organization.objects.get())
    user = make_organization_user(organization=make_organization(name="Other"))
    chosen = {"organization_user": user.pk, "element": element.pk}
    page = operator.get("/admin/instances/instance/add/", chosen)
    assert f"Other may not use {element.name}." in page.text


def test_loading_the_catalogue_again_changes_no_offer(dynamics):
    offer_element(dynamics, to_all=False)
    sync_elements()
    dynamics.refresh_from_db()
    assert not dynamics.is_for_all
