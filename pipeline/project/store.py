"""Where MLflow's own file in the project is, as an address that SQLAlchemy reads back to the same file."""

from pathlib import Path


def sqlite_uri(path: Path) -> str:
    """Return the address of an SQLite file, whatever signs the names of its directories hold.

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
