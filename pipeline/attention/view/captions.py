"""Words and columns that every drawing of an attention map needs."""

import pandas as pd

from pipeline.attention.maps import AttentionMap


def heading(attention: AttentionMap, caption: str) -> list[str]:
    """Return the lines above a drawing: the text, the caption, and the words that the model does not know."""
    unknown = [f"not in its vocabulary: {' '.join(attention.unknown)}"] if attention.unknown else []
    return [attention.text, caption, *unknown]


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
