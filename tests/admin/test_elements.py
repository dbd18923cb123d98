"""Elements: the read-only catalogue, and deactivating an operator's own elements."""

from instances.models import Element
from tests.conftest import shipped
from tests.support.factories import make_element, make_instance
from tests.support.lists import names

PATH = "/admin/instances/element/"


def test_the_list_names_key_hub_ways_and_instances(operator, dynamics):
    make_instance()
    page = operator.get(PATH).text
    for text in ("dynamicscrmadfs", "crm", "Custom, OAuth 2.0", "API key"):
        assert text in page


def test_the_page_shows_keys_and_endpoints_of_each_way(operator, dynamics):
    page = operator.get(f"{PATH}{dynamics.pk}/change/").text
    for text in (
        "user.password",
        "Dynamics CRM URL",
        "https://login.microsoftonline.com/{tenant_id}/oauth2/v2.0/authorize",
        "GET https://{dynamics.tenant}/api/data/v9.2/WhoAmI",
    ):
        assert text in page
    assert "Deactivate" not in page


def test_the_page_says_what_is_looked_up_and_how_long_refresh_tokens_work(operator):
    page = operator.get(f"{PATH}{shipped('xero').pk}/change/").text
    assert "xero-tenant-id: GET https://api.xero.com/connections" in page
    assert "They end after 60 days without use. Each refresh replaces them." in page
    page = operator.get(f"{PATH}{shipped('bullhorn').pk}/change/").text
    assert "bh_rest_token, rest_url: POST https://{bullhorn.rest.host}/rest-services/login" in page


def test_the_page_lists_the_resources(operator, dynamics):
    page = operator.get(f"{PATH}{dynamics.pk}/change/")
    rows = {row[0]["text"]: [cell["text"] for cell in row[1:]] for row in page.context["resources"]}
    assert rows["contacts"] == ["contact", "read, create, update, delete", "notes, tasks"]
    assert "create" not in rows["activities"][1]
    assert "Every other object of the provider" in page.text


def test_a_shipped_element_is_read_only(operator, dynamics):
    assert operator.post(f"{PATH}{dynamics.pk}/change/").status_code == 403
    assert operator.post(f"{PATH}{dynamics.pk}/delete/", {"post": "yes"}).status_code == 403


def test_an_operators_own_element_is_deactivated_and_activated(operator):
    element = make_element()
    url = f"{PATH}{element.pk}/change/"
    assert "was deactivated" in operator.post(url, follow=True).text
    assert not Element.objects.get().is_active
    operator.post(url)
    assert Element.objects.get().is_active


def test_deactivating_needs_the_permission(sign_in):
    element = make_element()
    assert sign_in("view_element").post(f"{PATH}{element.pk}/change/").status_code == 403


def test_elements_are_found_by_key_name_and_hub(operator, dynamics):
    make_element()
    page = operator.get(PATH, {"q": "dynamicscrmadfs"})
    assert [one.pk for one in page.context["cl"].result_list] == [dynamics.pk]


def test_an_unknown_element_is_not_found(operator):
    assert operator.get(f"{PATH}999999/change/").status_code == 404


def test_the_page_leads_to_the_instances_that_the_user_may_view(sign_in):
    instance = make_instance(name="seen")
    client = sign_in("view_element", "view_instance")
    make_instance(name="of another organization")
    page = client.get(f"{PATH}{instance.element_id}/change/")
    [fact] = [fact for fact in page.context["facts"] if fact["label"] == "Instances"]
    assert fact["value"] == "1"
    assert names(client.get(fact["url"])) == ["seen"]
