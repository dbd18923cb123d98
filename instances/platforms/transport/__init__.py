"""The only way to the network.

connections.py guards and limits, recording.py records, answers.py reads responses, charsets.py decodes them,
tls.py explains failed handshakes.
"""

from instances.platforms.transport.answers import (
    FIRST_INSTANT,
    FIRST_MILLISECONDS,
    Answer,
    codes_of,
    error_of,
    is_page,
    json_of,
    message_of,
    raise_for_fault,
    sign_in_page,
    text_of,
    unusable,
)
from instances.platforms.transport.charsets import media_type
from instances.platforms.transport.recording import (
    Subject,
    deferred_interactions,
    interaction_of,
    mount,
    session_for,
    subject_of,
)

__all__ = [
    "FIRST_INSTANT",
    "FIRST_MILLISECONDS",
    "Answer",
    "Subject",
    "codes_of",
    "deferred_interactions",
    "error_of",
    "interaction_of",
    "is_page",
    "json_of",
    "media_type",
    "message_of",
    "mount",
    "raise_for_fault",
    "session_for",
    "sign_in_page",
    "subject_of",
    "text_of",
    "unusable",
]
