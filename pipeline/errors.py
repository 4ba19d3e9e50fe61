"""The one error that a user is meant to read."""


class PipelineError(Exception):
    """A problem that the user can mend: one line that says what is wrong, the value received, what to do.

    The command line prints it and ends with exit code 2, without a traceback.
    """


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, or its type's name where it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
