"""Keep the records of users who leave: deactivate users, never delete them."""

from collections.abc import Iterable

from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db.models import ProtectedError, QuerySet


def log_entries_of(accounts: Iterable[User]) -> QuerySet[LogEntry]:
    """Return what these users did in the admin, which Django would delete with them."""
    return LogEntry.objects.filter(user__in=list(accounts))


def keep_log_entries(user: User) -> None:
    """Prevent deleting a user who has entries in the admin's log (pre_delete).

    Raises ProtectedError, as on_delete=PROTECT does for authorizations and links.
    """
    entries = log_entries_of([user])
    if entries.exists():
        raise ProtectedError(
            f"{user.get_username()} has entries in the admin's log, which would be deleted too. "
            "Deactivate the user instead.",
            set(entries[:1]),
        )
