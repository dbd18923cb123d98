"""The only way to the network.

connections.py guards and limits, recording.py sends and records, answers.py reads responses, charsets.py decodes
them, failures.py explains why there is none, tls.py why a handshake failed. streaming.py passes bodies on as they come, and batching.py writes its records.
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
    retry_after_of,
    sign_in_page,
    text_of,
    unusable,
)
from instances.platforms.transport.charsets import media_type
from instances.platforms.transport.recording import (
    deferred_interactions,
    exchange,
    interaction_of,
    mount,
    target_within_origin,
)
from instances.platforms.transport.streaming import StreamBody, StreamedAnswer, open_stream
from instances.platforms.transport.subjects import Subject, subject_of

__all__ = [
    "FIRST_INSTANT",
    "FIRST_MILLISECONDS",
    "Answer",
    "StreamBody",
    "StreamedAnswer",
    "Subject",
    "codes_of",
    "deferred_interactions",
    "error_of",
    "exchange",
    "interaction_of",
    "is_page",
    "json_of",
    "media_type",
    "message_of",
    "mount",
    "open_stream",
    "raise_for_fault",
    "retry_after_of",
    "sign_in_page",
    "subject_of",
    "target_within_origin",
    "text_of",
    "unusable",
]
