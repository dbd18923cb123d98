"""Keep an uploaded file until it has been read: sealed in parts, since it is full of secrets."""

import io
from collections.abc import Iterator
from itertools import batched
from typing import BinaryIO, cast

from instances.models import BulkFilePart, BulkJob

PART_BYTES = 256 * 1024
_INSERT_PARTS = 16
# Gives each byte a character of its own.
_BYTES_AS_TEXT = "latin-1"


def store_file(job: BulkJob, file: BinaryIO) -> None:
    """Store a file for a job, a few parts in memory at a time."""
    contents = iter(lambda: file.read(PART_BYTES), b"")
    parts = (_part(job, number, content) for number, content in enumerate(contents))
    for batch in batched(parts, _INSERT_PARTS):
        BulkFilePart.objects.bulk_create(batch)


def open_stored_file(job: BulkJob) -> BinaryIO:
    """Return the file of a job for reading, one part in memory at a time."""
    return cast(BinaryIO, io.BufferedReader(_StoredFile(job), PART_BYTES))


def _part(job: BulkJob, number: int, content: bytes) -> BulkFilePart:
    part = BulkFilePart(job=job, number=number)
    part.content = content.decode(_BYTES_AS_TEXT)
    return part


class _StoredFile(io.RawIOBase):
    def __init__(self, job: BulkJob) -> None:
        self._parts = self._contents(job)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview[int]") -> int:  # type: ignore[override]
        self._rest = self._rest or next(self._parts, b"")
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count

    def _contents(self, job: BulkJob) -> Iterator[bytes]:
        """Yield the parts.

        Raises UnreadableSecretError, and BulkFilePart.DoesNotExist if the job was cancelled meanwhile.
        """
        # By count: a part that is missing must not pass for the end of the file.
        for number in range(job.file_parts.count()):
            yield job.file_parts.get(number=number).reveal("content").encode(_BYTES_AS_TEXT)
