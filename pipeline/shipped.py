"""The settings and the samples that come with the package."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    import pandas as pd

_INSTALLED = Path(__file__).parent / "defaults"
# A checkout has them in its root, where a user edits them.
_DEFAULTS = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).parents[1]

SampleName = Literal["sample", "sample-ja", "sample-zh"]
SAMPLES: dict[str, Path] = {name: Path("data", name, "reviews.jsonl") for name in get_args(SampleName)}
_LANGUAGES: dict[str, SampleName] = {"en": "sample", "ja": "sample-ja", "zh": "sample-zh"}
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


def sample_in(language: str | None) -> SampleName:
    """Return the name of the sample in a language: the English one where a language has none.

    Examples
    --------
    >>> sample_in("ja"), sample_in(None)
    ('sample-ja', 'sample')
    """
    return _LANGUAGES.get(language or "en", "sample")


def load_sample(language: str = "en") -> "pd.DataFrame":
    """Return the embedded reviews, whatever the working directory holds.

    Parameters
    ----------
    language : {"en", "ja", "zh"}, default="en"
        English, Japanese or Chinese.

    Returns
    -------
    DataFrame of shape (600, 4), or (120, 4) for Japanese and for Chinese
        review_id, stars (1 to 5, equally many of each), category and text; written for this project, free to use.

    Raises
    ------
    ValueError
        If there is no sample in the language.

    Examples
    --------
    >>> reviews = load_sample()
    >>> reviews["stars"].value_counts().sort_index().to_dict()
    {1: 120, 2: 120, 3: 120, 4: 120, 5: 120}
    """
    import pandas as pd

    if language not in _LANGUAGES:
        raise ValueError(f"language must be one of {', '.join(_LANGUAGES)}, got {language!r}.")
    return pd.read_json(_DEFAULTS / SAMPLES[_LANGUAGES[language]], lines=True)
