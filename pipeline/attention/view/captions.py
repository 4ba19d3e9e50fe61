"""Words and columns that every drawing of an attention map needs."""

import unicodedata

import pandas as pd

from pipeline.attention.maps import AttentionMap


def heading(attention: AttentionMap, caption: str) -> list[str]:
    """Return the lines above a drawing: the text, the caption, and the words that the model does not know."""
    unknown = [f"not in its vocabulary: {' '.join(attention.unknown)}"] if attention.unknown else []
    return [attention.text, caption, *unknown]


def words_alone(attention: AttentionMap) -> AttentionMap:
    """Return the map without its special tokens, or as it is where it has no others."""
    some = len(attention.special) < len(attention.tokens)
    return attention.without_special() if attention.special and some else attention


def width(text: str) -> int:
    """Return the columns that a text takes, those of Japanese and Chinese being twice as wide."""
    return sum(1 + (unicodedata.east_asian_width(c) in "WF") for c in text)


def wrapped(text: str, room: int) -> list[str]:
    """Return lines of at most `room` columns, broken at a space where there is one.

    Examples
    --------
    >>> wrapped("The dog chased the cat", 10), wrapped("犬が猫を追う", 8)
    (['The dog', 'chased the', 'cat'], ['犬が猫を', '追う'])
    """
    lines, line = list[str](), ""
    for character in text:
        line += character
        if width(line.rstrip()) > room:
            cut = line.rfind(" ") + 1 or max(len(line) - 1, 1)
            lines.append(line[:cut].rstrip())
            line = line[cut:]
    return [*lines, line.rstrip()]


def weights_shown(attention: AttentionMap, layer: int | None, head: int | None) -> str:
    """Return in words which weights are shown."""
    return f"{one_or_mean('layer', layer, attention.n_layers)}, {one_or_mean('head', head, attention.n_heads)}"


def one_or_mean(what: str, number: int | None, count: int) -> str:
    """Return in words one layer or head, or the mean of all.

    Examples
    --------
    >>> one_or_mean("layer", 3, 6), one_or_mean("head", None, 12)
    ('layer 3', 'mean of 12 heads')
    """
    return f"{what} {number}" if number else f"mean of {count} {what}{'s' * (count > 1)}"


def strongest(table: pd.DataFrame, n: int) -> pd.DataFrame:
    """Return the `n` columns with the largest value in any row, in their order in the text."""
    chosen = table.max().nlargest(n).index
    return table[[column for column in table.columns if column in chosen]]
