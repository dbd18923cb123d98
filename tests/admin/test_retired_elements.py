"""What a provider retired: refused for new instances, and still there for existing ones."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.urls import reverse
from django.utils import timezone

from instances.models import Element, Instance
from instances.provisioning.lifecycle.refresh import refresh_instance
from tests.api.conftest import KEYED_BODY, make_api_client
from tests.support.connected import make_connected, token_requests
from tests.support.factories import KEY_DEFINITION, make_element, make_organization_user

pytestmark = pytest.mark.django_db
RETIRED = {
    "status": "retired",
    "status_reason": "Acme shut down its API.",
    "use_instead": "Connect acme-cloud instead.",
}
REFUSAL = "Keyed can no longer be connected. Acme shut down its API. Connect acme-cloud instead."
REFUSAL_OF_WAY = "Keyed can no longer be connected with apiKey authentication. Acme shut down its API. Connect acme-cloud instead."
BASIC = {"type": "basic", "fields": [{"key": "username", "label": "User name", "required": True}]}


@pytest.fixture
def api(db):
    cache.clear()
    make_element()
    return make_api_client()


def retired(definition=KEY_DEFINITION):
    """The element, retired."""
    return make_element(definition | RETIRED, status=Element.Status.RETIRED)


def with_retired_way():
    """The keyed element with a retired way, and one that new instances may use."""
    [way] = KEY_DEFINITION["authentication"]
    return make_element(KEY_DEFINITION | {"authentication": [way | RETIRED, BASIC]})


def test_the_api_lists_it_and_refuses_new_instances(api):
    retired()
    assert "keyed" in api.get("elements/keys").json()
    assert api.get("elements/keyed").json()["configDescription"].startswith("Acme shut down")
    for path in ("instances", "elements/keyed/instances"):
        refused = api.post(path, KEYED_BODY)
        assert (refused.status_code, refused.json()["message"]) == (400, REFUSAL)
    assert not Instance.objects.exists()


def test_only_a_retired_way_is_refused(api):
    with_retired_way()
    refused = api.post("instances", KEYED_BODY)
    assert (refused.status_code, refused.json()["message"]) == (400, REFUSAL_OF_WAY)
    body = {"element": {"key": "keyed"}, "configuration": {"username": "ada"}}
    assert api.post("instances", body).status_code == 200


def test_an_existing_instance_is_refreshed_checked_and_explained(provider, operator):
    instance = make_connected(provider)
    retired(Element.objects.get(pk=instance.element_id).definition)
    refresh_instance(Instance.objects.get(), actor="test")
    url = reverse("admin:instances_instance_action", args=[instance.pk, "check"])
    page = operator.post(url, follow=True).text
    assert len(token_requests(provider)) == 1
    assert Instance.objects.get().is_connected
    assert "This one keeps working as long as the provider allows. Acme shut down its API." in page


def test_self_service_hides_it_and_says_why(person):
    staff = person("staff")
    make_organization_user(user=staff.user)
    element = make_element()
    assert "Keyed" in staff.browser.get("/connect/catalogue/").text
    retired()
    assert "Keyed" not in staff.browser.get("/connect/catalogue/").text
    for answer in (
        staff.browser.get(reverse("connect", args=[element.key]), follow=True),
        staff.browser.post(reverse("request_set_up", args=[element.key]), follow=True),
    ):
        assert REFUSAL in answer.text


def test_the_admin_shows_it_and_offers_it_no_more(operator):
    owner, element = make_organization_user(), retired()
    page = operator.get(f"/admin/instances/element/{element.pk}/change/").text
    assert "Keyed can no longer be connected." in page
    listed = operator.get("/admin/instances/element/", {"status__exact": "retired"})
    assert list(listed.context["cl"].result_list) == [element]
    fields = {"app_label": "instances", "model_name": "instance", "field_name": "element"}
    assert operator.get("/admin/autocomplete/", fields).json()["results"] == []
    chosen = {"organization_user": owner.pk, "element": element.pk}
    assert REFUSAL in operator.get("/admin/instances/instance/add/", chosen).text


def test_a_retired_way_is_not_offered_and_is_refused_by_its_form(operator):
    owner, element = make_organization_user(), with_retired_way()
    url = reverse("admin:instances_instance_configure", args=[owner.pk, element.pk])
    page = operator.get(url)
    assert (page.context["current_way"], len(page.context["ways"])) == ("basic", 1)
    entries = {"name": "A", "configuration.api.key": "k", "configuration.site": "s"}
    assert REFUSAL_OF_WAY in operator.post(f"{url}?way=apiKey", entries | {"draft": "yes"}).text
    assert not Instance.objects.exists()


@pytest.mark.parametrize(("days", "title"), [(1, "Changes on"), (0, "Changed on")])
def test_a_sunset_is_a_notice_at_the_element_and_its_instances(operator, api, days, title):
    date = timezone.localdate() + timedelta(days=days)
    sunset = {"sunset": {"date": date.isoformat(), "what": "API keys end."}}
    element = make_element(KEY_DEFINITION | sunset)
    instance_id = api.post("instances", KEYED_BODY).json()["id"]
    for path in (f"element/{element.pk}", f"instance/{instance_id}"):
        page = operator.get(f"/admin/instances/{path}/change/").text
        assert title in page
        assert "API keys end." in page
