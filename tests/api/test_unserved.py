"""Collections that are empty here, and hub paths: the answers that clients of the vendor's API expect."""

import re

import pytest

from tests.api.conftest import BASE

REFUSAL = "Invalid Organization or User secret, or invalid Element token provided."
pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "path",
    [
        "formulas",
        "formulas/instances",
        "formulas/7/instances",
        "common-resources",
        "transformations",
        "organizations/elements/transformations",
        "accounts/elements/sfdc/transformations",
        "instances/7/transformations",
        "organizations/objects/definitions",
        "instances/7/objects/contacts/definitions",
        "vdrs",
        "jobs",
        "elements/oauthProxies",
        "instances",
        "elements/keyed/instances",
    ],
)
def test_a_collection_that_is_empty_here_says_so_in_the_contracts_form(api, path):
    response = api.get(path)
    assert response.status_code == 404
    assert re.fullmatch("No (.*) found", response.json()["message"])
    assert api.get(path, Authorization=None).status_code in {401, 404}


@pytest.mark.parametrize("path", ["nowhere", "nowhere/at/all", "organizations/nowhere"])
def test_an_unknown_path_is_404(api, path):
    response = api.get(path)
    assert response.status_code == 404
    assert response.json()["message"].startswith("No resource found at this path")


HUB_PATHS = ["hubs/crm/contacts", "hubs/crm/contacts/7/notes", "hubs/crm/ping", "ping", "contacts"]
# A ping is a GET.
HUB_CALLS = [("GET", path) for path in HUB_PATHS] + [
    ("POST", path) for path in HUB_PATHS if "ping" not in path
]


@pytest.mark.parametrize(("method", "path"), HUB_CALLS)
def test_a_hub_path_refuses_a_dead_token_first(api, instance, method, path):
    api.delete(f"instances/{instance['id']}")
    for token in (instance["token"], "never-issued"):
        response = api.call(method, path, element=token)
        assert (response.status_code, response.json()["message"]) == (401, REFUSAL)


@pytest.mark.parametrize("path", HUB_PATHS)
def test_a_hub_path_refuses_a_disabled_instance_next(api, instance, path):
    api.delete(f"instances/{instance['id']}/enabled")
    response = api.get(path, element=instance["token"])
    assert (response.status_code, "disabled" in response.json()["message"]) == (403, True)
    api.put(f"instances/{instance['id']}/enabled")
    expected = 200 if "ping" in path else 404
    assert api.get(path, element=instance["token"]).status_code == expected


def test_a_hub_path_needs_an_element_part(api, instance):
    assert api.get("hubs/crm/contacts").status_code == 401
    assert api.get("hubs/crm/contacts", Authorization=None).status_code == 401


def test_hubs_themselves_stay_public(api):
    for path in ("hubs", "hubs/keys"):
        assert api.django.get(f"{BASE}/{path}").status_code == 404  # no public element
    assert api.get("hubs/crm/elements").status_code == 200
