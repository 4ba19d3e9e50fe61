"""The settings and the sample that come with the package."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

_INSTALLED = Path(__file__).parent / "defaults"
# A checkout has them in its root, where a user edits them.
_DEFAULTS = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).parents[1]
SAMPLE_KNOW_HOW = _DEFAULTS / "data/sample/know_how.safetensors"


def shipped(path: Path) -> Path:
    """Return a file or directory of the working directory, or the default that stands in for it.

    Parameters
    ----------
    path : Path
        Relative to the working directory, such as ``conf/score.yaml``.

    Returns
    -------
    Path
        `path` as it is where neither is there: who reads it names what is missing.

    Examples
    --------
    >>> shipped(Path("conf/score.yaml")).is_file()
    True
    """
    default = _DEFAULTS / path
    return default if default.exists() and not path.exists() else path


def shipped_files(pattern: str) -> list[Path]:
    """Return the files that match a pattern, those of the working directory in place of defaults with their names.

    Examples
    --------
    >>> [path.stem for path in shipped_files("conf/features/text*.yaml")]
    ['text_stats']
    """
    names = {path.relative_to(root) for root in (Path(), _DEFAULTS) for path in root.glob(pattern)}
    return [shipped(path) for path in sorted(names)]


def load_sample() -> "pd.DataFrame":
    """Return the embedded reviews, whatever the working directory holds.

    Returns
    -------
    DataFrame of shape (600, 4)
        review_id, stars (1 to 5, 120 of each), category and text; written for this project, free to use.

    Examples
    --------
    >>> reviews = load_sample()
    >>> reviews["stars"].value_counts().sort_index().to_dict()
    {1: 120, 2: 120, 3: 120, 4: 120, 5: 120}
    """
    import pandas as pd

    return pd.read_json(_DEFAULTS / "data/sample/reviews.jsonl", lines=True)
