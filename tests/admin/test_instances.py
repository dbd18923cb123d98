"""Adding instances, their list, and the page of an instance."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from instances.models import Element, Instance, Interaction, StateChange
from tests.support.connected import make_connected
from tests.support.factories import (
    CUSTOM_CONFIGURATION,
    KEY_DEFINITION,
    make_element,
    make_instance,
    make_interaction,
    make_oauth_app,
    make_organization_user,
)

ADD = "/admin/instances/instance/add/"
SECRET = "k3y-of-the-account"


def configure_url(user, element, way=""):
    url = reverse("admin:instances_instance_configure", args=[user.pk, element.pk])
    return f"{url}?way={way}" if way else url


def entered(configuration, **other):
    return {f"configuration.{key}": value for key, value in configuration.items()} | other


def change_url(instance):
    return reverse("admin:instances_instance_change", args=[instance.pk])


def edit_url(instance):
    return reverse("admin:instances_instance_action", args=[instance.pk, "edit"])


def test_choosing_a_user_and_an_element_leads_to_the_elements_own_form(operator):
    user, element = make_organization_user(), make_element()
    answer = operator.get(ADD, {"organization_user": user.pk, "element": element.pk})
    assert answer["Location"] == configure_url(user, element)


def test_an_inactive_element_cannot_be_chosen(operator):
    user, element = make_organization_user(), make_element(is_active=False)
    answer = operator.get(ADD, {"organization_user": user.pk, "element": element.pk})
    assert "Select a valid choice" in answer.text
    assert operator.get(configure_url(user, element)).status_code == 404


def test_the_search_for_an_element_offers_active_ones_only(operator):
    make_element()
    query = {"app_label": "instances", "model_name": "instance", "field_name": "element"}
    found = operator.get("/admin/autocomplete/", query | {"term": "keyed"}).json()["results"]
    assert [one["id"] for one in found] == [str(KEY_DEFINITION["id"])]
    Element.objects.update(is_active=False)
    assert operator.get("/admin/autocomplete/", query).json()["results"] == []


def test_the_form_asks_for_what_the_definition_says(operator, dynamics):
    page = operator.get(configure_url(make_organization_user(), dynamics, "custom")).text
    assert "User password" in page
    assert 'type="password" name="configuration.user.password"' in page
    assert 'autocomplete="new-password"' in page
    assert 'type="checkbox" name="configuration.document.tagging"' in page
    assert "?way=oauth2" in page


def test_help_and_errors_are_linked_to_their_inputs(operator):
    url = configure_url(make_organization_user(), make_element())
    page = operator.post(url, entered({"api.key": "", "site": ""})).text
    assert 'aria-describedby="id_name_helptext"' in page
    assert 'id="id_name_helptext"' in page
    assert 'aria-invalid="true"' in page
    assert 'id="id_configuration.site_error"' in page


def test_an_unknown_way_of_authentication_is_not_found(operator, dynamics):
    assert (
        operator.get(configure_url(make_organization_user(), dynamics, "magic")).status_code == 404
    )


def test_saving_as_a_draft_keeps_name_tags_and_configuration_and_sends_nothing(operator):
    user, element = make_organization_user(), make_element()
    data = entered(
        {"api.key": SECRET, "site": "acme"}, name="Acme", tags=" one, two,, ", draft="yes"
    )
    answer = operator.post(configure_url(user, element), data)
    instance = Instance.objects.get()
    assert answer["Location"] == change_url(instance)
    assert (instance.name, instance.tag_names, instance.state) == ("Acme", ["one", "two"], "draft")
    assert instance.configuration == {"site": "acme"}
    assert instance.secret_configuration.reveal() == {"api.key": SECRET}
    assert not Interaction.objects.exists()


def test_missing_values_are_errors_at_their_fields_and_secrets_are_not_sent_back(operator):
    url = configure_url(make_organization_user(), make_element())
    page = operator.post(url, entered({"api.key": SECRET, "site": ""}, name="Kept"))
    assert page.context["form"].errors == {"configuration.site": ["This field is required."]}
    assert SECRET not in page.text
    assert 'value="Kept"' in page.text
    assert not Instance.objects.exists()


def test_an_invalid_value_is_an_error_at_its_field(operator):
    definition = KEY_DEFINITION | {"key": "other", "id": 900002}
    field = {"key": "host", "label": "Host", "type": "url", "required": True}
    definition["authentication"] = [{"type": "custom", "fields": [field]}]
    url = configure_url(make_organization_user(), make_element(definition))
    page = operator.post(url, entered({"host": "not a url"}))
    assert "must be a URL" in page.context["form"].errors["configuration.host"][0]


@pytest.mark.parametrize("bad", [{"name": "x" * 201}, {"tags": "y" * 201}])
def test_names_and_tags_that_are_too_long_are_rejected(operator, bad):
    url = configure_url(make_organization_user(), make_element())
    page = operator.post(url, entered({"api.key": SECRET, "site": "acme"}) | bad)
    assert page.status_code == 200
    assert page.context["form"].errors
    assert not Instance.objects.exists()


def test_with_an_oauth_app_the_form_does_not_ask_for_the_client(operator, dynamics):
    user = make_organization_user()
    url = configure_url(user, dynamics, "oauth2")
    assert "configuration.oauth.api.secret" in operator.get(url).text
    assert 'value="http://localhost:8000/oauth/callback"' in operator.get(url).text
    make_oauth_app(organization=user.organization, element=dynamics)
    page = operator.get(url).text
    assert "configuration.oauth.api" not in page
    assert "OAuth app supplies" in page


def test_saving_and_provisioning_connects_the_account(operator, sandbox, dynamics):
    data = entered(CUSTOM_CONFIGURATION, name="Contoso", tags="crm")
    page = operator.post(configure_url(sandbox, dynamics, "custom"), data, follow=True)
    assert "Contoso is connected." in page.text
    assert Instance.objects.get().state == "connected"
    for secret in ("sandbox-password", Instance.objects.get().token.reveal()):
        assert secret not in page.text


def test_rejected_credentials_leave_a_failed_instance_that_says_why(operator, sandbox, dynamics):
    wrong = CUSTOM_CONFIGURATION | {"user.password": "wr0ng-password"}
    data = entered(wrong, name="Contoso")
    page = operator.post(configure_url(sandbox, dynamics, "custom"), data, follow=True)
    assert Instance.objects.get().state == "failed"
    assert "Account owner must act." in page.text
    assert "Enter credentials" in page.text
    assert "wr0ng-password" not in page.text


def test_users_who_may_add_but_not_change_get_a_draft(sign_in):
    url = configure_url(make_organization_user(), make_element())
    data = entered({"api.key": SECRET, "site": "acme"})
    sign_in("add_instance").post(url, data)
    assert Instance.objects.get().state == "draft"


def test_the_list_shows_state_tags_and_owner_and_decrypts_nothing(operator, settings):
    instance = make_instance(name="Acme", tags=["blue"])
    settings.ENCRYPTION_KEYS = ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]
    page = operator.get("/admin/instances/instance/").text
    for text in ("Acme", "blue", "draft", instance.organization_user.email):
        assert text in page


@pytest.mark.parametrize("term", ["acme", "blue", "ada@", "{uid}"])
def test_an_instance_is_found_by_name_tag_address_and_uid(operator, term):
    user = make_organization_user(email="ada@example.com")
    wanted = make_instance(name="Acme", tags=["blue"], organization_user=user)
    make_instance(name="Other", tags=["green"])
    page = operator.get("/admin/instances/instance/", {"q": term.format(uid=wanted.uid)})
    assert [one.pk for one in page.context["cl"].result_list] == [wanted.pk]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"state__exact": "draft"}, 1),
        ({"state__exact": "failed"}, 0),
        ({"element__hub": "crm"}, 1),
        ({"element__hub": "erp"}, 0),
    ],
)
def test_the_list_is_filtered(operator, query, count):
    make_instance()
    page = operator.get("/admin/instances/instance/", query)
    assert len(page.context["cl"].result_list) == count


def test_the_list_takes_as_many_queries_for_ten_instances_as_for_one(
    operator, django_assert_max_num_queries
):
    for _ in range(10):
        make_instance()
    with django_assert_max_num_queries(12):
        operator.get("/admin/instances/instance/")


def test_the_page_of_a_draft_says_what_to_do_and_hides_secrets(operator):
    page = operator.get(change_url(make_instance())).text
    assert "Not connected yet." in page
    assert "actions/provision/" in page
    assert "••••" in page
    assert "acme" in page
    assert SECRET not in page


def test_a_link_for_the_account_owner_is_created_from_its_page(operator, sign_in):
    instance = make_instance()
    path = f"/admin/instances/instance/{instance.pk}/change/"
    assert (
        f'href="/admin/instances/instance/{instance.pk}/actions/link/"' in operator.get(path).text
    )
    assert "Send link" not in sign_in("view_instance").get(path).text


def test_the_page_loads_when_a_secret_cannot_be_read(operator, settings):
    instance = make_instance()
    settings.ENCRYPTION_KEYS = ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]
    page = operator.get(change_url(instance))
    assert "Unreadable: its encryption key is missing" in page.text


def test_name_and_tags_are_changed_without_a_platform(operator):
    instance = make_instance(name="Old", tags=["a"])
    operator.post(edit_url(instance), {"name": "<b>New</b>", "tags": "b, c"})
    instance.refresh_from_db()
    assert (instance.name, list(instance.tags.values_list("name", flat=True))) == (
        "New",
        ["b", "c"],
    )
    assert not Interaction.objects.exists()
    assert "Renamed from Old." in operator.get(change_url(instance)).text


def test_a_tag_that_is_too_long_is_an_error_on_the_form(operator):
    instance = make_instance(tags=["a"])
    page = operator.post(edit_url(instance), {"name": "New", "tags": "y" * 201})
    assert "A tag has 1 to 200 characters." in page.text
    assert [tag.name for tag in instance.tags.all()] == ["a"]


def test_users_who_may_only_view_cannot_rename(sign_in):
    instance = make_instance(name="Old")
    answer = sign_in("view_instance").post(edit_url(instance), {"name": "New"})
    instance.refresh_from_db()
    assert (answer.status_code, instance.name) == (403, "Old")


def test_the_timeline_shows_request_answer_and_failure(operator):
    instance = make_instance()
    make_interaction(
        instance=instance,
        status=401,
        error="The account was refused.",
        request_headers={"Accept": "application/json"},
        response_body='{"why": "locked"}',
    )
    page = operator.get(change_url(instance)).text
    for text in ("POST https://provider.example/token", "401", "The account was refused.", "7 ms"):
        assert text in page
    assert "Accept: application/json" in page
    assert "{\n  &quot;why&quot;: &quot;locked&quot;\n}" in page


def test_an_unknown_instance_is_not_found(operator):
    for path in ("999/change/", "999/actions/check/", "999/actions/reauthenticate/"):
        assert operator.get(f"/admin/instances/instance/{path}").status_code == 404
    instance = make_instance()
    url = reverse("admin:instances_instance_action", args=[instance.pk, "explode"])
    assert operator.get(url).status_code == 404
    assert StateChange.objects.count() == 1


def test_the_details_show_the_next_refresh_and_check_and_the_refresh_status(operator, provider):
    instance = make_connected(provider)
    page = operator.get(change_url(instance)).text
    assert "Next refresh" in page
    assert "Next check" in page
    assert "No failures." in page
    rows = Instance.objects.filter(pk=instance.pk)
    rows.update(refresh_failures=3)
    assert "Failed 3 times in a row." in operator.get(change_url(instance)).text
    rows.update(refresh_started_at=timezone.now())
    assert "The last response was lost" in operator.get(change_url(instance)).text
    rows.update(leased_until=timezone.now() + timedelta(seconds=20))
    assert "In progress since" in operator.get(change_url(instance)).text
