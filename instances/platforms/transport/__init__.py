"""The only way to the network.

connections.py guards and limits, recording.py records, answers.py reads responses.
"""

from instances.platforms.transport.answers import (
    Answer,
    document_of,
    error_of,
    json_of,
    message_of,
    raise_for_fault,
    unusable,
)
from instances.platforms.transport.recording import (
    Subject,
    deferred_interactions,
    interaction_of,
    mount,
    session_for,
    subject_of,
)

__all__ = [
    "Answer",
    "Subject",
    "deferred_interactions",
    "document_of",
    "error_of",
    "interaction_of",
    "json_of",
    "message_of",
    "mount",
    "raise_for_fault",
    "session_for",
    "subject_of",
    "unusable",
]
