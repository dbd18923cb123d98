"""The JSON documents of the platform API v2: what a remote platform sends us, and what clients send to us.

Reading is tolerant (unknown fields are ignored, known quirks of old servers are taken); writing is exact:
to_wire() gives the contract's names and leaves out what is not set.
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

# What a bigint column and a header take of another side.
MAX_ID = 2**63 - 1
MAX_TOKEN_CHARACTERS = 8_000
MAX_ERROR_CHARACTERS = 10_000


def _none_as_empty(value: Any) -> Any:
    return {} if value is None else value


def _without_nones(value: Any) -> Any:
    return {k: v for k, v in value.items() if v is not None} if isinstance(value, dict) else value


def _tag_name(value: Any) -> Any:
    # One old example of the portal answers tags as objects (contract 5).
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
    # Half of a surrogate pair, which JSON can carry, is no character that could be stored or sent on.
    readable = value.encode(errors="replace").decode()
    return readable.replace("\x00", "")[:MAX_ERROR_CHARACTERS]


# Visible ASCII, as an Authorization header carries it.
type Token = Annotated[
    str,
    StringConstraints(pattern=r"^[!-~]+$", max_length=MAX_TOKEN_CHARACTERS),
    AfterValidator(_not_masked),
]
type RemoteId = Annotated[int, BeforeValidator(_not_a_fraction), Field(ge=1, le=MAX_ID)]
type Text = Annotated[str, BeforeValidator(_scalar_as_text)]
type Tag = Annotated[str, BeforeValidator(_tag_name)]
type Configuration = Annotated[dict[str, Any], BeforeValidator(_none_as_empty)]
type ProviderData = Annotated[
    dict[str, Text], BeforeValidator(_without_nones), BeforeValidator(_none_as_empty)
]


class Document(BaseModel):
    """One JSON document; camelCase on the wire."""

    model_config = ConfigDict(
        alias_generator=to_camel, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    def to_wire(self) -> dict[str, Any]:
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


class ErrorDocument(Document):
    """What an error answers (contract 3). provider_message: the provider's own words, if it was asked."""

    request_id: Text = ""
    message: Annotated[Text, AfterValidator(_as_words)] = ""
    provider_message: Annotated[Text, AfterValidator(_as_words)] | None = None


class OAuthUrlDocument(Document):
    """What `GET /elements/{key}/oauth/url` answers (contract 8.1)."""

    element: Text = ""
    oauth_url: Annotated[str, Field(min_length=1)]


class RequestTokenDocument(Document):
    """What `GET /elements/{key}/oauth/token` answers (contract 8.1): OAuth 1.0a's request token and its secret."""

    token: Token
    secret: Token


class ElementReference(Document):
    """Which element a body means: by key, or by number."""

    key: Text | None = None
    id: int | None = None

    @model_validator(mode="after")
    def _names_an_element(self) -> Self:
        if not self.key and self.id is None:
            raise ValueError("must hold a key or an id")
        return self


class InstanceBody(Document):
    """The body of `POST /instances` (contract 7.1); without element under `/elements/{key}/instances`.

    tags is None where absent, which means something else than an empty list.
    """

    element: ElementReference | None = None
    name: str | None = None
    configuration: Configuration = Field(default_factory=dict)
    provider_data: ProviderData = Field(default_factory=dict)
    tags: list[Tag] | None = None
    external_authentication: Literal["none", "initial"] = "none"


class InstanceDocument(Document):
    """What a platform answers of an instance (contract 5), as far as we read it.

    Secrets in configuration are masked, so it is never taken over.
    """

    id: RemoteId
    token: Token
    tags: list[Tag] = Field(default_factory=list)
    valid: bool = True
    disabled: bool = False


class AuthenticationReference(Document):
    """Which way of authentication an instance has."""

    type: str = ""


class ListedElement(Document):
    """The element of a listed instance, as far as we read it (contract 6)."""

    key: Annotated[str, StringConstraints(pattern=r"^[^\x00]+$", max_length=200)]
    authentication: AuthenticationReference = AuthenticationReference()


class ListedInstanceDocument(InstanceDocument):
    """One item of `GET /instances` (contract 8.2), as far as we read it."""

    name: Text = ""
    element: ListedElement
    configuration: Configuration = Field(default_factory=dict)
