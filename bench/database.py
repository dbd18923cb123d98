"""A temporary database for a benchmark: on the PostgreSQL server of DATABASE_URL, or a SQLite file."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

import psycopg

SERVER_URL = os.environ.get("DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postgres")


@contextmanager
def database() -> Iterator[str]:
    """Create a PostgreSQL database, yield its URL, and drop it at the end."""
    name = f"instances_bench_{os.getpid()}"
    with psycopg.connect(SERVER_URL, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            yield f"{SERVER_URL.rpartition('/')[0]}/{name}"
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def sqlite_database() -> Iterator[str]:
    """Yield the URL of a SQLite file, which is removed at the end."""
    with TemporaryDirectory() as folder:
        yield f"sqlite:///{folder}/bench.sqlite3"
