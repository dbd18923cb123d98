"""Read the file of a bulk job: a command reads it itself, an upload is stored and read by a task.

No row can be provisioned before the whole file has been read. If the process that reads an upload is killed, another
one deletes its rows and starts again.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from io import SEEK_END
from itertools import batched, islice
from typing import Any, BinaryIO
from uuid import uuid4

import structlog
from django.db import transaction
from django.db.models import F, Q

from instances.bulk.files.columns import ColumnMatcher
from instances.bulk.files.formats import MAX_ERRORS_SHOWN, file_error, read_rows
from instances.bulk.files.lines import FileRow, chunks_of
from instances.bulk.files.workbooks import SIGNATURE, check_workbook
from instances.bulk.jobs import ADOPT_AFTER, move_job
from instances.bulk.stored_files import open_stored_file, store_file
from instances.causes import Cause
from instances.errors import InputError, InstancesError, StateConflictError, UnreadableSecretError
from instances.models import BulkFilePart, BulkJob, BulkRow, OrganizationUser
from instances.models.bulk_jobs import DEFAULT_CONCURRENCY
from instances.provisioning.create import clean_name
from instances.queries.database_clock import database_now

# If no rows are read for this long, the reading process has stopped, or waits for its input.
READING_STALLED_AFTER = timedelta(minutes=2)
# A file that crashed its worker this often is not read again.
MAX_READINGS = 3
# What is read of an upload before it is accepted.
HEAD_ROWS = 200
HEAD_WORKBOOK_BYTES = 1024 * 1024
_INSERT_ROWS = 500

State = BulkJob.State
Outcome = BulkRow.Outcome

log = structlog.stdlib.get_logger(__name__)


def read_bulk_job(
    organization_user: OrganizationUser,
    rows: Iterable[FileRow],
    *,
    actor: str,
    name: str = "",
    concurrency: int = DEFAULT_CONCURRENCY,
    is_skipping_existing: bool = False,
    is_allowing_duplicates: bool = False,
    on_note: Callable[[str], object] = lambda note: None,
) -> BulkJob:
    """Store the rows of a file as a draft job, each sealed as it is read.

    Nothing is sent.

    on_note: is called with what the user should know, such as keys that an element does not know.

    Raises InputError, which lists malformed rows, if there are any or the file cannot be read any further, and
    StateConflictError if the job is cancelled meanwhile. Nothing is stored then.
    """
    job = BulkJob.objects.create(
        organization_user=organization_user,
        actor=actor,
        name=name[:200],
        concurrency=concurrency,
        is_skipping_existing=is_skipping_existing,
        is_allowing_duplicates=is_allowing_duplicates,
        reading_at=database_now(),
        reader=uuid4(),
    )
    reading = _Reading(job)
    try:
        reading.store(rows)
        if reading.wrong:
            raise file_error(reading.errors, reading.wrong)
    except BaseException:
        # A cancelled job stays, so that whoever cancelled it can see it.
        BulkJob.objects.filter(pk=job.pk, state=State.READING).delete()
        raise
    for note in reading.matcher.notes():
        on_note(note)
    return move_job(job, State.DRAFT, expect={State.READING})


def check_head(file: BinaryIO, *, default_element: str, encoding: str) -> None:
    """Read the first rows of a file. Of a long workbook, only that it is one: no row is read without all others.

    Raises InputError if the file cannot be read, as far as they show, and if all of them are malformed.
    """
    is_workbook, size = file.read(len(SIGNATURE)) == SIGNATURE, file.seek(0, SEEK_END)
    file.seek(0)
    if is_workbook and size > HEAD_WORKBOOK_BYTES:
        check_workbook(chunks_of(file))
        return
    rows = read_rows(file, default_element=default_element, encoding=encoding)
    head = list(islice(rows, HEAD_ROWS))
    errors = [row.error for row in head if row.error]
    if len(errors) == len(head):
        raise file_error(errors[:MAX_ERRORS_SHOWN], len(errors))


def store_upload(file: BinaryIO, **columns: Any) -> BulkJob:
    """Store a file as a job that a task will read. columns: of the job."""
    with transaction.atomic():
        job = BulkJob.objects.create(**columns)
        store_file(job, file)
    return job


def read_stored_file(job: BulkJob) -> int:
    """Read an uploaded file into a draft job; returns the number of its rows.

    Malformed rows are stored as failed ones. A file that cannot be read ends the job with a sentence and no rows. Does
    nothing if the job was cancelled, or another process reads the file.

    Raises UnreadableSecretError if the stored file cannot be decrypted. It is kept, and read again later.
    """
    if not _claim(job):
        return 0
    try:
        return _read(job)
    except UnreadableSecretError:
        # Its key may come back, so this is none of MAX_READINGS.
        _read_by(job).update(readings_begun=F("readings_begun") - 1)
        raise
    except (StateConflictError, BulkFilePart.DoesNotExist) as error:
        if _read_by(job).exists():
            raise
        log.info("bulk file is not read on", job=job.pk, why=str(error))
        return 0


def _read(job: BulkJob) -> int:
    """Raises what read_stored_file() handles."""
    reading, notes = _Reading(job), list[str]()
    rows = read_rows(
        open_stored_file(job),
        default_element=job.default_element,
        encoding=job.encoding,
        on_note=notes.append,
    )
    try:
        job.rows.all().delete()
        reading.store(rows)
        if reading.wrong == reading.count:
            raise file_error(reading.errors, reading.wrong)
        notes += reading.matcher.notes()
        _end(job, State.DRAFT, notes="\n".join(notes))
    except (StateConflictError, UnreadableSecretError):
        raise
    except InstancesError as error:
        _end(job, State.UNREADABLE, error=str(error), finished_at=database_now())
        return 0
    return reading.count


def is_reading_stalled(job: BulkJob) -> bool:
    """Whether reading its file has stopped.

    If so, the command was killed or waits for its input, or no worker reads the upload.
    """
    last = job.reading_at or job.created_at
    return job.state == State.READING and last < database_now() - READING_STALLED_AFTER


class _Reading:
    """Stores the rows of a file, and remembers what is wrong with them."""

    def __init__(self, job: BulkJob) -> None:
        self.matcher = ColumnMatcher()
        self.count = 0
        # The number of malformed rows, and the first MAX_ERRORS_SHOWN of their errors.
        self.wrong = 0
        self.errors: list[str] = []
        self._job = job
        # Hashes, so that memory hardly grows with the number of rows.
        self._first_with: dict[int, int] = {}

    def store(self, rows: Iterable[FileRow]) -> None:
        """Raises InputError if the file cannot be read any further, and StateConflictError."""
        for batch in batched(map(self.matcher.match, rows), _INSERT_ROWS):
            self._insert(batch)
            wrong = [row.error for row in batch if row.error]
            self.count += len(batch)
            self.wrong += len(wrong)
            self.errors += wrong[: MAX_ERRORS_SHOWN - len(self.errors)]

    def _insert(self, rows: Sequence[FileRow]) -> None:
        """Insert rows under the job's row lock.

        So a cancellation, or a process that takes over, sees either these rows or no more inserts.
        """
        now = database_now()
        sealed = [self._row_of(row, due_at=now) for row in rows]
        with transaction.atomic():
            if _read_by(self._job).update(reading_at=database_now()) != 1:
                raise _not_read_on(self._job)
            BulkRow.objects.bulk_create(sealed)

    def _row_of(self, read: FileRow, *, due_at: datetime) -> BulkRow:
        element = read.body.get("element") or {}
        row = BulkRow(
            job=self._job,
            number=read.number,
            # PostgreSQL stores no NUL.
            name=str(read.body.get("name") or "").replace("\x00", "")[:200],
            element_key=str(element.get("key") or element.get("id") or "").replace("\x00", "")[
                :100
            ],
            duplicate_of=None if read.error else self._duplicate_of(read),
            outcome=Outcome.FAILED if read.error else Outcome.PENDING,
            error=read.error,
            cause=Cause.CONFIGURATION_WRONG if read.error else "",
            due_at=None if read.error else due_at,
        )
        row.body = read.body
        return row

    def _duplicate_of(self, read: FileRow) -> int | None:
        """Return the number of an earlier row that asks for an instance of the same name and element."""
        definition = self.matcher.definition_for(read)
        if definition is None:
            return None
        try:
            name = clean_name(str(read.body.get("name") or "")) or definition.name
        except InputError:
            return None
        first = self._first_with.setdefault(hash((definition.key, name)), read.number)
        return None if first == read.number else first


def _claim(job: BulkJob) -> bool:
    """Take over reading, if no other process is at it; ends a job whose file crashed its workers too often."""
    now = database_now()
    is_free = Q(reading_at=None) | Q(reading_at__lt=now - ADOPT_AFTER)
    free = BulkJob.objects.filter(is_free, pk=job.pk, state=State.READING)
    reader = uuid4()
    claim = {"reader": reader, "reading_at": now, "readings_begun": F("readings_begun") + 1}
    if free.update(**claim) != 1:
        return False
    job.refresh_from_db()
    if job.readings_begun > MAX_READINGS:
        why = f"The worker crashed {MAX_READINGS} times while it read the file. See the workers' log, and split the file."
        _end(job, State.UNREADABLE, error=why, finished_at=now)
        return False
    return True


def _read_by(job: BulkJob) -> Any:
    """Select the job while it is being read by the process that has claimed it."""
    return BulkJob.objects.filter(pk=job.pk, state=State.READING, reader=job.reader)


def _end(job: BulkJob, state: str, **columns: Any) -> None:
    """End reading: the file is deleted, and its rows too if it is unreadable.

    Raises StateConflictError if the job was cancelled, or another process has taken over.
    """
    with transaction.atomic():
        if _read_by(job).update(state=state, **columns) != 1:
            raise _not_read_on(job)
        job.file_parts.all().delete()
        if state == State.UNREADABLE:
            job.rows.all().delete()
    job.refresh_from_db()


def _not_read_on(job: BulkJob) -> StateConflictError:
    return StateConflictError(
        f"Bulk job {job.pk} was cancelled while its file was being read. No row was started."
    )
