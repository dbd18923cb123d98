"""Staff connect accounts with credentials or OAuth, and read why it failed."""

import pytest
from django.urls import reverse

from instances.models import Instance
from tests.support.consent import TENANT, decide
from tests.support.factories import CUSTOM_CONFIGURATION, make_organization_user

PATH = "/connect/catalogue/dynamicscrmadfs/"


def entered(configuration, **others):
    return {f"configuration.{key}": value for key, value in configuration.items()} | others


def test_an_account_is_connected_by_its_credentials(staff, dynamics):
    page = staff.browser.post(
        f"{PATH}?way=custom", entered(CUSTOM_CONFIGURATION, name="Contoso"), follow=True
    )
    instance = Instance.objects.get()
    assert (instance.state, instance.organization_user.user) == ("connected", staff.user)
    assert "Contoso is connected." in page.text
    assert "sandbox-password" not in page.text
    assert "Contoso" in staff.browser.get("/connect/").text


def test_wrong_credentials_are_explained_and_can_be_entered_again(staff, dynamics):
    wrong = CUSTOM_CONFIGURATION | {"user.password": "wr0ng-password"}
    page = staff.browser.post(f"{PATH}?way=custom", entered(wrong, name="Contoso"), follow=True)
    assert "Account owner must act. If the account is yours, that is you." in page.text
    assert "wr0ng-password" not in page.text
    url = reverse("connection_action", args=[Instance.objects.get().pk, "reauthenticate"])
    page = staff.browser.post(url, entered(CUSTOM_CONFIGURATION), follow=True)
    assert "Contoso is connected." in page.text
    assert Instance.objects.get().is_connected


def test_missing_values_are_errors_at_their_fields(staff, dynamics):
    page = staff.browser.post(f"{PATH}?way=custom", {"name": "Contoso"})
    assert page.text.count("This field is required.") == 3
    assert not Instance.objects.exists()


def test_with_oauth_nobody_is_asked_for_a_client_secret(staff, dynamics):
    page = staff.browser.get(PATH)
    assert "Continue to Microsoft Dynamics CRM" in page.text
    assert "Client Secret" not in page.text
    away = staff.browser.post(PATH, TENANT | {"name": "Northwind"})
    back = staff.browser.get(decide(away["Location"], "allow"))
    instance = Instance.objects.get()
    assert back["Location"] == reverse("connection", args=[instance.pk])
    assert "Northwind is connected." in staff.browser.get(back["Location"]).text


def test_after_a_denial_staff_go_back_and_try_again(staff, dynamics):
    away = staff.browser.post(PATH, TENANT | {"name": "Northwind"})
    denied = staff.browser.get(decide(away["Location"], "deny"))
    instance = Instance.objects.get()
    assert denied.status_code == 403
    url = reverse("connection", args=[instance.pk])
    assert f'href="{url}"' in denied.text
    assert "Authorize" in staff.browser.get(url).text
    again = staff.browser.post(reverse("connection_action", args=[instance.pk, "authorize"]))
    staff.browser.get(decide(again["Location"], "allow"))
    assert Instance.objects.get().is_connected


def test_staff_with_several_organization_users_choose_the_owner(staff, dynamics):
    other = make_organization_user(user=staff.user)
    assert "Owner" in staff.browser.get(PATH).text
    assert f"for {other}" in staff.browser.get(f"{PATH}?owner={other.pk}").text
    foreign = make_organization_user()
    assert staff.browser.get(f"{PATH}?owner={foreign.pk}").status_code == 404


def test_staff_without_an_organization_user_read_what_to_do(person, dynamics):
    browser = person("staff").browser
    assert "Ask an operator" in browser.get("/connect/").text
    assert "Ask an operator" in browser.get(PATH).text


def test_the_catalogue_is_searched_by_name_and_hub(staff, dynamics):
    assert "Microsoft Dynamics CRM" in staff.browser.get("/connect/catalogue/?q=dynam&hub=crm").text
    for query in ("?q=nothing-like-it", "?hub=helpdesk"):
        assert "No services found" in staff.browser.get(f"/connect/catalogue/{query}").text


@pytest.mark.parametrize("path", ["/connect/", "/connect/catalogue/", PATH])
def test_pages_are_not_stored_and_run_no_scripts_of_other_origins(staff, dynamics, path):
    answer = staff.browser.get(path)
    assert "no-store" in answer["Cache-Control"]
    policy = answer["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
