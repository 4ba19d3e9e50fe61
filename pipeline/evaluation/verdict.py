"""The verdict in three sentences: which side is ahead, with how many reviews, and what the rest shows and costs."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from pipeline.format import duration, number, p_text

ENOUGH = 30  # held-out reviews below which differences are not spoken of
SURE = 0.05  # of p-values that Holm's method has adjusted


def three_sentences(
    sides: pd.DataFrame,
    contrasts: pd.DataFrame,
    crossovers: pd.DataFrame,
    n_test: int,
    seconds: Mapping[str, float],
    n_all: int | None = None,
) -> list[str]:
    """Return the verdict.

    Parameters
    ----------
    sides, contrasts, crossovers : DataFrame
        With columns side, n_train, features, model, qwk, qwk_low, qwk_high; a, b, n_train, difference, low, high,
        p_holm; a, b, found, n, n_low, n_high, ahead_small, ahead_large. The first contrast is the question itself.
    n_test : int
        Number of held-out reviews that the sides are measured on.
    seconds : mapping of str to float
        Training time of each side's line with all training reviews, from raw texts to the fitted model.
    n_all : int, optional
        Number of all held-out reviews, where those are a draw of them.

    Returns
    -------
    list of three str
    """
    first = crossovers.iloc[0]
    a, b = first["a"], first["b"]
    asked = (contrasts["a"] == a) & (contrasts["b"] == b)
    at = contrasts[asked].sort_values("n_train")
    full = at.iloc[-1]
    n_train, too_few = full["n_train"], ", too few to tell sides apart" if n_test < ENOUGH else ""
    drawn = f"{n_test:,}" if n_all in (None, n_test) else f"{n_test:,} of {n_all:,}"
    reached = " and ".join(_reached(sides, name, n_train) for name in (a, b))
    others = contrasts[~asked & (contrasts["n_train"] == n_train)]
    rest = [f"{row['a']} against {row['b']}, {_outcome(row, n_test)}" for _, row in others.iterrows()]
    costs = f"training from raw texts takes {duration(seconds[a])} for {a} and {duration(seconds[b])} for {b}"
    return [
        f"With all {n_train:,} training reviews {reached} on {drawn} held-out reviews{too_few}: "
        f"{_outcome(full, n_test)}.",
        f"{who_is_ahead(at, n_test)}; {_where_the_lead_changes(first, at, n_test)}.",
        f"With all of them, too: {'; '.join([*rest, costs])}.",
    ]


def know_how_sentence(
    contrasts: pd.DataFrame, known: pd.DataFrame, sides: pd.DataFrame, n_test: int, rows: float
) -> str:
    """Return what know-how from elsewhere changes, for the two sides of the first contrast.

    Parameters
    ----------
    contrasts : DataFrame
        With columns a, b, n_train, difference, low, high, p_holm, of the sides with know-how.
    known, sides : DataFrame
        With columns side, n_train and qwk: with know-how and without.
    n_test : int
        Number of held-out reviews.
    rows : float
        As how many reviews the know-how counts.
    """
    a, b = contrasts.iloc[0][["a", "b"]]
    at = contrasts[(contrasts["a"] == a) & (contrasts["b"] == b)].sort_values("n_train")
    without = sides.set_index(["side", "n_train"])["qwk"]

    def reached(name: str) -> str:
        of_side = known[known["side"] == name].sort_values("n_train")
        parts = []
        for n, qwk in zip(of_side["n_train"], of_side["qwk"], strict=True):
            before = f" ({number(without[name, n], 3)} without)" if (name, n) in without.index else ""
            parts.append(f"{number(qwk, 3)} with {'no review' if n == 0 else f'{n:,}'}{before}")
        return f"{name} reaches QWK {', '.join(parts)}"

    others = others_sentence(contrasts, n_test)
    return (
        f"With know-how from the embedded reviews, which count as {rows:g} reviews beside the training reviews, "
        f"{reached(a)}, and {reached(b)}; {who_is_ahead(at, n_test).replace('Of the sizes', 'of the sizes', 1)}."
        + (f" {others}" if others else "")
    )


def surely_ahead(row: Any, n_test: int) -> str | None:
    """Return which side of one contrast at one size is ahead, None where that is not sure.

    Parameters
    ----------
    row : mapping
        With a, b, difference and p_holm.
    n_test : int
        Number of held-out reviews; with few of them nobody is ahead.

    Examples
    --------
    >>> surely_ahead({"a": "T-method", "b": "attention", "difference": -0.1, "p_holm": 0.01}, n_test=400)
    'attention'
    """
    if n_test < ENOUGH or not row["p_holm"] < SURE:
        return None
    return str(row["a"] if row["difference"] > 0 else row["b"])


def sure_leads(contrasts: pd.DataFrame, n_test: int) -> list[tuple[str, str, list[int]]]:
    """Return who is surely ahead of whom, and at which sizes.

    Parameters
    ----------
    contrasts : DataFrame
        With columns a, b, n_train, difference, p_holm.
    n_test : int
        Number of held-out reviews; with few of them nobody is ahead.

    Returns
    -------
    list of (str, str, list of int)
        Who is ahead, who is behind, and the numbers of training reviews in ascending order; pairs in their order.

    Examples
    --------
    >>> table = pd.DataFrame({"a": "T-method", "b": "attention", "n_train": [10, 20, 30]})
    >>> table = table.assign(difference=[0.2, 0.1, -0.1], p_holm=[0.01, 0.3, 0.01])
    >>> sure_leads(table, n_test=400)
    [('T-method', 'attention', [10]), ('attention', 'T-method', [30])]
    >>> sure_leads(table, n_test=12)
    []
    """
    leads: dict[tuple[str, str], list[int]] = {}
    for row in contrasts.to_dict("records"):
        a, b = row["a"], row["b"]
        of_pair = {a: leads.setdefault((a, b), []), b: leads.setdefault((b, a), [])}
        if ahead := surely_ahead(row, n_test):
            of_pair[ahead].append(row["n_train"])
    return [(ahead, behind, sorted(sizes)) for (ahead, behind), sizes in leads.items() if sizes]


def lead_surely_changes(crossover: Any, contrasts: pd.DataFrame, n_test: int) -> bool:
    """Return whether one side is surely ahead with few training reviews and the other one surely with more.

    Parameters
    ----------
    crossover : mapping
        With ahead_small and ahead_large.
    contrasts : DataFrame
        With columns a, b, n_train, difference, p_holm.
    n_test : int
        Number of held-out reviews.

    Examples
    --------
    >>> table = pd.DataFrame({"a": "T-method", "b": "attention", "n_train": [10, 20], "difference": [0.2, -0.1]})
    >>> change = {"ahead_small": "T-method", "ahead_large": "attention"}
    >>> [lead_surely_changes(change, table.assign(p_holm=p), n_test=400) for p in ([0.01, 0.02], [0.01, 0.2])]
    [True, False]
    """
    leads = {(ahead, behind): sizes for ahead, behind, sizes in sure_leads(contrasts, n_test)}
    small, large = crossover["ahead_small"], crossover["ahead_large"]
    before, after = leads.get((small, large)), leads.get((large, small))
    return bool(before and after and before[0] < after[-1])


def others_sentence(contrasts: pd.DataFrame, n_test: int) -> str:
    """Return who is surely ahead in the pairs after the first, at all sizes; empty where nobody is.

    Parameters
    ----------
    contrasts : DataFrame
        With columns a, b, n_train, difference, p_holm.
    n_test : int
        Number of held-out reviews.

    Examples
    --------
    >>> table = pd.DataFrame({"a": ["T-method", "T-method"], "b": ["attention", "other models"], "n_train": 10})
    >>> others_sentence(table.assign(difference=[0.2, 0.3], p_holm=0.01), n_test=400)
    'Of the other pairs, T-method is ahead of other models with 10 training reviews (Holm p below 0.05).'
    """
    a, b = contrasts.iloc[0][["a", "b"]]
    leads = sure_leads(contrasts[(contrasts["a"] != a) | (contrasts["b"] != b)], n_test)
    parts = [f"{ahead} is ahead of {behind} with {_sizes(sizes)}" for ahead, behind, sizes in leads]
    return f"Of the other pairs, {'; '.join(parts)} training reviews (Holm p below {SURE})." if parts else ""


def _reached(sides: pd.DataFrame, name: str, n_train: int) -> str:
    side = sides[(sides["side"] == name) & (sides["n_train"] == n_train)].iloc[0]
    interval = f"95% interval {side['qwk_low']:.3f} to {side['qwk_high']:.3f}"
    return f"{name} reaches QWK {side['qwk']:.3f} ({interval}; its best line is {side['model']} on {side['features']})"


def _outcome(row: Any, n_test: int) -> str:
    """Return the difference between two sides with its interval, and who is ahead where that is sure."""
    interval = f"{row['low']:+.3f} to {row['high']:+.3f}, Holm p {p_text(row['p_holm'])}"
    ahead = surely_ahead(row, n_test)
    so = f"{ahead} is ahead" if ahead else "neither is shown to be ahead"
    return f"difference {row['difference']:+.3f} ({interval}), so {so}"


def who_is_ahead(at: pd.DataFrame, n_test: int, rows: str = "training reviews", digits: int = 3) -> str:
    """Say at which sizes each of two sides is ahead.

    Parameters
    ----------
    at : DataFrame
        One contrast at all sizes, with columns a, b, n_train, difference, low, high, p_holm.
    n_test : int
        Number of held-out reviews; with few of them nobody is said to be ahead.
    rows : str, default="training reviews"
        What sizes are counted in.
    digits : int, default=3
        Decimals of differences.
    """
    sure = at[at["p_holm"] < SURE] if n_test >= ENOUGH else at[:0]
    a, b = at.iloc[0]["a"], at.iloc[0]["b"]
    sizes = f"from {at['n_train'].min():,} to {at['n_train'].max():,} {rows}"
    parts = []
    for name, sign in ((a, 1), (b, -1)):
        wins = sure[sign * sure["difference"] > 0]
        if len(wins):
            most = wins.iloc[int(wins["difference"].abs().argmax())]
            low, high = (number(end, digits) for end in sorted((sign * most["low"], sign * most["high"])))
            by = number(abs(most["difference"]), digits)
            parts.append(
                f"{name} is ahead with {_sizes(wins['n_train'].tolist())} {rows} (Holm p below {SURE}), "
                f"by up to {by} ({low} to {high}) with {most['n_train']:,}"
            )
        else:
            parts.append(f"{name} is ahead at no size")
    return f"Of the sizes {sizes}, {parts[0]}, and {parts[1]}"


def _where_the_lead_changes(crossover: Any, contrasts: pd.DataFrame, n_test: int) -> str:
    small, large, found = crossover["ahead_small"], crossover["ahead_large"], f"{crossover['found']:.0%}"
    if pd.notna(crossover["n"]):
        at = f"at about {_rough(crossover['n'])} reviews"
        unsure = "" if lead_surely_changes(crossover, contrasts, n_test) else ", which is not sure"
        if pd.isna(crossover["n_low"]):
            return f"the lead goes from {small} to {large} {at}, but in none of the resamples{unsure}"
        interval = f"95% interval {_rough(crossover['n_low'])} to {_rough(crossover['n_high'])}"
        return f"the lead goes from {small} to {large} {at} in {found} of the resamples ({interval}){unsure}"
    if small and small == large:
        return f"{small} has the higher estimate at both ends, and in {found} of the resamples only one of them"
    return f"the estimates do not cross, and in {found} of the resamples they do"


def _sizes(sizes: list[int]) -> str:
    return f"{sizes[0]:,}" if len(sizes) == 1 else f"{', '.join(f'{n:,}' for n in sizes[:-1])} and {sizes[-1]:,}"


def _rough(n: float) -> str:
    """Return a number of reviews rounded to two significant digits."""
    return f"{float(f'{n:.2g}'):,.0f}"
