"""No element lets a caller choose the host that receives somebody else's secret."""

from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from instances.catalogue.loading import shipped_elements
from instances.crypto import sealing
from instances.errors import InstancesError
from instances.models import AuthorizationLink, Element, Instance
from instances.provisioning.create import create_draft
from instances.provisioning.lifecycle.check import check_instance
from instances.provisioning.lifecycle.refresh import refresh_instance
from tests.api.conftest import make_api_client
from tests.support.factories import make_oauth_app, make_user
from tests.support.internet import Internet, lead_everything_to
from tests.support.signing_keys import certificate, certificate_pem, pem, rsa_key

DEFINITIONS = {definition.key: definition for definition in shipped_elements()}
EVIL = "evil.example"
CODE = {"code": "c0de", "oauth_token": "t", "oauth_verifier": "v", "secret": "s"}
CLIENT_KEYS = {"oauth.api.key", "oauth.api.secret", "oauth.callback.url"}
# Hosts that only a token response or a callback names are no caller's: tests/hubs/test_token_values.py.
WITH_HOSTS = [
    key
    for key, one in DEFINITIONS.items()
    if not one.is_retired
    and any(field.key in way.host_keys for way in one.authentication for field in way.fields)
]
# Its token endpoint is unknown.
CANNOT_CONNECT = {"revel"}


@pytest.fixture(scope="module")
def listener():
    with Internet() as internet:
        yield internet


@pytest.fixture
def internet(listener, settings, monkeypatch):
    settings.PROVIDER_ALLOWED_PRIVATE_HOSTS = [listener.netloc]
    settings.API_CALLS_PER_MINUTE = 10_000
    listener.requests.clear()
    lead_everything_to(listener, monkeypatch)
    return listener


@pytest.fixture
def api(db):
    cache.clear()
    return make_api_client()


def in_database(key):
    definition = DEFINITIONS[key]
    return Element.objects.create(
        id=definition.id,
        key=key,
        name=definition.name,
        hub=definition.hub,
        source=Element.Source.SHIPPED,
        definition=definition.model_dump(mode="json", exclude_defaults=True),
    )


def sample(field):
    """A valid value for the field."""
    if field.options or field.default:
        return field.default or field.options[0]
    if field.pattern:
        return field.example
    if field.type == "private_key":
        return pem(rsa_key()) + certificate_pem(certificate(rsa_key()))
    return {"boolean": "true", "integer": "1", "url": "https://good.example"}.get(
        field.type, "good"
    )


def token_values(way):
    """The addresses that a token answer has to name."""
    hosts = {name: allowed[0].replace("*", "good") for name, allowed in way.token_data.items()}
    return {name: f"https://{host}" for name, host in hosts.items()}


def samples(way, *, without=()):
    named = {"authentication.type": str(way.type)}
    return named | {field.key: sample(field) for field in way.fields if field.key not in without}


def leading_away(field):
    return f"https://{EVIL}/x" if field.type == "url" else EVIL


def variants_of(way):
    return [{}, *({"authentication.variant": variant.name} for variant in way.variants)]


def asked_at(internet, host):
    return [one for one in internet.hosts if one.partition(":")[0].endswith(host)]


def body(configuration, **more):
    return {"name": "Acme", "configuration": configuration} | more


@pytest.mark.slow
@pytest.mark.parametrize("key", DEFINITIONS)
def test_the_operators_secret_never_goes_where_a_caller_points_it(key, internet, api):
    element = in_database(key)
    for way in DEFINITIONS[key].authentication:
        if not way.obtains_token:
            continue
        app = make_oauth_app(organization=api.user.organization, element=element)
        fields = [f for f in way.fields if f.key not in CLIENT_KEYS and not f.options]
        for field in (f for f in fields if f.type in {"string", "url"}):
            for variant in variants_of(way):
                configuration = samples(way, without=CLIENT_KEYS) | variant
                configuration[field.key] = leading_away(field)
                api.post(
                    f"elements/{key}/instances",
                    body(configuration, providerData=CODE if way.needs_browser else None),
                )
                api.post(f"elements/{key}/oauth/url", configuration)
        app.delete()
    assert asked_at(internet, EVIL) == []


@pytest.mark.slow
@pytest.mark.parametrize("key", [key for key in WITH_HOSTS if key not in CANNOT_CONNECT])
def test_stored_secrets_never_follow_a_changed_host(key, internet, api):
    in_database(key)
    for way in DEFINITIONS[key].connectable_ways:
        internet.token_values = token_values(way)
        for field in (field for field in way.fields if field.key in way.host_keys):
            code = CODE if way.needs_browser else None
            created = api.post(f"elements/{key}/instances", body(samples(way), providerData=code))
            assert created.status_code == 200, created.content
            instance = Instance.objects.get(pk=created.json()["id"])
            for name in field.names:
                for variant in variants_of(way):
                    moved = {name: leading_away(field)} | variant
                    for query in ("", "?reAuthenticate=false"):
                        api.patch(f"instances/{instance.pk}{query}", {"configuration": moved})
                        api.put(f"instances/{instance.pk}{query}", body(moved))
                    refresh(instance)
            instance.delete()
    assert internet.hosts
    assert [host for host in internet.hosts if "evil" in host] == []


@pytest.mark.slow
@pytest.mark.parametrize("key", WITH_HOSTS)
def test_a_link_never_leads_to_a_host_of_the_visitors_choice(key, internet, api):
    element = in_database(key)
    for way in DEFINITIONS[key].connectable_ways:
        for field in (field for field in way.fields if field.key in way.host_keys):
            if way.obtains_token:
                app = make_oauth_app(
                    organization=api.user.organization,
                    element=element,
                    hosts=["good", "good.example"],
                )
            for left_open in (False, True):
                instance = drafted(api.user, element, way, without={field.key} if left_open else ())
                answer = Client().post(
                    link_to(instance),
                    {f"configuration.{name}": leading_away(field) for name in field.names}
                    | {f"configuration.{f.key}": "given" for f in way.fields if f.secret}
                    | {"configuration.authentication.variant": "adfs"},
                )
                to = urlsplit(answer.headers.get("Location", "")).hostname or ""
                # Below the provider's own domain, a caller may choose an open host.
                assert not (to.endswith(EVIL) if left_open else EVIL in to)
                instance.delete()
            if way.obtains_token:
                app.delete()
    assert asked_at(internet, EVIL) == []


def refresh(instance):
    for verb in (check_instance, refresh_instance):
        try:
            verb(Instance.objects.get(pk=instance.pk), actor="test")
        except InstancesError:
            continue


def drafted(user, element, way, *, without):
    return create_draft(
        user,
        element,
        actor="test",
        authentication_type=way.type,
        configuration=samples(way, without={*without, *CLIENT_KEYS}),
        is_incomplete=True,
    )


def link_to(instance):
    token = f"token-{instance.pk}"
    AuthorizationLink.objects.create(
        instance=instance,
        made_by=make_user(token),
        token_digest=sealing.digest(token),
        expires_at=timezone.now() + timedelta(days=1),
    )
    return f"/authorize/{token}"
