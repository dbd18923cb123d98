"""Elements, their configuration keys, hubs and authorization URLs (contract 6, 8.1, 8.4)."""

from typing import Any, Literal, Self
from zlib import crc32

from instances.api.documents.base import ResponseDocument
from instances.catalogue.authentication import AuthenticationType
from instances.catalogue.configuration_keys import ConfigurationKey, KeyType
from instances.models import Element

# More than any element has configuration keys, so that entry ids are unique across elements and across instances
# (contract 8.3).
ENTRIES_PER_OWNER = 1_000
_TYPES = {
    KeyType.BOOLEAN: "BOOLEAN",
    KeyType.PASSWORD: "PASSWORD",
    KeyType.PRIVATE_KEY: "TEXTAREA",
    KeyType.INTEGER: "TEXTFIELD_32",
    KeyType.LIST: "TEXTAREA",
}


class AuthenticationReference(ResponseDocument):
    """The authentication type of an element or instance."""

    type: str


class ElementSummaryDocument(ResponseDocument):
    """The short form of an element (contract 6)."""

    id: int
    key: str
    name: str
    description: str
    config_description: str
    hub: str
    image: str
    active: bool
    deleted: Literal[False] = False
    type_oauth: bool
    trial_account: Literal[False] = False
    transformations_enabled: Literal[False] = False
    bulk_download_enabled: Literal[False] = False
    bulk_upload_enabled: Literal[False] = False
    cloneable: Literal[False] = False
    extendable: Literal[False] = False
    beta: Literal[False] = False
    extended: Literal[False] = False
    private: bool

    @classmethod
    def of(cls, element: Element, **details: Any) -> Self:
        return cls(
            id=element.pk,
            key=element.key,
            name=element.name,
            description=element.parsed.description,
            config_description=element.parsed.preparation,
            hub=element.hub,
            image=_image(element),
            active=element.is_active,
            type_oauth=any(way.needs_browser for way in element.parsed.authentication),
            private=element.is_private,
            **details,
        )


class ElementDocument(ElementSummaryDocument):
    """An element (contract 6)."""

    authentication: AuthenticationReference
    protocol_type: Literal["http"] = "http"
    resources: tuple[()] = ()
    parameters: tuple[()] = ()

    @classmethod
    def of(cls, element: Element, *, kind: str = "", **details: Any) -> Self:
        """Build the document.

        kind: the authentication type of the enclosing instance, if any.
        """
        used = AuthenticationReference(type=kind or _first_type(element))
        return super().of(element, authentication=used, **details)


class ConfigurationEntry(ResponseDocument):
    """What an element and an instance both say about a configuration key (contract 6, 8.3)."""

    id: int
    key: str
    name: str
    description: str
    type: str
    required: bool
    active: Literal[True] = True
    hide_from_console: Literal[False] = False

    @classmethod
    def of(cls, key: ConfigurationKey, *, owner: int, number: int, **details: Any) -> Self:
        """Build the entry for the key with that number of an element or instance, the owner."""
        return cls(
            id=owner * ENTRIES_PER_OWNER + number,
            key=key.key,
            name=key.label,
            description=key.description,
            type=_TYPES.get(key.type, "TEXTFIELD_1000"),
            required=key.required,
            **details,
        )


class ElementConfigurationDocument(ConfigurationEntry):
    """One configuration key of an element (contract 6)."""

    default_value: str | None
    internal: Literal[False] = False
    group_control: Literal[False] = False
    reseller_config: Literal[False] = False
    company_config: Literal[False] = False
    display_order: int

    @classmethod
    def all_of(cls, element: Element) -> list[Self]:
        """Build the configuration keys of all authentication types."""
        keys = element.parsed.configuration_keys
        return [cls._at(number, key, element, number) for number, key in enumerate(keys)]

    @classmethod
    def of_type(cls, element: Element, kind: str) -> list[Self]:
        """Build the configuration keys of one authentication type, as that type declares them.

        An entry keeps the id that it has among the keys of all types.

        Raises InvalidConfigurationError.
        """
        numbers = [key.key for key in element.parsed.configuration_keys]
        fields = element.parsed.authentication_type(kind).fields
        return [
            cls._at(numbers.index(key.key), key, element, order) for order, key in enumerate(fields)
        ]

    @classmethod
    def _at(cls, number: int, key: ConfigurationKey, element: Element, order: int) -> Self:
        return cls.of(
            key,
            owner=element.pk,
            number=number,
            default_value=key.default,
            display_order=order,
        )


class ConfigurableElementDocument(ElementDocument):
    """An element with the configuration keys of all its authentication types."""

    configuration: list[ElementConfigurationDocument]

    @classmethod
    def of(cls, element: Element, **details: Any) -> Self:
        return super().of(
            element, configuration=ElementConfigurationDocument.all_of(element), **details
        )


class EventsDocument(ResponseDocument):
    """Whether and how an element sends events."""

    supported: bool
    methods: list[str]

    @classmethod
    def of(cls, element: Element) -> Self:
        methods: list[str] = [*(element.parsed.events or ())]
        return cls(supported=bool(methods), methods=methods)


class ElementMetadataDocument(ResponseDocument):
    """The capabilities of an element (contract 8.1)."""

    id: int
    key: str
    name: str
    description: str
    events: EventsDocument

    @classmethod
    def of(cls, element: Element, **details: Any) -> Self:
        return cls(
            id=element.pk,
            key=element.key,
            name=element.name,
            description=element.parsed.description,
            events=EventsDocument.of(element),
            **details,
        )


class ExpandedElementMetadataDocument(ElementDocument):
    """The capabilities of an element and every field of its document: `expand=true`."""

    events: EventsDocument
    authentication_type: str

    @classmethod
    def of(cls, element: Element, **details: Any) -> Self:
        return super().of(
            element,
            events=EventsDocument.of(element),
            authentication_type=_first_type(element),
            **details,
        )


class AuthenticationTypeDocument(ResponseDocument):
    """An authentication type of an element. oauth: whether a browser is needed."""

    type: str
    oauth: bool

    @classmethod
    def of(cls, way: AuthenticationType) -> Self:
        return cls(type=str(way.type), oauth=way.needs_browser)


class HubDocument(ResponseDocument):
    """A group of elements of the same kind (contract 8.4)."""

    id: int
    key: str
    name: str
    description: str

    @classmethod
    def of(cls, key: str) -> Self:
        """Build a hub. Its id is derived from its key, since hubs are not stored."""
        return cls(
            id=crc32(key.encode()),
            key=key,
            name=key.capitalize(),
            description=f"Elements of the {key} hub",
        )


class OAuthUrlDocument(ResponseDocument):
    """The URL to which to send a browser to authorize (contract 8.1)."""

    element: str
    oauth_url: str


class DefaultOAuthUrlDocument(OAuthUrlDocument):
    """An authorization URL of the operator's OAuth app (contract 8.1).

    configuration: its client secret, masked.
    """

    configuration: dict[str, str]


class RequestTokenDocument(ResponseDocument):
    """A request token of OAuth 1.0a (contract 8.1)."""

    token: str
    secret: str


def _image(element: Element) -> str:
    return f"elements/provider_{element.key}.png"


def _first_type(element: Element) -> str:
    return str(element.parsed.authentication[0].type)
