"""Where the runs go: MLflow's own file in the project, or the server that the environment names."""

import os
import re
from pathlib import Path

from pipeline.project.paths import MLFLOW_DB


def sqlite_uri(path: Path) -> str:
    """Return the address of an SQLite file, whatever signs the names of its directories hold.

    It is one that SQLAlchemy reads back to the same file.

    Examples
    --------
    >>> sqlite_uri(Path("/50% off?/mlflow.db"))
    'sqlite+pysqlite:////50%25 off%3F/mlflow.db'
    """
    from sqlalchemy import URL

    database = str(path.resolve())
    address = URL.create("sqlite", database=database)
    if str(address) != f"sqlite:///{database}":
        # With a driver in the address, MLflow makes no directory of the quoted name.
        address = address.set(drivername="sqlite+pysqlite")
    return str(address)


def tracking_uri() -> str:
    """Return `MLFLOW_TRACKING_URI`, or the SQLite file of the project's root."""
    return os.environ.get("MLFLOW_TRACKING_URI") or sqlite_uri(MLFLOW_DB)


def sqlite_file(uri: str) -> Path | None:
    """Return the file of an SQLite address, None of any other address.

    Examples
    --------
    >>> sqlite_file("sqlite+pysqlite:////50%25 off%3F/mlflow.db").as_posix()
    '/50% off?/mlflow.db'
    >>> sqlite_file("postgresql://server/runs")
    """
    from sqlalchemy import make_url

    database = make_url(uri).database if uri.startswith("sqlite") else None
    return Path(database) if database else None


def is_server(uri: str) -> bool:
    """Whether an address is one that a browser opens, too."""
    return uri.startswith(("http://", "https://"))


def shown(text: str) -> str:
    """Return a text without the user and password that an address in it may hold.

    Examples
    --------
    >>> shown("http://ann:secret@server:5000 does not answer")
    'http://server:5000 does not answer'
    >>> shown("http://ann:p@ss@server:5000")
    'http://server:5000'
    """
    return re.sub(r"//[^/\s]*@", "//", text)
