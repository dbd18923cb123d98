"""The sandbox's CRM, reached over the loopback by an instance of Dynamics CRM, and a client of the API."""

from dataclasses import dataclass
from typing import Any

import pytest
from django.core.cache import cache

from instances.catalogue.loading import SHIPPED_FOLDER, load_element
from instances.catalogue.sandbox import SANDBOX_PASSWORD, SANDBOX_USERNAME
from instances.hubs import metadata_cache
from instances.provisioning.access.organizations import create_account
from tests.api.conftest import ApiClient
from tests.support.factories import make_element


@dataclass
class HubClient:
    """Call hub paths with the Element token of one instance."""

    api: ApiClient
    token: str
    instance_id: int
    url: str

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        return self.api.call(method, path, body, element=self.token, **headers)

    def get(self, path: str, **query: str) -> Any:
        header = f"{self.api.header}, Element {self.token}"
        return self.api.django.get(
            f"/elements/api-v2/{path}", query, headers={"Authorization": header}
        )

    def records(self, path: str, **query: str) -> list[dict[str, Any]]:
        response = self.get(path, **query)
        assert response.status_code == 200, response.content
        found: list[dict[str, Any]] = response.json()
        return found


@pytest.fixture
def sandbox_api(live_server, settings) -> ApiClient:
    """A client of an organization whose instances reach the sandbox."""
    cache.clear()
    metadata_cache.forget_all()
    settings.PUBLIC_URL = live_server.url
    settings.PROVIDER_ALLOWED_PRIVATE_HOSTS = [live_server.url.removeprefix("http://")]
    for key in ("dynamicscrmadfs",):
        make_element(load_element(SHIPPED_FOLDER / f"{key}.toml").model_dump(mode="json"))
    user = create_account("Acme", "ada@example.com", is_sandbox=True).user
    return ApiClient(user, user.secret.reveal(), user.organization.secret.reveal())


@pytest.fixture
def crm(sandbox_api, live_server) -> HubClient:
    """An instance of Dynamics CRM, connected to the sandbox."""
    body = {
        "element": {"key": "dynamicscrmadfs"},
        "name": "Acme CRM",
        "configuration": {
            "user.username": SANDBOX_USERNAME,
            "user.password": SANDBOX_PASSWORD,
            "dynamics.tenant": "acme.crm.dynamics.com",
        },
    }
    response = sandbox_api.post("instances", body)
    assert response.status_code == 200, response.content
    document = response.json()
    return HubClient(sandbox_api, document["token"], document["id"], live_server.url)
