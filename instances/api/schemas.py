"""Response schemas for the OpenAPI document; documents.py builds the documents."""

from typing import Annotated, Any, Literal

from pydantic import Field

from instances.wire import Document, ErrorDocument, InstanceDocument, OAuthUrlDocument


class RefusalDocument(ErrorDocument):
    """An error (contract 3)."""

    request_id: Annotated[str, Field(pattern="^[0-9a-f]{24}$")]
    message: Annotated[str, Field(min_length=1)]


class ElementSummaryDocument(Document):
    """The short form of an element (contract 6)."""

    id: int
    key: str
    name: str
    description: str
    hub: str
    image: str
    active: bool
    deleted: bool
    type_oauth: bool
    trial_account: bool
    transformations_enabled: bool
    bulk_download_enabled: bool
    bulk_upload_enabled: bool
    cloneable: bool
    extendable: bool
    beta: bool
    extended: bool
    private: bool


class AuthenticationReference(Document):
    """The authentication type of an element or instance."""

    type: str


class ElementDocument(ElementSummaryDocument):
    """An element (contract 6)."""

    authentication: AuthenticationReference
    protocol_type: str
    resources: list[Any]
    parameters: list[Any]


class ElementConfigurationDocument(Document):
    """One configuration key of an element (contract 6)."""

    id: int
    key: str
    name: str
    description: str
    default_value: str | None
    type: str
    required: bool
    active: bool
    internal: bool
    group_control: bool
    hide_from_console: bool
    reseller_config: bool
    company_config: bool
    display_order: int


class ConfigurableElementDocument(ElementDocument):
    """An element with the configuration keys of all its authentication types."""

    configuration: list[ElementConfigurationDocument]


class EventsDocument(Document):
    """Whether and how an element sends events."""

    supported: bool
    methods: list[str]


class ElementMetadataDocument(Document):
    """The capabilities of an element (contract 8.1); `expand=true` adds details."""

    id: int
    key: str
    name: str
    description: str
    events: EventsDocument


class DefaultOAuthUrlDocument(OAuthUrlDocument):
    """An authorization URL of the operator's OAuth app (contract 8.1).

    configuration: its client secret, masked.
    """

    configuration: dict[str, str]


class AuthenticationTypeDocument(Document):
    """An authentication type of an element. oauth: whether a browser is needed."""

    type: str
    oauth: bool


class HubDocument(Document):
    """A group of elements of the same kind (contract 8.4)."""

    id: int
    key: str
    name: str
    description: str


class InstanceConfigurationDocument(Document):
    """One configuration key of an instance with its value.

    Secrets are masked (contract 8.3).
    """

    id: int
    key: str
    name: str
    description: str
    property_value: str | None
    type: str
    required: bool
    active: bool
    hide_from_console: bool


class UserReference(Document):
    """The user that an instance belongs to (contract 5)."""

    id: int
    email_address: str
    first_name: str
    last_name: str


class FullInstanceDocument(InstanceDocument):
    """An instance (contract 5)."""

    name: str
    created_date: str
    element: ElementDocument | ElementSummaryDocument
    element_id: int
    tags: list[str]
    provision_interactions: list[Any]
    valid: bool
    disabled: bool
    max_cache_size: int
    cache_time_to_live: int
    configuration: dict[str, str | None]
    events_enabled: bool
    trace_logging_enabled: bool
    caching_enabled: bool
    external_authentication: Literal["none", "initial"]
    user: UserReference


class ElementCountDocument(Document):
    """Number of the caller's instances of one element."""

    element_id: int
    element_key: str
    instances: int


class InstanceCountDocument(Document):
    """Number of the caller's instances (contract 8.2)."""

    total_instances: int
    element_instances: list[ElementCountDocument]


class SwaggerDocument(Document):
    """Swagger 2.0 document of an instance (contract 8.2)."""

    swagger: Literal["2.0"]
    info: dict[str, str]
    base_path: str
    paths: dict[str, Any]
    definitions: dict[str, Any]


class ExchangedDocument(Document):
    """The request or the response of a recorded exchange, redacted."""

    headers: dict[str, Any]
    body: str


class InteractionDocument(Document):
    """A recorded exchange of an instance.

    status: null if there was no response; error then says why.
    """

    id: int
    started_at: str
    duration_ms: int
    step: str
    direction: Literal["out", "in"]
    actor: str
    method: str
    url: str
    status: int | None
    error: str
    request: ExchangedDocument
    response: ExchangedDocument


class InstanceHealthDocument(Document):
    """The health of an instance.

    cause, responsible, advice and nextStep are null if there is nothing to report.

    status: what pages show: healthy, attention, broken, unverified, paused, waiting or busy.

    nextStep: provision, authorize, check, reauthenticate, enable or delete. interactionId: the recorded exchange
    that shows the cause. nextCheckAt, nextRefreshAt: when these are scheduled; null: not scheduled.
    """

    state: str
    status: str
    valid: bool
    disabled: bool
    cause: str | None
    responsible: str | None
    advice: str | None
    next_step: str | None
    interaction_id: int | None
    last_checked_at: str | None
    last_succeeded_at: str | None
    next_check_at: str | None
    next_refresh_at: str | None
    expires_at: str | None


class AccountDocument(Document):
    """An account, which is an organization (contract 8.4)."""

    id: int
    name: str
    description: str
    external_id: str
    company_id: int
    default_account: bool
    active: bool
    created_date: str
    type: str


class OrganizationDocument(AccountDocument):
    """The caller's organization.

    Its secret is masked unless the caller sent it.
    """

    secret: str


class UserDocument(Document):
    """A user of an organization, without the secret (contract 8.4)."""

    id: int
    first_name: str
    last_name: str
    full_name: str
    email: str
    active: bool
    organization_id: int
    account_id: int
    created_date: str


class SignedInDocument(UserDocument):
    """token: for `Authorization: Bearer` (contract 10)."""

    token: str


class SecretsDocument(Document):
    """The two secrets that platform calls need (contract 10)."""

    user_secret: str
    organization_secret: str


class PongDocument(Document):
    """The result of a successful connection test (contract 8.4)."""

    date_time: str
    endpoint: str
