"""A PostgreSQL database of a bench's own; DATABASE_URL says on which server."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

SERVER_URL = os.environ.get("DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postgres")


@contextmanager
def database() -> Iterator[str]:
    """Make a database, give its URL, and drop it in the end."""
    name = f"instances_bench_{os.getpid()}"
    with psycopg.connect(SERVER_URL, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            yield f"{SERVER_URL.rpartition('/')[0]}/{name}"
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
