"""The one error that a user is meant to read, and errors as one line."""

from collections.abc import Iterator
from contextlib import contextmanager


class PipelineError(Exception):
    """A problem that the user can mend: one line that says what is wrong, the value received, what to do.

    The command line prints it and ends with exit code 2, without a traceback.
    """


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, or its type's name where it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


@contextmanager
def needs_extra(what: str, extra: str) -> Iterator[None]:
    """Name the extra that brings a package which an import in the block does not find.

    Parameters
    ----------
    what : str
        What the user has called.
    extra : str
        Name of the extra in pyproject.toml.

    Raises
    ------
    ImportError
        In one line, with the command that installs the extra.

    Examples
    --------
    >>> with needs_extra("AttentionPooling", "encoder"):
    ...     import a_package_that_is_not_installed
    Traceback (most recent call last):
    ImportError: AttentionPooling needs a_package_that_is_not_installed: pip install "t-method-vs-attention[encoder]"
    """
    try:
        yield
    except ModuleNotFoundError as error:
        message = f'{what} needs {error.name}: pip install "t-method-vs-attention[{extra}]"'
        raise ImportError(message, name=error.name) from None
