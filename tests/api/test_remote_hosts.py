"""At a remote platform, too, secrets go only where they may: it sends them to the host that it is told."""

import pytest
from django.core.cache import cache

from instances.models import Instance
from tests.api.conftest import make_api_client
from tests.conftest import shipped
from tests.support.factories import make_oauth_app
from tests.support.internet import Internet, lead_everything_to

APP_SECRET = "client-secret-of-the-app"
CALLBACK = {"oauth.callback.url": "https://acme.example/callback"}
CODE = {"code": "c0de"}
OWN_CLIENT = {"oauth.api.key": "own-client", "oauth.api.secret": "own-s3cret"}


class Platform(Internet):
    """A platform that creates whatever it is asked for."""

    def answer(self, request):
        if request.path.endswith("/oauth/url"):
            return 200, {"element": "sfdc", "oauthUrl": "https://login.salesforce.com/authorize"}
        return 200, {"id": 7, "token": "element-token-of-the-platform"}


@pytest.fixture
def platform(settings, monkeypatch):
    with Platform() as platform:
        settings.PROVIDER_ALLOWED_PRIVATE_HOSTS = [platform.netloc]
        lead_everything_to(platform, monkeypatch)
        yield platform


@pytest.fixture
def api(db, platform):
    """A client of an organization whose platform is a remote one."""
    cache.clear()
    shipped("sfdc")
    api = make_api_client()
    api.user.organization.platform_url = "https://platform.example"
    api.user.organization.save()
    return api


@pytest.fixture
def app(api):
    return make_oauth_app(organization=api.user.organization, element=shipped("sfdc"))


def connect(api, configuration):
    body = {"name": "Acme", "configuration": configuration, "providerData": CODE}
    return api.post("elements/sfdc/instances", body)


def connected(api, platform, configuration):
    answer = connect(api, configuration)
    assert answer.status_code == 200, answer.content
    platform.requests.clear()
    return Instance.objects.get()


def test_the_operators_client_does_not_leave_with_a_host_of_the_callers(api, app, platform):
    answer = connect(api, {"site.address": "evil.example"})
    assert answer.status_code == 400
    assert "site.address" in answer.json()["message"]
    assert "evil.example" in answer.json()["message"]
    assert platform.requests == []
    assert not Instance.objects.exists()


@pytest.mark.parametrize("name", ["site.address", "siteAddress"])
def test_nor_with_a_question_for_the_authorization_url(name, api, app, platform):
    for path in ("elements/sfdc/oauth/url", "elements/sfdc/oauth/url/default"):
        assert api.get(f"{path}?{name}=evil.example").status_code == 400
    assert platform.requests == []


def test_it_leaves_with_the_providers_hosts_and_those_that_an_operator_listed(api, app, platform):
    app.hosts = ["sso.corp.example"]
    app.save()
    assert connect(api, {"site.address": "sso.corp.example"}).status_code == 200
    assert APP_SECRET in platform.last.body
    query = "site.address=test.salesforce.com"
    assert api.get(f"elements/sfdc/oauth/url?{query}").status_code == 200


@pytest.mark.parametrize("client", [{}, OWN_CLIENT], ids=["app", "own client"])
def test_the_tokens_that_it_has_do_not_follow_another_host(client, api, app, platform):
    instance = connected(api, platform, {**client, **CALLBACK, "site.address": "a.salesforce.com"})
    moved = {"configuration": {**client, "site.address": "b.salesforce.com"}}
    answer = api.patch(f"instances/{instance.remote_id}?reAuthenticate=false", moved)
    assert answer.status_code == 400
    assert "Stored secrets are only sent to the host" in answer.json()["message"]
    assert platform.requests == []


def test_with_a_new_code_the_host_changes(api, app, platform):
    instance = connected(api, platform, {"site.address": "a.salesforce.com"})
    moved = {"configuration": {"site.address": "b.salesforce.com"}, "providerData": {"code": "new"}}
    answer = api.patch(f"instances/{instance.remote_id}", moved)
    assert answer.status_code == 200, answer.content
    assert platform.requests[0].json["configuration"]["site.address"] == "b.salesforce.com"


def test_a_host_that_is_no_longer_allowed_is_refused_before_anything_is_changed(api, app, platform):
    app.hosts = ["sso.corp.example"]
    app.save()
    instance = connected(api, platform, {"site.address": "sso.corp.example"})
    app.hosts = []
    app.save()
    answer = api.patch(f"instances/{instance.remote_id}", {"name": "Renamed"})
    assert answer.status_code == 400
    assert Instance.objects.get().name == "Acme"
    assert platform.requests == []


def test_ones_own_client_may_go_to_any_host_that_is_named_with_it(api, app, platform):
    configuration = {**OWN_CLIENT, **CALLBACK, "site.address": "crm.example"}
    instance = connected(api, platform, configuration)
    assert api.patch(f"instances/{instance.remote_id}", {"name": "Renamed"}).status_code == 200
    assert APP_SECRET not in "".join(one.body for one in platform.requests)
