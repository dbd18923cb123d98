"""JSON documents of the platform API v2, of remote platforms and clients.

Reading is tolerant: unknown fields are ignored and known quirks of old servers accepted. Writing is exact: to_wire()
uses the contract's names and omits unset fields.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)
from pydantic.alias_generators import to_camel

from instances.pasted import trimmed

# Limits for values from outside: of a bigint column, of a header.
MAX_ID = 2**63 - 1
MAX_TOKEN_CHARACTERS = 8_000
MAX_ERROR_CHARACTERS = 10_000


def _none_as_empty(value: Any) -> Any:
    return {} if value is None else value


def _without_nones(value: Any) -> Any:
    return {k: v for k, v in value.items() if v is not None} if isinstance(value, dict) else value


def _tag_name(value: Any) -> Any:
    # An old example of the portal returns tags as objects (contract 5).
    return value["name"] if isinstance(value, dict) and "name" in value else value


def _scalar_as_text(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


def _not_a_fraction(value: Any) -> Any:
    if isinstance(value, bool | float):
        raise ValueError("must be a whole number")
    return value


def _not_masked(value: str) -> str:
    if not value.strip("*"):
        raise ValueError("is masked")
    return value


def _as_words(value: str) -> str:
    # JSON can contain lone surrogates, which can neither be stored nor sent on.
    readable = value.encode(errors="replace").decode()
    return readable.replace("\x00", "")[:MAX_ERROR_CHARACTERS]


# Visible ASCII, as allowed in an Authorization header.
type Token = Annotated[
    str,
    StringConstraints(pattern=r"^[!-~]+$", max_length=MAX_TOKEN_CHARACTERS),
    AfterValidator(_not_masked),
]
type RemoteId = Annotated[int, BeforeValidator(_not_a_fraction), Field(ge=1, le=MAX_ID)]
type Text = Annotated[str, BeforeValidator(_scalar_as_text)]
type Tag = Annotated[str, BeforeValidator(_tag_name)]
type Configuration = Annotated[dict[str, Any], BeforeValidator(_none_as_empty)]
type Pasted = Annotated[Text, AfterValidator(trimmed)]
type ProviderData = Annotated[
    dict[str, Pasted], BeforeValidator(_without_nones), BeforeValidator(_none_as_empty)
]


class Document(BaseModel):
    """One JSON document; camelCase on the wire."""

    model_config = ConfigDict(
        alias_generator=to_camel, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    def to_wire(self) -> dict[str, Any]:
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


class ErrorDocument(Document):
    """The body of an error response (contract 3)."""

    request_id: Text = ""
    message: Annotated[Text, AfterValidator(_as_words)] = ""
    # The provider's own message, if the provider was called.
    provider_message: Annotated[Text, AfterValidator(_as_words)] | None = None


class OAuthUrlDocument(Document):
    """The response of `GET /elements/{key}/oauth/url` (contract 8.1)."""

    element: Text = ""
    oauth_url: Annotated[str, Field(min_length=1)]


class RequestTokenDocument(Document):
    """The response of `GET /elements/{key}/oauth/token` (contract 8.1): a request token of OAuth 1.0a."""

    token: Token
    secret: Token


class ElementReference(Document):
    """An element, by key or by number."""

    key: Text | None = None
    id: int | None = None

    @model_validator(mode="after")
    def _names_an_element(self) -> Self:
        if not self.key and self.id is None:
            raise ValueError("must hold a key or an id")
        return self


class InstanceBody(Document):
    """The body of `POST /instances` (contract 7.1).

    Without element under `/elements/{key}/instances`.
    """

    element: ElementReference | None = None
    name: str | None = None
    configuration: Configuration = Field(default_factory=dict)
    provider_data: ProviderData = Field(default_factory=dict)
    # None if absent, which differs from an empty list.
    tags: list[Tag] | None = None
    external_authentication: Literal["none", "initial"] = "none"


class InstanceDocument(Document):
    """The fields that are read of an instance in a platform's response (contract 5).

    Not configuration: its secrets are masked.
    """

    id: RemoteId
    token: Token
    tags: list[Tag] = Field(default_factory=list)
    valid: bool = True
    disabled: bool = False


class AuthenticationReference(Document):
    """The authentication type of an instance."""

    type: str = ""


class ListedElement(Document):
    """The fields that are read of a listed instance's element (contract 6)."""

    key: Annotated[str, StringConstraints(pattern=r"^[^\x00]+$", max_length=200)]
    authentication: AuthenticationReference = AuthenticationReference()


class ListedInstanceDocument(InstanceDocument):
    """The fields that are read of an item of `GET /instances` (contract 8.2)."""

    name: Text = ""
    element: ListedElement
    configuration: Configuration = Field(default_factory=dict)
