"""What an element's file may say about the provider's API."""

import pytest

from instances.catalogue.loading import shipped_elements
from tests.catalogue.test_validation import BASIC, OAUTH1, OAUTH2, PROBE, problems

API = {"base_url": "https://acme.test/v1"}
PROBED = OAUTH2 | {"probe": PROBE}


@pytest.mark.parametrize(
    "way",
    [
        PROBED | {"api": API},
        OAUTH2 | {"api": API | {"scheme": "bearer"}},
        OAUTH1 | {"api": API | {"scheme": "oauth1"}},
        BASIC | {"api": API | {"scheme": "basic", "username": "{username}"}},
        BASIC | {"api": API | {"scheme": "headers", "headers": {"X-Key": "{username}"}}},
        PROBED | {"token_data": {"site": ["*.acme.test"]}, "api": {"base_url": "{site}/v1"}},
        PROBED | {"token_data": {"dc": ["*.acme.test"]}, "api": {"base_url": "https://{dc}.acme.test"}},
    ],
)  # fmt: skip
def test_a_sensible_api_has_no_problems(way):
    assert problems(way) == {}


@pytest.mark.parametrize(
    ("way", "place"),
    [
        (OAUTH2 | {"api": API}, "api.scheme"),
        (PROBED | {"api": API | {"headers": {"X-Key": "x"}}}, "api.scheme"),
        (BASIC | {"api": API | {"scheme": "bearer"}}, "api.scheme"),
        (OAUTH2 | {"api": API | {"scheme": "oauth1"}}, "api.scheme"),
        (BASIC | {"api": API | {"scheme": "basic"}}, "api.username"),
        (PROBED | {"api": {"base_url": "https://acme.test/v1/"}}, "api.base_url"),
        (PROBED | {"api": {"base_url": "https://acme.test/v1?a=b"}}, "api.base_url"),
        (PROBED | {"api": {"base_url": "ftp://acme.test"}}, "api.base_url"),
        (PROBED | {"api": {"base_url": "{site}/v1"}}, "api.base_url"),
        (PROBED | {"variants": [{"name": "x", "api": {"base_url": "x"}}]}, "variants[0].api.base_url"),
        (PROBED | {"token_data": {"site": []}}, "token_data"),
        (PROBED | {"token_data": {"site": ["*.com"]}}, "token_data"),
        (PROBED | {"token_data": {"access_token": ["*.acme.test"]}}, "token_data"),
        (PROBED | {"token_data": {"oauth.api.key": ["*.acme.test"]}}, "token_data"),
        (BASIC | {"token_data": {"site": ["*.acme.test"]}}, "token_data"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_place(way, place):
    assert f"authentication[0].{place}" in problems(way)


def test_every_element_that_is_probed_can_be_called():
    """But those whose probe answers at another host than the API, which is not known."""
    without = {
        element.key
        for element in shipped_elements()
        for way in element.authentication
        if way.probe and way.api is None
    }
    assert without == {"sfdcmarketingcloud"}


def test_every_base_url_states_its_source():
    from pathlib import Path

    folder = Path("instances/catalogue/elements")
    for file in folder.glob("*.toml"):
        lines = file.read_text().splitlines()
        for number, line in enumerate(lines):
            # That of a variant says so at its probe.
            if (
                line.startswith("base_url =")
                and lines[number - 1] != "[authentication.variants.api]"
            ):
                assert lines[number - 1].startswith("# Base URL: "), file.name
