"""When somebody leaves, their account is deactivated: what they did stays known, so it is never deleted with them."""

from collections.abc import Iterable

from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db.models import ProtectedError, QuerySet
from django.utils.translation import gettext as _


def log_entries_of(accounts: Iterable[User]) -> QuerySet[LogEntry]:
    """What these accounts did in the admin. Django itself would delete it along with them."""
    return LogEntry.objects.filter(user__in=list(accounts))


def keep_log_entries(account: User) -> None:
    """For pre_delete. Raises ProtectedError, as for authorizations and links (on_delete=PROTECT)."""
    entries = log_entries_of([account])
    if entries.exists():
        raise ProtectedError(
            _(
                "%(name)s has entries in the admin's log, which would be deleted too. Deactivate the account instead."
            )
            % {"name": account.get_username()},
            set(entries[:1]),
        )
