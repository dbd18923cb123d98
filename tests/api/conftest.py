"""A client of the platform API, with the contract's header and JSON."""

import json

import pytest
from django.core.cache import cache
from django.test import Client

from instances.models import OrganizationUser
from instances.provisioning.access.organizations import create_account
from tests.support.factories import make_element

BASE = "/elements/api-v2"
KEYED_BODY = {
    "element": {"key": "keyed"},
    "name": "Acme",
    "tags": ["acme"],
    "configuration": {"api.key": "k3y-of-the-account", "site": "acme"},
}


class ApiClient:
    """Call with `Authorization: User …, Organization …`. element: adds the Element part."""

    def __init__(self, user: OrganizationUser, user_secret: str, organization_secret: str) -> None:
        self.user = user
        self.header = f"User {user_secret}, Organization {organization_secret}"
        self.django = Client(raise_request_exception=True)

    def call(self, method, path, body=None, *, element="", **headers):
        authorization = f"{self.header}, Element {element}" if element else self.header
        headers = {"Authorization": authorization} | headers
        return self.django.generic(
            method,
            path if path.startswith("/") else f"{BASE}/{path}",
            data="" if body is None else json.dumps(body),
            content_type="application/json",
            headers={name: value for name, value in headers.items() if value is not None},
        )

    def get(self, path, **kwargs):
        return self.call("GET", path, **kwargs)

    def post(self, path, body=None, **kwargs):
        return self.call("POST", path, body, **kwargs)

    def put(self, path, body=None, **kwargs):
        return self.call("PUT", path, body, **kwargs)

    def patch(self, path, body=None, **kwargs):
        return self.call("PATCH", path, body, **kwargs)

    def delete(self, path, **kwargs):
        return self.call("DELETE", path, **kwargs)


def make_api_client(organization: str = "Acme", email: str = "ada@example.com") -> ApiClient:
    user = create_account(organization, email).user
    return ApiClient(user, user.secret.reveal(), user.organization.secret.reveal())


@pytest.fixture
def api(db):
    cache.clear()  # calls that other tests counted
    make_element()
    return make_api_client()


@pytest.fixture
def instance(api):
    response = api.post("instances", KEYED_BODY)
    assert response.status_code == 200, response.content
    return response.json()
