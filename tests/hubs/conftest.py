"""Programs that use an instance: of an element with access tokens, and of one with an API key."""

from dataclasses import dataclass
from typing import Any

import pytest
from django.core.cache import cache

from instances.catalogue.loading import SHIPPED_FOLDER, load_element
from instances.hubs import metadata_cache
from instances.models import Instance, Organization
from instances.platforms.base import TokenSet
from tests.api.conftest import ApiClient, make_api_client
from tests.support.factories import make_element
from tests.support.provider_api import ProviderApi, key_definition, oauth_definition
from tests.support.salesforce import SalesforceClient, SalesforceStub


@dataclass
class Program:
    """A client with an Element token. call(method, path): through the proxy."""

    api: ApiClient
    instance: Instance
    token: str

    def call(self, method, path, body=b"", *, content_type="", token=None, **headers):
        response: Any = self.api.django.generic(
            method,
            f"/elements/api-v2/proxy/{path}",
            data=body,
            content_type=content_type,
            headers={"Authorization": self.header(token)} | headers,
        )
        # The test client closes a response at the end of its content.
        response.body = response.getvalue() if response.streaming else response.content
        return response

    def get(self, path, **options):
        return self.call("GET", path, **options)

    def header(self, token=None):
        user = self.api.user.secret.reveal()
        return f"User {user}, Element {self.token if token is None else token}"

    def stored(self):
        return Instance.objects.get(pk=self.instance.pk)


def make_program(definition, configuration, **body):
    cache.clear()
    make_element(definition)
    api = make_api_client()
    response = api.post(
        "instances",
        {
            "element": {"key": definition["key"]},
            "name": "Acme",
            "configuration": configuration,
            **body,
        },
    )
    assert response.status_code == 200, response.content
    document = response.json()
    return Program(api, Instance.objects.get(pk=document["id"]), document["token"])


def make_oauth_program(url, **api):
    return make_program(
        oauth_definition(url, **api),
        {
            "oauth.api.key": "client",
            "oauth.api.secret": "secret-of-the-client",
            "oauth.user.token": "access-token-0",
            "oauth.user.refresh_token": "refresh-token-0",
        },
        externalAuthentication="initial",
    )


@pytest.fixture
def provider_api(settings):
    with ProviderApi() as api:
        settings.PROVIDER_ALLOWED_PRIVATE_HOSTS = [api.netloc]
        yield api


@pytest.fixture
def program(db, provider_api):
    """Its instance has an access token, and a refresh token."""
    return make_oauth_program(provider_api.url)


@pytest.fixture
def key_program(db, provider_api):
    """Its instance has an API key."""
    return make_program(key_definition(provider_api.url), {"api.key": "k3y-of-the-account"})


@pytest.fixture
def salesforce(db, settings):
    """An instance of sfdc whose token names the stub as the place of the API."""
    cache.clear()
    metadata_cache.forget_all()
    with SalesforceStub() as stub:
        settings.PROVIDER_ALLOWED_PRIVATE_HOSTS = [stub.netloc]
        make_element(load_element(SHIPPED_FOLDER / "sfdc.toml").model_dump(mode="json"))
        api = make_api_client()
        configuration = {
            "oauth.api.key": "client",
            "oauth.api.secret": "secret-of-the-client",
            "oauth.callback.url": "https://app.example/callback",
            "oauth.user.token": "access-token-0",
        }
        body = {"element": {"key": "sfdc"}, "name": "Acme", "configuration": configuration}
        made = api.post("instances", body | {"externalAuthentication": "initial"}).json()
        instance = Instance.objects.get(pk=made["id"])
        instance.tokens = TokenSet(
            "access-token-0", "", "", extra={"instance_url": stub.url}
        ).to_json()
        instance.save()
        Organization.objects.update(private_hosts={"sfdc": [stub.netloc]})
        yield SalesforceClient(api, made["token"], stub)
