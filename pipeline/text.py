"""Words and sentences by rules that need no model, for scripts with spaces and for Japanese and Chinese."""

import re

import numpy as np
import numpy.typing as npt

# Scripts written without spaces: every character counts as one word.
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_CJK}]|[^\W{_CJK}]+(?:['’][^\W{_CJK}]+)*")
_SENTENCE_END = re.compile(
    r"(?:(?<=[.!?…])|(?<=[.!?…][\"'”’)\]]))\s+|(?<=[。！？])(?![」』）])|(?<=[。！？][」』）])|\n+"
)


def words(text: str) -> list[str]:
    """Return the words of `text`; in Japanese and Chinese every character is one.

    Examples
    --------
    >>> words("Don't go: 2 stars!")
    ["Don't", 'go', '2', 'stars']
    >>> words("味は最高")
    ['味', 'は', '最', '高']
    """
    return _WORD.findall(text)


def sentences(text: str) -> list[str]:
    """Return the sentences of `text`, split at end marks and line breaks.

    Examples
    --------
    >>> sentences("Good food. Bad service!")
    ['Good food.', 'Bad service!']
    >>> sentences("安い。うまい！")
    ['安い。', 'うまい！']
    """
    return [part.strip() for part in _SENTENCE_END.split(text) if part.strip()]


def check_texts(X: object) -> list[str]:
    """Return `X` as a list of str.

    Parameters
    ----------
    X : sequence of str, or a table with a single column of them
        A list, tuple, numpy array, pandas Series or one-column DataFrame.

    Raises
    ------
    ValueError
        If `X` is a single string, has more than one column, or holds something that is not a str.

    Examples
    --------
    >>> check_texts(("good", "bad"))
    ['good', 'bad']
    """
    if isinstance(X, str):
        raise ValueError(f"Expected a sequence of texts, got the single string {X[:40]!r}: put it into a list.")
    values: npt.NDArray[np.object_] = np.asarray(X, dtype=object)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise ValueError(f"Expected a sequence of texts or one column of them, got shape {values.shape}.")
    for position, value in enumerate(values):
        if not isinstance(value, str):
            raise ValueError(f"Expected str, got {type(value).__name__} ({value!r}) at position {position}.")
    return values.tolist()
