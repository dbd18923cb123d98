"""Users of the admin."""

from tests.support.admin import operator, sign_in, user

__all__ = ["operator", "sign_in", "user"]
