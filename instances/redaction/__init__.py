"""What is secret, and what recorded exchanges, log lines and errors may show of it.

Secrets are found by name (`names`) and by value (`values`): the caller passes the secrets that it sent, which are
found in any case, escaped or encoded (`encoded`). Both are applied, so a provider that echoes a password under
another name does not leak it.
"""

from instances.redaction.logs import log_formatter
from instances.redaction.names import is_secret_key, is_secret_name
from instances.redaction.records import (
    MAX_BODY_CHARACTERS,
    RecordedMessage,
    redact_body,
    redact_exchange,
    redact_headers,
    redact_json,
    redact_text,
    redact_url,
)
from instances.redaction.values import REDACTED, redact_values, storable

__all__ = [
    "MAX_BODY_CHARACTERS",
    "REDACTED",
    "RecordedMessage",
    "is_secret_key",
    "is_secret_name",
    "log_formatter",
    "redact_body",
    "redact_exchange",
    "redact_headers",
    "redact_json",
    "redact_text",
    "redact_url",
    "redact_values",
    "storable",
]
