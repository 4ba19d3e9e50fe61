"""The words that say most about the stars, as a table."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd


def strongest_words(
    items: Sequence[str], df: npt.ArrayLike, value: npt.ArrayLike, eta: npt.ArrayLike, n: int = 50
) -> pd.DataFrame:
    """Return the items with the largest S/N ratios: those that pull the target up, then those that pull it down.

    Parameters
    ----------
    items : sequence of str of length n_items
        Words, pairs and so on.
    df : array-like of shape (n_items,)
        How many texts have the item.
    value : array-like of shape (n_items,)
        Mean target of the texts that have the item less the mean of the others, in units of the target.
    eta : array-like of shape (n_items,)
        S/N ratio, not in dB. An item with 0 carries nothing and is left out.
    n : int, default=50
        How many at most, up and down each.

    Returns
    -------
    DataFrame
        Columns item, n_texts, value and sn_db (10 log10 of eta); each direction from the largest S/N ratio down, of
        equal ones the item of more texts first, then by name.

    Examples
    --------
    >>> table = strongest_words(["good", "bad", "the", "great"], [4, 3, 9, 2], [1.5, -2, 0, 2], [0.1, 1, 0, 1])
    >>> table.to_dict("split")["data"]
    [['great', 2, 2.0, 0.0], ['good', 4, 1.5, -10.0], ['bad', 3, -2.0, 0.0]]
    """
    ratio = np.asarray(eta, dtype=np.float64)
    table = pd.DataFrame({"item": list(items), "n_texts": df, "value": value, "eta": ratio})[ratio > 0]
    table = table.sort_values(["eta", "n_texts", "item"], ascending=[False, False, True], kind="stable")
    strongest = pd.concat([table[table["value"] > 0].head(n), table[table["value"] < 0].head(n)], ignore_index=True)
    return strongest.assign(sn_db=10 * np.log10(strongest["eta"]))[["item", "n_texts", "value", "sn_db"]]
