"""All exceptions of the app.

Messages are complete sentences for an operator and contain no secret.

InstancesError
├── CatalogueError                  an element's file is invalid
├── SecretError                     a stored secret cannot be used
│   ├── EncryptionKeyError          a key is malformed, or one that stored data needs is missing
│   └── UnreadableSecretError       a ciphertext cannot be decrypted here
├── InputError                      the request is invalid; nothing was changed
│   ├── UnknownElementError
│   ├── RetiredElementError
│   ├── InvalidConfigurationError
│   │   ├── HostNotAllowedError     a secret would be sent to a host that is not allowed for it
│   │   └── SecretsNeededAgainError a stored secret would be sent to another host than it was entered for
│   ├── MissingConfigurationError   names all missing keys at once
│   ├── MissingCodeError            an OAuth element without an authorization code
│   ├── IdempotencyKeyReusedError   the same Idempotency-Key with another body
│   ├── InvalidCallError            a data call with a path that is not valid, or of an element without an API
│   └── PermissionRefusedError      the user may not do this
├── TooManyAttemptsError            too many failed sign-ins or callbacks without an authorization
│   └── TooManyCallsError           too many data calls of one instance in progress
├── ServerBusyError                 too many data calls in progress
├── StateConflictError              the instance's state does not allow this
│   ├── InstanceUnusableError       disabled, or has to be authorized again
│   ├── NoCheckError                the element has no check
│   ├── InstanceDeletedError        another call deleted it
│   └── StillRunningError           the first request with this Idempotency-Key is in progress
├── TaskNotEnqueuedError            a background task could not be queued
├── ClockSkewError                  this machine's clock differs from the database's
├── AuthorizationError              an authorization failed
│   ├── MissingStateError  UnknownStateError  ExpiredStateError  ReplayedStateError
│   ├── WrongBrowserError  IssuerMismatchError
│   ├── UnknownLinkError  LinkOverError ── LinkDoneError
│   ├── OtherAccountError           another account was authorized than before
│   ├── ChoiceNeededError           somebody must choose what to connect
│   └── AuthorizationDeniedError  AuthorizationUnavailableError  ProviderReportedError
└── PlatformError                   an exchange with a platform or a provider failed
    ├── UnreachableError            no connection, so nothing was sent
    │   ├── BlockedAddressError     the address is private and not allowed
    │   └── LeaseLostError          the lease ended before the request
    ├── AnswerLostError             sent, but no complete response came: it may have been carried out
    │   └── AnswerTimeoutError
    ├── OutcomeUnknownError         a create at a remote platform may have succeeded
    ├── RefusedError                understood and rejected (4xx)
    │   ├── CredentialsRefusedError the account's credentials are wrong
    │   │   ├── SecondFactorNeededError  AccountUnusableError
    │   │   └── ConsentMissingError      they may be right, but are not enough
    │   ├── SettingsRefusedError    the address, the tenant or another setting is wrong
    │   ├── GrantRejectedError      the code, grant or refresh token is invalid (RFC 6749 invalid_grant)
    │   │   └── RefreshLostError    its successor was in a lost response
    │   ├── ClientRefusedError      the OAuth client or the organization's secrets are wrong
    │   ├── AccessForbiddenError    403
    │   ├── SignInPageError         a web page instead of data
    │   ├── DisabledOnPlatformError the platform has disabled the instance
    │   └── GoneError               404: the platform has no such instance
    ├── RateLimitedError            429, or a 403 that says so
    ├── ProviderFaultError          5xx, or temporarily unavailable
    ├── IdentityConflictError       the response names another instance's id or token
    └── UnusableAnswerError         the response cannot be understood, for example HTML
"""

from instances.errors.authorizations import (
    AuthorizationDeniedError,
    AuthorizationError,
    AuthorizationUnavailableError,
    ChoiceNeededError,
    ExpiredStateError,
    IssuerMismatchError,
    LinkDoneError,
    LinkOverError,
    MissingStateError,
    OtherAccountError,
    ProviderReportedError,
    ReplayedStateError,
    UnknownLinkError,
    UnknownStateError,
    WrongBrowserError,
)
from instances.errors.base import (
    InstancesError,
)
from instances.errors.conflicts import (
    InstanceDeletedError,
    NoCheckError,
    StateConflictError,
    StillRunningError,
    TooManyAttemptsError,
)
from instances.errors.data_calls import (
    InstanceUnusableError,
    InvalidCallError,
    ServerBusyError,
    TooManyCallsError,
)
from instances.errors.hub_calls import HubCallRefusedError, InvalidConditionError
from instances.errors.installation import (
    CatalogueError,
    ClockSkewError,
    EncryptionKeyError,
    SecretError,
    TaskNotEnqueuedError,
    UnreadableSecretError,
)
from instances.errors.invalid_input import (
    HostNotAllowedError,
    IdempotencyKeyReusedError,
    InputError,
    InvalidConfigurationError,
    MissingCodeError,
    MissingConfigurationError,
    PermissionRefusedError,
    RetiredElementError,
    SecretsNeededAgainError,
    UnknownElementError,
)
from instances.errors.platforms import (
    AccessForbiddenError,
    AccountUnusableError,
    AnswerLostError,
    AnswerTimeoutError,
    BlockedAddressError,
    ClientRefusedError,
    ConsentMissingError,
    CredentialsRefusedError,
    DisabledOnPlatformError,
    GoneError,
    GrantRejectedError,
    IdentityConflictError,
    LeaseLostError,
    OutcomeUnknownError,
    PlatformError,
    ProviderFaultError,
    RateLimitedError,
    Recorded,
    RefreshLostError,
    RefusedError,
    SecondFactorNeededError,
    SettingsRefusedError,
    SignInPageError,
    UnreachableError,
    UnusableAnswerError,
)

__all__ = [
    "AccessForbiddenError",
    "AccountUnusableError",
    "AnswerLostError",
    "AnswerTimeoutError",
    "AuthorizationDeniedError",
    "AuthorizationError",
    "AuthorizationUnavailableError",
    "BlockedAddressError",
    "CatalogueError",
    "ChoiceNeededError",
    "ClientRefusedError",
    "ClockSkewError",
    "ConsentMissingError",
    "CredentialsRefusedError",
    "DisabledOnPlatformError",
    "EncryptionKeyError",
    "ExpiredStateError",
    "GoneError",
    "GrantRejectedError",
    "HostNotAllowedError",
    "HubCallRefusedError",
    "IdempotencyKeyReusedError",
    "IdentityConflictError",
    "InputError",
    "InstanceDeletedError",
    "InstanceUnusableError",
    "InstancesError",
    "InvalidCallError",
    "InvalidConditionError",
    "InvalidConfigurationError",
    "IssuerMismatchError",
    "LeaseLostError",
    "LinkDoneError",
    "LinkOverError",
    "MissingCodeError",
    "MissingConfigurationError",
    "MissingStateError",
    "NoCheckError",
    "OtherAccountError",
    "OutcomeUnknownError",
    "PermissionRefusedError",
    "PlatformError",
    "ProviderFaultError",
    "ProviderReportedError",
    "RateLimitedError",
    "Recorded",
    "RefreshLostError",
    "RefusedError",
    "ReplayedStateError",
    "RetiredElementError",
    "SecondFactorNeededError",
    "SecretError",
    "SecretsNeededAgainError",
    "ServerBusyError",
    "SettingsRefusedError",
    "SignInPageError",
    "StateConflictError",
    "StillRunningError",
    "TaskNotEnqueuedError",
    "TooManyAttemptsError",
    "TooManyCallsError",
    "UnknownElementError",
    "UnknownLinkError",
    "UnknownStateError",
    "UnreachableError",
    "UnreadableSecretError",
    "UnusableAnswerError",
    "WrongBrowserError",
]
