"""A short database outage as its clients see it: connections are closed, or everything is locked."""

import sqlite3
import threading
from contextlib import closing

from django.db import connection


def break_database(seconds: float = 0.4) -> None:
    """On PostgreSQL, close all connections to the test's database, as a restart does. On SQLite, lock it for a while."""
    if connection.vendor == "sqlite":
        is_locked = threading.Event()
        threading.Thread(target=_lock, args=(seconds, is_locked)).start()
        assert is_locked.wait(5)
    else:
        _end_connections()


def _lock(seconds: float, is_locked: threading.Event) -> None:
    with closing(
        sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None, timeout=5)
    ) as own:
        own.execute("BEGIN EXCLUSIVE")
        is_locked.set()
        threading.Event().wait(seconds)
        own.execute("ROLLBACK")


def _end_connections() -> None:
    import psycopg

    its = connection.settings_dict
    address = {"host": its["HOST"], "port": its["PORT"] or 5432, "user": its["USER"]}
    with psycopg.connect(
        **address, password=its["PASSWORD"], dbname="postgres", autocommit=True
    ) as server:
        server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
            [its["NAME"]],
        )
