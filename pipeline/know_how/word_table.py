"""A person's list of words with values, as the sums of the texts that would have taught it."""

from os import PathLike

import numpy as np
import pandas as pd

from pipeline.errors import first_line
from pipeline.features.word_sums import WordSums, distances, words_of
from pipeline.scale import FIVE_STARS, Scale
from pipeline.segmentation import cutter, reading
from pipeline.text import Cut
from pipeline.text import words as words_in

_COLUMNS = ["item", "value", "rows"]


def words_from_table(
    table: pd.DataFrame | str | PathLike[str], scale: Scale = FIVE_STARS, mean: float | None = None, words: str = "auto"
) -> WordSums:
    r"""Return a list of words with values as sums, which add up to those of texts.

    The sums are those of n texts whose stars lie evenly on the scale. `rows` of them have the item, and their mean is
    `value` above that of the others: with ``df = rows``

    .. math:: S_T = df (1 - df/n),\; L = value \cdot S_T,

    so that `WordSums.metrics` gives ``L / S_T = value`` back. `SentenceMetrics` trusts few rows less, and reads
    ``L / (S_T + 3)``. n is 12 times the largest `rows`: then a value as wide as the scale still leaves
    :math:`S_\beta < S_T`. These n texts lower the S/N ratios of words that the list does not hold. The other distances
    of the target follow it by their regression on it over the scale.

    Parameters
    ----------
    table : DataFrame or path-like
        Columns item (neighbouring words; for `SentenceMetrics` a ``*`` stands for any one word), value (stars above or
        below the mean) and rows (in how many texts' worth the value is trusted); a path is read as CSV.
    scale : Scale, default=FIVE_STARS
        Of the stars.
    mean : float, default=None
        Mean star of the texts that the list is added to, to which the values then refer; None: the middle of the scale.
    words : {"auto", "dictionary", "characters"}, default="auto"
        How Japanese and Chinese items are read, see `pipeline.segmentation.reading`: as the texts that they are looked
        for in. All items of a table are taken for one language.

    Returns
    -------
    WordSums

    Raises
    ------
    ValueError
        In one line, if the table cannot be read, a row of it is wrong, or the mean is off the scale.

    Examples
    --------
    >>> table = pd.DataFrame({"item": ["Rude", "a gem"], "value": [-1.5, 1.2], "rows": [20, 5]})
    >>> sums = words_from_table(table)
    >>> sums.names, sums.df.tolist()
    (['a gem', 'rude'], [5.0, 20.0])

    Added to the words of the sample, for reviews of a repair shop:

    >>> from dataclasses import replace
    >>> from pipeline.know_how import load_know_how
    >>> sample = load_know_how("sample")
    >>> mine = replace(sample, words={"sentence_metrics": sample.words["sentence_metrics"] + sums})
    """
    settled = reading(words)
    table = _checked(table, scale, settled)
    value, df = table["value"].to_numpy(), table["rows"].to_numpy()
    targets = distances(scale.values, scale.low, scale.high)
    deviations = targets - targets.mean(axis=0)
    squares = (deviations**2).mean(axis=0)
    slopes = deviations.T @ deviations[:, 0] / deviations[:, 0].dot(deviations[:, 0])
    if mean is not None and not scale.low <= mean <= scale.high:
        raise ValueError(f"mean must be from {scale.low:g} to {scale.high:g}, got {mean}.")
    above = 0.0 if mean is None else mean - float(scale.values.mean())
    n = 12 * df.max()
    L = np.outer(value * df * (1 - df / n), slopes)
    limits = (scale.low, scale.high)
    items, means = "\n".join(table["item"]), targets.mean(axis=0) + above * slopes
    return WordSums(items, limits, n, means, n * squares, df, L, words_of(items, settled))


def _checked(table: pd.DataFrame | str | PathLike[str], scale: Scale, words: str) -> pd.DataFrame:
    """Return the table with items as they are read in texts, in ascending order, and numbers as floats."""
    name = "The table" if isinstance(table, pd.DataFrame) else str(table)
    if not isinstance(table, pd.DataFrame):
        try:
            table = pd.read_csv(table, dtype={"item": str}, keep_default_na=False)
        except (OSError, ValueError) as error:
            raise ValueError(f"{name} cannot be read as CSV ({first_line(error)}).") from None
    if sorted(map(str, table.columns)) != sorted(_COLUMNS):
        raise ValueError(f"{name} must have the columns {', '.join(_COLUMNS)}, got {', '.join(map(str, table))}.")
    if not len(table):
        raise ValueError(f"{name} has no row.")
    given_items = [str(item) for item in table["item"]]
    # An entry of Chinese characters alone may be Japanese: the other entries tell.
    cut = cutter("\n".join(given_items), words)
    items = [_as_read(item, cut) for item in given_items]
    numbers = table[["value", "rows"]].apply(pd.to_numeric, errors="coerce").astype(np.float64)
    width = scale.high - scale.low
    wrong = {
        "an item without a word": np.array([not item for item in items]),
        "an item that another row has": pd.Series(items).duplicated().to_numpy(),
        f"a value that is no number from {-width:g} to {width:g}": ~(numbers["value"].abs() <= width).to_numpy(),
        "rows that are no number above 0": ~((numbers["rows"] > 0) & (numbers["rows"] < np.inf)).to_numpy(),
    }
    for problem, rows in wrong.items():
        if rows.any():
            row = table.iloc[int(rows.argmax())]
            given = ", ".join(str(row[column]) for column in _COLUMNS)
            raise ValueError(f"{name} has {problem} in row {int(rows.argmax()) + 1}: {given}.")
    return numbers.assign(item=items).sort_values("item", ignore_index=True)


def _as_read(item: str, cut: Cut | None) -> str:
    """Return an item as the features read it in texts, "" where it has no word."""
    parts = [" ".join(words_in(part, cut)).lower() for part in item.split(" * ")]
    return " * ".join(parts) if all(parts) else ""
