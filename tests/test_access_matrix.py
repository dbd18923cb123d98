"""Everything with an address, read from the URL configuration: a new page or endpoint without a rule fails here.

Each is asked for without a sign-in, by an account without a role, and with guessed ids by people and programs of
another organization. The pages of self-service have a matrix of their own (tests/selfservice).
"""

import re
from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from instances.models import (
    Authorization,
    AuthorizationLink,
    BulkJob,
    ElementRequest,
    Instance,
    OrganizationUser,
)
from instances.provisioning.access.organizations import create_account
from tests.support.factories import (
    make_instance,
    make_interaction,
    make_member,
    make_oauth_app,
    make_user,
)

pytestmark = pytest.mark.django_db

API = "elements/api-v2/"
# Whoever asks: the addresses that need no sign-in, and why.
OPEN = {
    "oauth_callback",  # its state
    "oauth_callback_with_slash",
    "choose",  # its browser and user
    "other_account",  # its browser and user
    "authorize",  # its token
    "sign_in",
    "sign_out",
    "admin:login",
    "admin:logout",
    "admin:jsi18n",
    "api:openapi-json",
    "api:openapi-view",
    "api:api-root",
    # The shipped catalogue is public (contract 8.1).
    "api:list_elements",
    "api:list_element_keys",
    "api:list_metadata",
    "api:read_element",
    "api:read_element_configuration",
    "api:read_metadata",
    "api:list_authentication_types",
    "api:list_configurations_of_type",
    "api:list_hubs",
    "api:list_hub_keys",
    "api:read_hub",
    "api:list_elements_of_hub",
    "api:export_element",
    "api:read_element_docs",
    "api:read_element_docs_of_operation",
    "api:read_hub_docs",
    "api:read_hub_docs_of_operation",
    # The caller brings the OAuth client, or a password, along (contract 8.1).
    "api:read_oauth_url",
    "api:post_oauth_url",
    "api:read_request_token",
    "api:sign_in",
    # Serves nothing.
    "api:change_oauth_proxies",
}
# For every account that works in the admin: what concerns itself alone.
OF_ANY_STAFF = {
    "admin:index",
    "home",
    "admin:logout",
    "admin:password_change",
    "admin:password_change_done",
    "admin:search",
}
# What all organizations share.
SHARED = {"element", "group"}


def addresses() -> Iterator[tuple[str, str]]:
    """Every route and its name; the sandbox is a provider of its own, with its own tests."""
    for route, name in _walk(get_resolver().url_patterns):
        if not route.startswith("sandbox/"):
            kind = (
                "admin:" if route.startswith("admin/") else "api:" if route.startswith(API) else ""
            )
            yield route, kind + name


def _walk(patterns: list[URLPattern | URLResolver], prefix: str = "") -> Iterator[tuple[str, str]]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, route)
        elif "(?P" not in route:
            yield route, pattern.name or ""


ALL = sorted(set(addresses()))
ADMIN = [(route, name) for route, name in ALL if route.startswith("admin/")]
# One route may have an open GET beside what needs a sign-in; that is for the endpoint's own tests.
OPEN_ROUTES = {route for route, name in ALL if name in OPEN}
ENDPOINTS = sorted({route for route, _ in ALL if route.startswith(API)})


@pytest.fixture
def instance():
    return make_instance(name="Acme of somebody else")


@pytest.fixture
def rows(instance):
    """One row of each model, all of the instance's organization; its primary key by the model's name."""
    owner = instance.organization_user
    user = make_user("owner")
    authorization = Authorization.objects.create(
        instance=instance,
        started_by=user,
        state_digest="s" * 64,
        browser_digest="b" * 64,
        expires_at=timezone.now(),
    )
    link = AuthorizationLink.objects.create(
        instance=instance, made_by=user, token_digest="t" * 64, expires_at=timezone.now()
    )
    return {
        "instance": instance.pk,
        "element": instance.element_id,
        "organization": owner.organization_id,
        "organizationuser": owner.pk,
        "oauthapp": make_oauth_app(organization=owner.organization, element=instance.element).pk,
        "authorization": authorization.pk,
        "elementrequest": ElementRequest.objects.create(
            organization=owner.organization, element=instance.element, requested_by=user
        ).pk,
        "authorizationlink": link.pk,
        "interaction": make_interaction(instance=instance, organization=owner.organization).pk,
        "membership": make_member(user, owner.organization).pk,
        "bulkjob": BulkJob.objects.create(organization_user=owner, actor="owner").pk,
        "user": user.pk,
        "group": 1,
        "dbtaskresult": "00000000-0000-0000-0000-000000000000",
    }


def url_of(route: str, rows: dict[str, object]) -> str:
    """The route with the ids of rows that are there, as somebody would guess them."""
    model = route.split("/")[2] if route.startswith("admin/") and route.count("/") > 3 else ""
    known = {
        "object_id": rows.get(model, 1),
        "content_type_id": 1,
        "user_id": rows["organizationuser"],
        "element_id": rows["element"],
        "instance_id": rows["instance"],
        "account_id": rows["organization"],
        "email_or_id": rows["organizationuser"],
        "pk": rows["instance"],
        "key_or_id": "keyed",
        "key": "keyed" if route.startswith("connect/") else "crm",
        "hub": "crm",
        "kind": "apiKey",
        "operation_id": "x",
        "entry_id": 1,
        "resource": "contacts",
        "record_id": 7,
        "version_id": 9,
        "child": "notes",
        "child_id": 8,
        "path": "contacts",
        "action_name": "pause" if "bulkjob" in route else "check",
        "name": "check",
        "token": "x" * 43,
        "id": rows["user"],
    }
    return "/" + re.sub(r"<(?:\w+:)?(\w+)>", lambda found: str(known[found[1]]), route)


@pytest.mark.parametrize("route", sorted({route for route, _ in ALL}))
def test_without_a_sign_in_nothing_is_told(client, rows, route):
    url = url_of(route, rows)
    sent = {"content_type": "application/json", "data": {}} if route.startswith(API) else {}
    for method in ("get", "post"):
        answer = getattr(client, method)(url, **sent)
        assert "Acme of somebody else" not in answer.text
        if not route.startswith(("admin/", API)):
            policy = answer["Content-Security-Policy"]
            assert policy.startswith("default-src 'self';")
            assert "unsafe" not in policy
        if route in OPEN_ROUTES:
            continue
        if route.startswith(API):
            assert answer.status_code in {401, 405}, (method, answer.content)
        else:
            assert answer.status_code == 302, method
            assert re.match(r"/(connect/sign-in|admin/login/)\?next=", answer["Location"])


@pytest.mark.parametrize(("route", "name"), ADMIN, ids=[route for route, _ in ADMIN])
def test_an_account_without_a_role_opens_no_page_of_the_admin(client, rows, route, name):
    client.force_login(make_user("nobody"))
    for method in ("get", "post"):
        answer = getattr(client, method)(url_of(route, rows))
        if name not in OPEN | OF_ANY_STAFF:
            assert answer.status_code in {301, 302, 403, 404, 405}, method
        assert "Acme of somebody else" not in answer.text


@pytest.mark.parametrize("group", ["operator", "viewer", "staff"])
def test_guessed_ids_of_another_organization_are_not_there(person, rows, instance, group):
    elsewhere = create_account("Elsewhere", "else@example.com").user.organization
    somebody = person(group, of=None if group == "staff" else elsewhere)
    somebody.user.is_staff = True
    somebody.user.save()
    by_id = [(route, name) for route, name in ADMIN if "<" in route]
    assert len(by_id) > 40
    for route, name in by_id:
        model = name.removeprefix("admin:").split("_")[1] if "_" in name else ""
        if model in SHARED:
            continue
        for method in ("get", "post"):
            answer = getattr(somebody.browser, method)(url_of(route, rows))
            assert answer.status_code in {301, 302, 403, 404, 405}, (method, route)
            assert "Acme of somebody else" not in answer.text, (method, route)
    unchanged(instance)


@pytest.mark.parametrize("route", ENDPOINTS)
def test_a_program_of_another_organization_reaches_nothing_by_guessing(rows, instance, route):
    caller = create_account("Elsewhere", "else@example.com")
    header = f"User {caller.user_secret}, Organization {caller.organization_secret}"
    browser = Client(headers={"authorization": header})
    for method in ("get", "put", "patch", "delete", "post"):
        answer = getattr(browser, method)(url_of(route, rows), content_type="application/json")
        if re.search(r"<(int:instance_id|int:account_id|email_or_id)>", route):
            assert answer.status_code in {400, 404, 405}, (method, answer.content)
        assert answer.status_code < 500, method
        assert "Acme of somebody else" not in answer.text, method
        assert instance.organization_user.email not in answer.text, method
    unchanged(instance)


def unchanged(instance: Instance) -> None:
    row = Instance.objects.get()
    kept = (instance.state, instance.name, instance.is_disabled, instance.organization_user)
    assert (row.state, row.name, row.is_disabled, row.organization_user) == kept
    assert OrganizationUser.objects.get(pk=instance.organization_user_id).secret
