"""What a PostgreSQL server must promise, or calls could be lost or placed twice."""

import psycopg
from psycopg.rows import DictRow


def check_safety(connection: psycopg.Connection[DictRow]) -> None:
    """Raise `OSError` if the server may lose what it has confirmed, or keep the locks of dead
    workers.
    """
    names = ("fsync", "synchronous_commit", "statement_timeout")
    asked = ", ".join(f"current_setting('{name}') AS {name}" for name in names)
    [settings] = connection.execute(f"SELECT {asked}".encode()).fetchall()
    for name in ("fsync", "synchronous_commit"):
        if settings[name] == "off":
            raise OSError(f"it runs with {name} = off, so a crash could lose calls; switch it on")
    if settings["statement_timeout"] == "0":
        raise OSError(
            "the settings of the session have no effect, as behind PgBouncer with pool_mode = "
            "transaction, where a "
            "worker's lock outlives it; KALLYAI_DATABASE_URL must name the PostgreSQL server itself"
        )
