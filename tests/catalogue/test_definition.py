"""An element's definition: what it answers about ways of authentication, configuration and secrets."""

import pytest

from instances.catalogue.authentication import AuthenticationKind, AuthenticationType
from instances.catalogue.definition import ElementDefinition
from instances.catalogue.loading import shipped_elements
from instances.errors import CatalogueError, InvalidConfigurationError
from tests.support.factories import KEY_DEFINITION

ELEMENTS = {element.key: element for element in shipped_elements()}
DYNAMICS = ELEMENTS["dynamicscrmadfs"]


@pytest.mark.parametrize("written", ["oauth2", "OAuth2", "OAUTH2"])
def test_the_kind_of_authentication_is_compared_without_regard_to_case(written):
    assert DYNAMICS.authentication_type(written).type == AuthenticationKind.OAUTH2


def test_without_a_kind_the_first_way_of_authentication_is_meant():
    assert DYNAMICS.authentication_type(None).type == AuthenticationKind.CUSTOM


def test_an_unknown_kind_is_refused_with_the_known_ones():
    with pytest.raises(InvalidConfigurationError) as raised:
        DYNAMICS.authentication_type("basic")

    assert str(raised.value) == (
        "Invalid configuration: authentication.type: must be one of: custom, oauth2, "
        "oauth2Application, oauth2AppSecret."
    )


def test_a_variant_replaces_what_it_states_and_nothing_else():
    way = DYNAMICS.authentication_type("oauth2")
    variant = way.with_variant("entra-v1")

    assert variant.token_endpoint == "https://login.microsoftonline.com/common/oauth2/token"
    assert (way.token_params, way.pkce, variant.pkce) == ({}, True, True)
    assert (variant.scopes, variant.token_params) == ((), {"resource": "https://{dynamics.tenant}"})
    assert variant.fields == way.fields
    assert variant.probe == way.probe
    assert way.with_variant(None) is way
    assert way.with_variant("") is way


@pytest.mark.parametrize(
    ("variant", "issuer", "sends_iss"),
    [
        ({"token_endpoint": "https://eu.acme.test/token"}, "https://acme.test", True),
        ({"authorization_endpoint": "https://eu.acme.test/authorize"}, None, False),
        (
            {
                "authorization_endpoint": "https://eu.acme.test/authorize",
                "issuer": "https://eu.acme.test",
            },
            "https://eu.acme.test",
            False,
        ),
    ],
)
def test_a_variant_with_an_authorization_endpoint_has_the_issuer_that_it_states(
    variant, issuer, sends_iss
):
    stated = {"issuer": "https://acme.test", "sends_iss": True}
    way = AuthenticationType.model_validate(
        {"type": "oauth2", "variants": [{"name": "eu"} | variant]} | stated
    ).with_variant("eu")

    assert (way.issuer, way.sends_iss) == (issuer, sends_iss)


def test_an_unknown_variant_is_refused_with_the_known_ones():
    with pytest.raises(InvalidConfigurationError, match="entra-v1, entra-tenant, entra-v2, adfs"):
        DYNAMICS.authentication_type("oauth2").with_variant("v9")
    with pytest.raises(InvalidConfigurationError, match="has no variants"):
        ELEMENTS["stripe"].authentication_type().with_variant("v9")


@pytest.mark.parametrize(
    ("configuration", "variant"),
    [
        ({}, None),
        ({"clover.sandbox": "false"}, None),
        ({"clover.sandbox": True}, "sandbox"),
        ({"clover.sandbox": "TRUE"}, "sandbox"),
        ({"authentication.variant": "other", "clover.sandbox": "true"}, "other"),
    ],
)
def test_a_configuration_chooses_its_variant_by_name_or_by_key(configuration, variant):
    assert ELEMENTS["clover"].authentication_type().variant_of(configuration) == variant


def test_missing_keys_come_in_order_of_display():
    way = DYNAMICS.authentication_type("custom")

    assert way.missing_keys({}) == ["user.username", "user.password", "dynamics.tenant"]


@pytest.mark.parametrize("nothing", ["", None, "********"])
def test_an_empty_value_null_and_the_mask_are_missing(nothing):
    configuration = {"user.username": "ada", "user.password": nothing, "dynamics.tenant": "acme"}

    assert DYNAMICS.authentication_type("custom").missing_keys(configuration) == ["user.password"]


@pytest.mark.parametrize("value", [False, 0, "0", "false"])
def test_false_and_zero_are_values(value):
    way = AuthenticationType.model_validate(
        {"type": "custom", "fields": [{"key": "flag", "label": "Flag", "required": True}]}
    )

    assert way.missing_keys({"flag": value}) == []


def test_a_default_and_an_alias_satisfy_a_required_key():
    oauth2 = DYNAMICS.authentication_type("oauth2")
    client = {"oauth.api.key": "k", "oauth.api.secret": "s", "oauth.callback.url": "https://a.test"}

    assert oauth2.missing_keys(client | {"oauth.resource.url": "acme.test"}) == []
    assert ELEMENTS["sftp"].authentication_type().missing_keys({}) == [
        "hostname",
        "username",
        "password",
        "home_directory",
    ]


def test_templates_get_strings_with_defaults_and_aliases_in_place():
    way = DYNAMICS.authentication_type("oauth2")
    values = way.values_of(
        {
            "oauth.resource.url": "acme.test",
            "custom.flag": True,
            "empty": None,
            "masked": "********",
        }
    )

    assert values == {
        "oauth.resource.url": "acme.test",
        "dynamics.tenant": "acme.test",
        "document.tagging": "false",
        "tenant_id": "organizations",
        "custom.flag": "true",
    }


@pytest.mark.parametrize(
    ("key", "kind", "needs_browser", "obtains_token"),
    [
        ("dynamicscrmadfs", "oauth2", True, True),
        ("dynamicscrmadfs", "custom", False, True),
        ("twitter", "oauth1", True, True),
        ("marketo", "oauth2", False, True),
        ("stripe", "basic", False, False),
    ],
)
def test_a_way_says_whether_it_needs_a_browser_and_a_token(key, kind, needs_browser, obtains_token):
    way = ELEMENTS[key].authentication_type(kind)

    assert (way.needs_browser, way.obtains_token) == (needs_browser, obtains_token)


def test_an_endpoint_that_nobody_knows_is_said_to_be_unknown_when_it_is_used():
    economic = ELEMENTS["economic"]
    way = economic.authentication_type()

    assert economic.endpoint(way, "authorization_endpoint").startswith("https://")
    with pytest.raises(CatalogueError, match=r"economic: the token_endpoint .* not known"):
        economic.endpoint(way, "token_endpoint")


@pytest.mark.parametrize(
    ("element", "key", "is_secret"),
    [
        ("dynamicscrmadfs", "user.password", True),
        ("dynamicscrmadfs", "oauth.api.key", True),
        ("dynamicscrmadfs", "user.username", False),
        ("dynamicscrmadfs", "oauth.resource.url", False),
        ("dynamicscrmadfs", "event.notification.signature.key", True),
        ("dynamicscrmadfs", "oauth.user.token", True),
        ("dynamicscrmadfs", "oauth.token.url", False),
        ("dynamicscrmadfs", "some.other.password", True),
        ("dynamicscrmadfs", "some.other.monkey", False),
        ("connectwisecrm", "public.key", False),
        ("connectwisecrmrest", "public.key", True),
        ("campaignmonitor", "username", True),
        ("netsuitecrmv2", "netsuite.single.session", False),
        ("dynamicscrmadfs", "db.passwd", True),
        ("dynamicscrmadfs", "session.id", True),
        ("dynamicscrmadfs", "passcode", True),
        ("dynamicscrmadfs", "oauth.authorization.url", False),
    ],
)
def test_secrecy_is_what_the_element_declares_else_what_the_name_says(element, key, is_secret):
    assert ELEMENTS[element].is_secret(key) is is_secret


def test_a_key_is_secret_when_any_way_of_authentication_says_so():
    ways = [
        {"type": kind, "fields": [{"key": "account", "label": "Account", "secret": secret}]}
        for kind, secret in (("basic", True), ("custom", False))
    ]
    element = ElementDefinition.model_validate(
        {
            "key": "a",
            "id": 1,
            "name": "A",
            "hub": "crm",
            "description": "A.",
            "authentication": ways,
        }
    )

    assert element.is_secret("account")


@pytest.mark.parametrize(
    ("field", "is_secret"),
    [
        ({"key": "account.pin"}, True),
        ({"key": "account.pin", "not_secret_because": "It is a postal code."}, False),
        ({"key": "account", "aliases": ["api.key"]}, True),
        ({"key": "account", "type": "password"}, True),
        ({"key": "single.session", "type": "boolean"}, False),
    ],
)
def test_a_stored_definition_of_before_a_name_was_secret_does_not_keep_it_in_clear(
    field, is_secret
):
    definition = KEY_DEFINITION | {
        "authentication": [{"type": "basic", "fields": [{"label": "A"} | field]}]
    }
    element = ElementDefinition.model_validate(definition)
    assert element.is_secret(field["key"]) is is_secret


def test_a_stored_definition_is_the_one_that_was_stored():
    for element in ELEMENTS.values():
        stored = element.model_dump(mode="json", exclude_defaults=True)

        assert ElementDefinition.model_validate(stored) == element
