"""Every way that can be connected is tried against a listener that plays every host: nothing is missing from its file."""

import itertools
import json
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest

from instances.catalogue.authentication import AuthenticationKind
from instances.catalogue.availability import Availability
from instances.catalogue.configuration_keys import KeyType
from instances.catalogue.loading import shipped_elements
from instances.catalogue.templates import variables_in
from instances.platforms.base import TokenSet
from instances.platforms.embedded.calling import base_url_of
from instances.platforms.registry import platform_for
from instances.provisioning.platform_requests import platform_request
from tests.conftest import shipped
from tests.support.factories import make_instance, make_organization_user
from tests.support.internet import TOKENS, Internet, lead_everything_to
from tests.support.signing_keys import certificate, certificate_pem, pem, rsa_key

WAYS = [
    pytest.param(element.key, way.type, variant, id=f"{element.key}-{way.type}-{variant}")
    for element in shipped_elements()
    if not element.alias_of
    for way in element.connectable_ways
    if way.status == Availability.CURRENT and way.endpoints != "unknown"
    for variant in ("", *(variant.name for variant in way.variants))
]
ON_PREMISE = "server.acme.example"


class Answering(Internet):
    """Answer everything with tokens and what the way expects beside them."""

    document: object = TOKENS

    def answer(self, request):
        is_lookup = request.path == self.lookup_path
        return 200, self.document if is_lookup else TOKENS | self.token_data

    lookup_path = ""
    token_data: dict[str, str] = {}


@pytest.fixture
def internet(settings, monkeypatch):
    with Answering() as internet:
        settings.PROVIDER_ALLOWED_PRIVATE_HOSTS = [internet.netloc, ON_PREMISE]
        lead_everything_to(internet, monkeypatch)
        yield internet


def host_in(patterns):
    """A host that the patterns allow."""
    return next((one.replace("*", "acme") for one in patterns), ON_PREMISE)


def value_of(field, way):
    """A value that the field accepts."""
    if field.default is not None:
        return field.default
    if field.options:
        return field.options[0]
    if field.example and "…" not in field.example:
        return field.example
    if field.type == KeyType.PRIVATE_KEY:
        return key_file(way.assertion.key_file)
    if field.key in way.host_keys:
        whole = any(t.startswith(f"{{{field.key}}}") for _, t in way.url_templates())
        host = host_in(field.hosts or ())
        is_label = any(f"{{{field.key}}}." in t for _, t in way.url_templates())
        return f"https://{host}" if whole else "acme" if is_label else host
    texts = {KeyType.BOOLEAN: "false", KeyType.INTEGER: "1", KeyType.URL: "https://a.example/x"}
    return texts.get(field.type, "value-1")


def key_file(stated):
    """A private key with its certificate, or in the JSON file in which the provider hands it out."""
    key = pem(rsa_key())
    if stated is None:
        return key + certificate_pem(certificate(rsa_key()))
    return json.dumps({stated.private_key: key} | dict.fromkeys(stated.values, "v"))


def keys_needed(way):
    """The keys of addresses and of the client, except those that a provider fills in."""
    named = {name for _, template in way.url_templates() for name in variables_in(template)}
    named |= {way.client_id_key, way.client_secret_key}
    return named - {*way.provider_data, *(way.lookup.values if way.lookup else ())}


def document_with(paths):
    """A JSON document in which each path leads to a value."""
    root: Any = [{}] if any(path.startswith("0.") for path in paths) else {}
    for path, value in paths.items():
        at: Any = root
        names = path.split(".")
        for name, following in itertools.pairwise(names):
            is_list = following.isdecimal()
            if isinstance(at, list):
                at = at[int(name)]
            else:
                at = at.setdefault(name, [{}] if is_list else {})
        at[names[-1]] = value
    return root


@pytest.mark.slow
@pytest.mark.parametrize(("key", "kind", "variant"), WAYS)
def test_a_way_gets_its_tokens_and_verifies_them(db, internet, key, kind, variant):
    element = shipped(key)
    way = element.parsed.authentication_type(kind).with_variant(variant)
    user = make_organization_user()
    user.organization.private_hosts = {key: [ON_PREMISE]}
    user.organization.save()
    needed = keys_needed(way)
    configuration = {"oauth.callback.url": "https://app.example/callback"} | {
        field.key: value_of(field, way)
        for field in way.fields
        if field.required or field.key in needed
    }
    if variant:
        configuration["authentication.variant"] = variant
    instance = make_instance(
        organization_user=user,
        element=element,
        authentication_type=kind,
        configuration=configuration,
    )
    internet.token_data = {
        name: f"https://{host_in(hosts)}" for name, hosts in way.token_data.items()
    }
    if way.lookup:
        internet.lookup_path = urlsplit(way.lookup.url).path
        values = {
            path: f"https://{host_in(way.lookup.hosts[name])}" if name in way.lookup.hosts else "v"
            for name, path in way.lookup.values.items()
        }
        internet.document = document_with(values)
    callback = {
        name: f"https://{host_in(way.host_patterns(name))}" if name in way.host_keys else "c-1"
        for name in way.provider_data
    }
    request = replace(platform_request(instance, actor="test"), code_verifier="v" * 50)
    platform = platform_for(user.organization)
    if way.type == AuthenticationKind.OAUTH1:
        assert platform.request_token(request, state="s").token
        return
    if way.needs_browser:
        assert platform.oauth_url(request, state="s").startswith("https://")
        request = replace(request, provider_data=callback)
    if way.probe and way.probe.success_field:
        internet.token_data |= {way.probe.success_field: True}
    created = platform.create_instance(request)
    assert created.is_proved
    if created.tokens:
        request = replace(request, tokens=TokenSet.from_json(created.tokens.to_json()))
    if way.api:
        assert base_url_of(request).startswith("https://")
