from django.db import migrations

# What was stored until now, the name of a Python class, and the code that is stored from now on.
CODES = {
    "InstancesError": "unexpected",
    "CatalogueError": "catalogue_wrong",
    "SecretError": "encryption_keys_wrong",
    "EncryptionKeyError": "encryption_keys_wrong",
    "UnreadableSecretError": "secrets_unreadable",
    "InputError": "configuration_wrong",
    "UnknownElementError": "element_unknown",
    "InvalidConfigurationError": "configuration_wrong",
    "HostNotAllowedError": "host_not_allowed",
    "SecretsNeededAgainError": "configuration_wrong",
    "MissingConfigurationError": "configuration_wrong",
    "MissingCodeError": "code_missing",
    "PermissionRefusedError": "not_permitted",
    "IdempotencyKeyReusedError": "key_reused",
    "TooManyAttemptsError": "too_many_attempts",
    "StateConflictError": "conflict",
    "InstanceDeletedError": "instance_deleted",
    "StillRunningError": "conflict",
    "TaskNotEnqueuedError": "workers_unreachable",
    "ClockSkewError": "clock_wrong",
    "AuthorizationError": "authorization_failed",
    "MissingStateError": "authorization_failed",
    "UnknownStateError": "authorization_failed",
    "ExpiredStateError": "state_expired",
    "ReplayedStateError": "state_replayed",
    "WrongBrowserError": "wrong_browser",
    "UnknownLinkError": "link_unknown",
    "LinkOverError": "link_over",
    "LinkDoneError": "link_done",
    "IssuerMismatchError": "issuer_mismatch",
    "AuthorizationDeniedError": "authorization_denied",
    "ProviderReportedError": "authorization_error",
    "PlatformError": "unexpected",
    "UnreachableError": "unreachable",
    "BlockedAddressError": "address_blocked",
    "LeaseLostError": "lease_lost",
    "AnswerLostError": "answer_lost",
    "AnswerTimeoutError": "answer_timeout",
    "OutcomeUnknownError": "outcome_unknown",
    "IdentityConflictError": "identity_conflict",
    "RefusedError": "refused",
    "CredentialsRefusedError": "credentials_rejected",
    "GrantRejectedError": "grant_rejected",
    "ClientRefusedError": "client_rejected",
    "AccessForbiddenError": "access_forbidden",
    "GoneError": "gone",
    "RateLimitedError": "rate_limited",
    "ProviderFaultError": "provider_down",
    "UnusableAnswerError": "unusable_answer",
}


def store_codes(apps, schema_editor):
    instances = apps.get_model("instances", "Instance").objects
    for name, code in CODES.items():
        instances.filter(cause=name).update(cause=code)


class Migration(migrations.Migration):
    dependencies = [("instances", "0024_rename_columns_in_plain_english")]

    operations = [migrations.RunPython(store_codes, migrations.RunPython.noop)]
