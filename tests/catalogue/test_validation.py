"""What is wrong with a definition, each problem with its place in the file."""

from typing import Any

import pytest

from instances.catalogue.definition import ElementDefinition
from instances.catalogue.validation import problems_of

USERNAME = {"key": "username", "label": "User name"}
CLIENT = [
    {"key": "oauth.api.key", "label": "Client ID", "secret": True},
    {"key": "oauth.api.secret", "label": "Client secret", "type": "password", "secret": True},
]
BASIC: dict[str, Any] = {"type": "basic", "fields": [USERNAME]}
OAUTH2: dict[str, Any] = {
    "type": "oauth2",
    "grant_type": "authorization_code",
    "authorization_endpoint": "https://acme.test/authorize",
    "token_endpoint": "https://acme.test/token",
    "provider_data": ["code"],
    "fields": CLIENT,
}
PASSWORD_GRANT: dict[str, Any] = {
    "type": "custom",
    "grant_type": "password",
    "token_endpoint": "https://acme.test/token",
    "username_key": "username",
    "password_key": "password",
    "fields": [
        *CLIENT,
        USERNAME,
        {"key": "password", "label": "Password", "type": "password", "secret": True},
    ],
}
OAUTH1 = {
    "type": "oauth1",
    "request_token_endpoint": "https://acme.test/request",
    "authorization_endpoint": "https://acme.test/authorize",
    "token_endpoint": "https://acme.test/access",
    "provider_data": ["oauth_token", "oauth_verifier", "secret"],
    "fields": CLIENT,
}
PROBE = {"url": "https://acme.test/me", "scheme": "bearer"}


def problems(*ways: dict[str, Any], **fields: Any) -> dict[str, str]:
    definition = {
        "key": "acme",
        "id": 1,
        "name": "Acme",
        "hub": "crm",
        "description": "Connects an Acme account.",
        "authentication": ways,
    }
    return dict(problems_of(ElementDefinition.model_validate(definition | fields)))


def with_field(**field: Any) -> dict[str, Any]:
    return BASIC | {"fields": [USERNAME, {"label": "Label"} | field]}


@pytest.mark.parametrize("way", [BASIC, OAUTH2, PASSWORD_GRANT, OAUTH2 | {"probe": PROBE}])
def test_a_sensible_definition_has_no_problems(way):
    assert problems(way) == {}


@pytest.mark.parametrize("key", ["", "Acme", "acme crm", "acme.crm", "../acme", "-acme", "acmé"])
def test_an_elements_key_is_lower_case_letters_digits_and_hyphens(key):
    assert list(problems(BASIC, key=key)) == ["key"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", 0),
        ("id", -1),
        ("id", 2**31),
        ("key", "a" * 101),
        ("name", " "),
        ("name", "a" * 201),
        ("hub", ""),
        ("hub", "a" * 51),
        ("description", ""),
    ],
)
def test_what_names_an_element_has_a_sensible_size(field, value):
    assert list(problems(BASIC, **{field: value})) == [field]


def test_an_element_needs_a_way_of_authentication_or_an_alias():
    assert "at least one" in problems()["authentication"]
    assert problems(alias_of="stripe") == {}
    assert "another" in problems(alias_of="acme")["alias_of"]
    assert "must be omitted" in problems(BASIC, alias_of="stripe")["authentication"]


def test_a_way_a_key_and_a_variant_are_said_once():
    assert problems(BASIC, BASIC) == {
        "authentication": "2 ways of authentication of type basic. Keep one."
    }
    assert problems(with_field(key="login", aliases=["username"])) == {
        "authentication[0].fields": "2 fields with the key or alias username. Keep one."
    }
    assert problems(OAUTH2 | {"variants": [{"name": "a"}, {"name": "a"}]}) == {
        "authentication[0].variants": "2 variants with the name a. Keep one."
    }


@pytest.mark.parametrize(
    "key", ["", "user name", "user..name", ".user", "user/name", "usér", "user{x}"]
)
def test_a_configuration_keys_syntax_is_checked(key):
    assert list(problems(with_field(key=key))) == ["authentication[0].fields[1].key"]


def test_an_aliass_syntax_is_checked():
    assert "key" in "".join(problems(with_field(key="login", aliases=["user name"])))


def test_a_key_that_looks_secret_is_marked_secret_or_says_why_not():
    place = "authentication[0].fields[1].secret"

    assert "looks like a secret" in problems(with_field(key="api.key"))[place]
    assert problems(with_field(key="api.key", secret=True)) == {}
    assert problems(with_field(key="public.key", not_secret_because="It is public.")) == {}


def test_a_secret_does_not_say_why_it_is_none():
    way = with_field(key="public.key", secret=True, not_secret_because="It is public.")

    assert list(problems(way)) == ["authentication[0].fields[1].not_secret_because"]


def test_a_password_input_is_always_secret():
    way = with_field(key="pin", type="password", not_secret_because="Everybody knows it.")

    assert list(problems(way)) == ["authentication[0].fields[1].secret"]


@pytest.mark.parametrize(
    "field",
    [
        {"default": "c", "options": ["a", "b"]},
        {"default": "yes", "type": "boolean"},
        {"default": "1.5", "type": "integer"},
        {"default": "acme.test", "type": "url"},
    ],
)
def test_a_default_is_a_value_that_the_key_can_have(field):
    assert list(problems(with_field(key="option", **field))) == [
        "authentication[0].fields[1].default"
    ]


@pytest.mark.parametrize(
    ("way", "missing"),
    [
        (OAUTH2, "authorization_endpoint"),
        (OAUTH2, "token_endpoint"),
        (OAUTH2, "grant_type"),
        (PASSWORD_GRANT, "token_endpoint"),
        (PASSWORD_GRANT, "grant_type"),
        (PASSWORD_GRANT, "username_key"),
        (PASSWORD_GRANT, "password_key"),
    ],
)
def test_what_a_grant_needs_is_missed(way, missing):
    without = {name: value for name, value in way.items() if name != missing}

    assert f"authentication[0].{missing}" in problems(without)


def test_oauth1_needs_three_endpoints():
    assert sorted(problems({"type": "oauth1", "fields": CLIENT})) == [
        "authentication[0].authorization_endpoint",
        "authentication[0].request_token_endpoint",
        "authentication[0].token_endpoint",
    ]


def test_client_credentials_need_no_authorization_endpoint():
    way = OAUTH2 | {"grant_type": "client_credentials", "authorization_endpoint": None}

    assert problems(way) == {}


def test_an_endpoint_may_be_missing_when_it_is_said_to_be_unknown():
    assert problems(OAUTH2 | {"token_endpoint": None, "endpoints": "unknown"}) == {}


def test_a_code_is_for_oauth2_alone():
    way = OAUTH2 | {"type": "custom"}

    assert problems(way) == {
        "authentication[0].grant_type": "authorization_code needs type oauth2."
    }


def test_keys_that_are_named_elsewhere_are_among_the_fields():
    assert list(problems(OAUTH2 | {"site_address_key": "site"})) == [
        "authentication[0].site_address_key"
    ]
    assert list(problems(OAUTH2 | {"client_id_key": "clientId"})) == [
        "authentication[0].client_id_key"
    ]
    assert list(problems(OAUTH2 | {"fields": CLIENT[:1]})) == [
        "authentication[0].client_secret_key"
    ]
    public_client = {"fields": CLIENT[:1], "token_endpoint_auth_method": "none"}
    assert problems(OAUTH2 | public_client) == {}


@pytest.mark.parametrize(
    ("place", "part"),
    [
        ("token_endpoint", {"token_endpoint": "https://{site}.acme.test/token"}),
        ("scopes[0]", {"scopes": ["{site}.read"]}),
        ("authorize_params.audience", {"authorize_params": {"audience": "{site}"}}),
        ("token_params.audience", {"token_params": {"audience": "{site}"}}),
        ("probe.url", {"probe": PROBE | {"url": "https://{site}.acme.test/me"}}),
        ("probe.headers.X-Site", {"probe": PROBE | {"headers": {"X-Site": "{site}"}}}),
        ("variants[0].token_endpoint", {"variants": [{"name": "v", "token_endpoint": "{site}/t"}]}),
        (
            "variants[0].probe.url",
            {"variants": [{"name": "v", "probe": PROBE | {"url": "{site}/me"}}]},
        ),
    ],
)
def test_a_variable_that_nothing_fills_is_refused(place, part):
    assert problems(OAUTH2 | part) == {
        f"authentication[0].{place}": (
            "{site} is not a key of this way of authentication, and is not known at that point."
        )
    }


def test_provider_data_and_the_token_may_be_used_where_there_are_some():
    probe = {
        "url": "https://acme.test/{code}",
        "scheme": "headers",
        "headers": {"X": "{access_token}"},
    }

    assert problems(OAUTH2 | {"probe": probe}) == {}
    assert sorted(problems(BASIC | {"probe": probe})) == [
        "authentication[0].probe.headers.X",
        "authentication[0].probe.url",
    ]


@pytest.mark.parametrize("url", ["ftp://acme.test", "acme.test/token", "//acme.test", "https:///x"])
def test_an_endpoint_is_a_url(url):
    assert (
        "must begin with https://"
        in problems(OAUTH2 | {"token_endpoint": url})["authentication[0].token_endpoint"]
    )


@pytest.mark.parametrize(
    "url", ["https://acme.test/{x", "https://acme.test/x}", "https://a.test/{a b}"]
)
def test_a_stray_brace_is_refused(url):
    assert "brace" in problems(OAUTH2 | {"token_endpoint": url})["authentication[0].token_endpoint"]


@pytest.mark.parametrize(
    ("place", "probe"),
    [
        ("scheme", PROBE),
        ("username", {"url": "https://acme.test/me", "scheme": "basic"}),
        ("headers", {"url": "https://acme.test/me", "scheme": "headers"}),
    ],
)
def test_a_probe_carries_what_its_scheme_needs(place, probe):
    assert list(problems(BASIC | {"probe": probe})) == [f"authentication[0].probe.{place}"]


def test_what_chooses_a_variant_is_among_the_fields():
    way = OAUTH2 | {"variants": [{"name": "sandbox", "chosen_by": "is.sandbox"}]}

    assert list(problems(way)) == ["authentication[0].variants[0].chosen_by"]


def test_all_problems_are_found_at_once():
    way = OAUTH2 | {"token_endpoint": None, "fields": [*CLIENT, {"key": "api.key", "label": "Key"}]}

    assert sorted(problems(way, id=0)) == [
        "authentication[0].fields[2].secret",
        "authentication[0].token_endpoint",
        "id",
    ]


def test_only_oauth1_is_probed_by_signed_requests():
    signed = {"probe": PROBE | {"scheme": "oauth1"}}
    assert list(problems(OAUTH2 | signed)) == ["authentication[0].probe.scheme"]
    assert list(problems(OAUTH1 | {"probe": PROBE})) == ["authentication[0].probe.scheme"]
    assert problems(OAUTH1 | signed) == {}


TENANT = {"key": "tenant", "label": "Tenant"}


@pytest.mark.parametrize(
    "stated",
    [
        {"issuer": "https://acme.test", "sends_iss": True},
        {"issuer": "https://acme.test/{tenant}", "fields": [*CLIENT, TENANT | {"required": True}]},
        {"issuer": "https://acme.test/{tenant}", "fields": [*CLIENT, TENANT | {"default": "eu"}]},
        {
            "issuer": "https://{tenant}.acme.test",
            "authorization_endpoint": "https://{tenant}.acme.test/authorize",
            "fields": [*CLIENT, TENANT | {"hosts": ["*.acme.test"]}],
        },
    ],
)
def test_an_issuer_may_hold_what_is_known_when_the_trip_begins(stated):
    assert problems(OAUTH2 | stated) == {}


@pytest.mark.parametrize(
    ("way", "place"),
    [
        (OAUTH2 | {"sends_iss": True}, "sends_iss"),
        (OAUTH2 | {"issuer": "acme.test"}, "issuer"),
        (OAUTH2 | {"issuer": "https://acme.test?tenant=1"}, "issuer"),
        (OAUTH2 | {"issuer": "https://acme.test#1"}, "issuer"),
        (OAUTH2 | {"issuer": "https://acme.test/{tenant}"}, "issuer"),
        (OAUTH2 | {"issuer": "https://acme.test/{tenant}", "fields": [*CLIENT, TENANT]}, "issuer"),
        (OAUTH2 | {"issuer": "https://acme.test/{code}"}, "issuer"),
        (OAUTH1 | {"issuer": "https://acme.test"}, "issuer"),
        (PASSWORD_GRANT | {"issuer": "https://acme.test"}, "issuer"),
        (OAUTH2 | {"variants": [{"name": "eu", "sends_iss": True}]}, "variants[0].sends_iss"),
        (OAUTH2 | {"variants": [{"name": "eu", "issuer": "acme.test"}]}, "variants[0].issuer"),
    ],
)
def test_an_issuer_that_cannot_be_compared_is_refused(way, place):
    assert list(problems(way)) == [f"authentication[0].{place}"]


HOSTED = BASIC | {"probe": PROBE | {"url": "https://{site}.acme.test/me", "scheme": "headers"}}


def hosted(**field: Any) -> dict[str, Any]:
    headers = {"X-User": "{username}"}
    probe = HOSTED["probe"] | {"headers": headers}
    return HOSTED | {"probe": probe, "fields": [USERNAME, {"key": "site", "label": "Site"} | field]}


def test_what_becomes_part_of_a_host_states_the_providers_hosts():
    why = problems(hosted())["authentication[0].fields[1].hosts"]
    assert why.startswith("site: is missing, although its value becomes part of a host.")
    assert problems(hosted(hosts=[])) == {}
    assert problems(hosted(hosts=["*.acme.test"])) == {}


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("*", "is not a host"),
        ("*.test", "allows too many hosts"),
        ("https://acme.test", "is not a host"),
        ("Acme.Test", "must be written as acme.test"),
    ],
)
def test_hosts_are_patterns(pattern, why):
    assert why in problems(hosted(hosts=[pattern]))["authentication[0].fields[1].hosts"]


def test_a_variants_host_counts_too():
    field = {"key": "site", "label": "Site"}
    variant = {"name": "own", "token_endpoint": "https://{site}/token"}
    found = problems(OAUTH2 | {"fields": [*CLIENT, field], "variants": [variant]})
    assert list(found) == ["authentication[0].fields[2].hosts"]


def test_what_a_callback_brings_states_its_hosts_too():
    way = OAUTH2 | {"provider_data": ["code", "location"], "token_endpoint": "https://{location}/t"}
    assert problems(way)["authentication[0].provider_data_hosts"].startswith("location: is missing")
    assert problems(way | {"provider_data_hosts": {"location": ["*.acme.test"]}}) == {}


def test_what_is_said_of_responses_is_checked():
    way = OAUTH2 | {
        "token_answer": {"access_token": "authed_user..token"},
        "error_codes": {"grant_rejected": ["dead ", "gone"], "transient": ["GONE"]},
    }
    assert problems(way) == {
        "authentication[0].token_answer.access_token": 'must be names with dots between them, such as "data.token".',
        "authentication[0].error_codes.grant_rejected": "has a code that is empty, or has blanks around it.",
        "authentication[0].error_codes": "2 meanings of the code gone. Keep one.",
    }


def test_only_what_gets_a_token_has_a_token_response():
    assert problems(BASIC | {"error_codes": {"transient": ["later"]}}) == {
        "authentication[0].grant_type": "is missing. State how a token is requested, or omit error_codes and token_answer."
    }


def test_a_list_to_choose_from_is_checked():
    """It is asked for before its key has a value."""
    wrong = {
        "key": "acme.site",
        "url": "https://{acme.site}.acme.test/list",
        "scopes": ["https://{acme.site}/read"],
        "list_at": "a..b",
        "value_at": "url",
        "label_at": "",
    }
    found = problems(OAUTH2 | {"discovery": wrong})
    assert set(found) == {
        f"authentication[0].discovery.{name}"
        for name in ("key", "url", "scopes[0]", "list_at", "label_at")
    }
    right = wrong | {
        "key": "oauth.api.key",
        "url": "https://acme.test/list",
        "scopes": ["list"],
        "list_at": "value",
        "label_at": "name",
    }
    assert problems(OAUTH2 | {"discovery": right}) == {}
    assert "authentication[0].discovery.url" in problems(PASSWORD_GRANT | {"discovery": right})


def test_texts_about_codes_and_ways_are_whole_sentences():
    way = OAUTH2 | {
        "note": "no sentence",
        "removal": "nor this",
        "error_codes": {"explained": {"GONE": "nor this"}},
        "probe": PROBE | {"forbidden": "nor this"},
    }
    assert set(problems(way)) == {
        f"authentication[0].{name}"
        for name in ("note", "removal", "error_codes.explained.GONE", "probe.forbidden")
    }
