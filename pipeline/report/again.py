"""What it takes to make the same report again."""

import os
import platform
import shlex
from importlib.metadata import version

from pipeline.files import git_commit
from pipeline.report.results import Results

_PACKAGES = ("numpy", "scikit-learn", "sentence-transformers", "torch")


def facts(results: Results) -> dict[str, str]:
    """Return command, commit, data, versions and machine."""
    options = results.make_options
    return {
        "Command": _make_command(options) if options else "unknown, since the stages were not run by make",
        "Commit": git_commit(),
        "Data, sha256": results.manifest("score").get("inputs", {}).get(str(results.paths.reviews), "unknown"),
        "Python": platform.python_version(),
        "Packages": ", ".join(f"{name} {version(name)}" for name in _PACKAGES),
        "Machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    }


def _make_command(options: str) -> str:
    """Return the make command that repeats a run, for a shell.

    Parameters
    ----------
    options : str
        What make keeps in ``data/prepared/<dataset>/.options``.

    Examples
    --------
    >>> _make_command("--data 'file' --name 'my reviews' --file 'a b.csv'")
    "make all DATA=file NAME='my reviews' FILE='a b.csv'"
    >>> _make_command("--data 'sample' --name 'sample'")
    'make all'
    """
    words = shlex.split(options)
    given = dict(zip(words[::2], words[1::2], strict=False))
    if given == {"--data": "sample", "--name": "sample"}:
        return "make all"
    # make itself would read a dollar sign as the start of a variable.
    values = (
        f"{key.removeprefix('--').upper()}={shlex.quote(value.replace('$', '$$'))}" for key, value in given.items()
    )
    return " ".join(["make all", *values])
