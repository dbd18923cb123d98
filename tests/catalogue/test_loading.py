"""Element files: every shipped one loads, and whatever is wrong with one is said with its place."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from instances.catalogue.assertions import Assertion
from instances.catalogue.authentication import AuthenticationKind, AuthenticationType
from instances.catalogue.configuration_keys import ConfigurationKey
from instances.catalogue.definition import ElementDefinition
from instances.catalogue.loading import SHIPPED_FOLDER, load_element, shipped_elements
from instances.catalogue.parts import (
    AwsSignature,
    Discovery,
    Lookup,
    OAuth1Signature,
    Probe,
    Variant,
)
from instances.catalogue.sandbox import SANDBOX_ENDPOINT_OVERRIDES
from instances.errors import CatalogueError

VALID = """
key = "acme"
id = 2000001
name = "Acme"
hub = "crm"
description = "Connects an Acme account."
"""
HOWTO = Path(__file__).parents[2] / "docs" / "howto" / "add-an-element.md"


@pytest.fixture
def write(tmp_path: Path):
    """Writes acme.toml: VALID, the given text below it."""

    def write_file(text: str, *, head: str = VALID) -> Path:
        path = tmp_path / "acme.toml"
        path.write_text(head + text)
        return path

    return write_file


def test_the_whole_catalogue_is_shipped():
    elements = shipped_elements()
    own_ways = [way for e in elements if not e.alias_of for way in e.authentication]

    # At least what the portal of Cloud Elements had (2020).
    assert len(elements) >= 164
    assert Counter(str(way.type) for way in own_ways) >= Counter(
        {"oauth2": 71, "custom": 44, "basic": 44, "oauth1": 9, "apiKey": 7}
    )
    assert sum(way.endpoints == "unknown" for way in own_ways) == 7


def test_keys_and_ids_of_shipped_elements_are_unique_and_files_are_named_by_key():
    elements = shipped_elements()

    assert len({element.id for element in elements}) == len(elements)
    assert {element.key for element in elements} == {p.stem for p in SHIPPED_FOLDER.iterdir()}


def test_an_alias_has_the_ways_of_its_target_under_its_own_key():
    by_key = {element.key: element for element in shipped_elements()}
    alias, target = by_key["dynamicscrm"], by_key["dynamicscrmadfs"]

    assert (alias.key, alias.id) == ("dynamicscrm", 124)
    assert alias.authentication == target.authentication
    assert alias.events == target.events


def test_every_google_element_asks_for_a_refresh_token():
    google = [
        way
        for element in shipped_elements()
        for way in element.authentication
        if "accounts.google.com" in (way.authorization_endpoint or "")
    ]

    assert len(google) == 5
    for way in google:
        assert way.authorize_params == {"access_type": "offline", "prompt": "consent"}


def test_the_sandbox_stands_in_for_endpoints_of_elements_that_are_shipped():
    by_key = {element.key: element for element in shipped_elements()}

    for key, overrides in SANDBOX_ENDPOINT_OVERRIDES.items():
        ways = by_key[key].authentication
        parts: list[Any] = [part for way in ways for part in (way, *way.variants)]
        urls = [part.token_endpoint or "" for part in parts]
        urls += [part.probe.url for part in parts if part.probe]
        urls += [part.discovery.url for part in parts if part.discovery]
        for prefix in overrides:
            assert any(url.startswith(prefix) for url in urls), prefix


def test_an_operators_own_alias_takes_a_shipped_element(write):
    element = load_element(write('alias_of = "stripe"'))

    assert element.key == "acme"
    assert [way.type for way in element.authentication] == [AuthenticationKind.BASIC]


def test_an_alias_of_nothing_is_refused(write):
    with pytest.raises(
        CatalogueError, match=r"acme\.toml: alias_of: nowhere is not a shipped element"
    ):
        load_element(write('alias_of = "nowhere"'))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(CatalogueError, match=r"^gone\.toml: cannot be read: No such file"):
        load_element(tmp_path / "gone.toml")


@pytest.mark.parametrize(
    "content", [b"key = ", b"\xff\xfe", b"key = 'a'\nkey = 'b'", b"a = " + b"[" * 9999]
)
def test_a_file_that_is_not_toml_is_named(tmp_path, content):
    path = tmp_path / "acme.toml"
    path.write_bytes(content)

    with pytest.raises(CatalogueError, match=r"^acme\.toml: is not valid TOML: "):
        load_element(path)


def test_all_wrong_keys_and_types_of_a_file_are_said_at_once(write):
    path = write(
        """
        events = ["sometimes"]
        colour = "blue"
        [[authentication]]
        type = "oauth3"
        [[authentication]]
        type = "basic"
        token_url = "https://acme.test/token"
        [[authentication.fields]]
        key = "username"
        """,
        head=VALID.replace("id = 2000001", 'id = "x"').replace('name = "Acme"', ""),
    )

    with pytest.raises(CatalogueError) as raised:
        load_element(path)

    places = [line.split(": ")[1] for line in str(raised.value).splitlines()]
    assert places == [
        "id",
        "name",
        "authentication[0].type",
        "authentication[1].fields[0].label",
        "authentication[1].token_url",
        "events[0]",
        "colour",
    ]
    assert "acme.toml: name: is missing." in str(raised.value)
    assert "authentication[1].token_url: unknown key" in str(raised.value)


def test_what_makes_no_sense_is_said_with_its_place(write):
    path = write(
        """
        [[authentication]]
        type = "oauth1"
        authorization_endpoint = "https://acme.test/authorize"
        token_endpoint = "https://acme.test/token"
        [[authentication.fields]]
        key = "oauth.api.key"
        label = "API key"
        [[authentication.fields]]
        key = "oauth.api.secret"
        label = "API secret"
        secret = true
        """
    )

    with pytest.raises(CatalogueError) as raised:
        load_element(path)

    assert str(raised.value).splitlines() == [
        "acme.toml: authentication[0].fields[0].secret: oauth.api.key: looks like a secret. Set secret = true, "
        "or explain in not_secret_because why it is not secret.",
        "acme.toml: authentication[0].request_token_endpoint: is missing. If it is not known, state "
        'endpoints = "unknown".',
    ]


def test_the_example_of_the_guide_loads(tmp_path):
    example = HOWTO.read_text().split("```toml\n")[1].split("```")[0]
    path = tmp_path / "acme-crm.toml"
    path.write_text(example)
    element = load_element(path)

    assert element.key == "acme-crm"
    assert [way.type for way in element.authentication] == ["oauth2", "basic"]
    assert element.authentication_type("oauth2").with_variant("sandbox").probe


@pytest.mark.parametrize(
    "part",
    [
        ElementDefinition,
        AuthenticationType,
        Assertion,
        AwsSignature,
        OAuth1Signature,
        ConfigurationKey,
        Lookup,
        Discovery,
        Probe,
        Variant,
    ],
)
def test_the_guide_explains_every_key(part):
    guide = HOWTO.read_text()

    assert [name for name in part.model_fields if f"`{name}`" not in guide] == []
