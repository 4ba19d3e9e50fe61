"""The verdict in three sentences: which side is ahead, with how many reviews, and what the rest shows and costs."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

FEW = 30  # held-out reviews below which differences are not spoken of
SURE = 0.05  # of p-values that Holm's method has adjusted


def three_sentences(
    sides: pd.DataFrame, contrasts: pd.DataFrame, crossovers: pd.DataFrame, n_test: int, seconds: Mapping[str, float]
) -> list[str]:
    """Return the verdict.

    Parameters
    ----------
    sides, contrasts, crossovers : DataFrame
        Of `pipeline.contrasts`; the first contrast is the question itself.
    n_test : int
        Number of held-out reviews.
    seconds : mapping of str to float
        What each side's line takes with all training reviews, from their texts to the fitted model.

    Returns
    -------
    list of three str
    """
    first = crossovers.iloc[0]
    a, b = first["a"], first["b"]
    at = contrasts[(contrasts["a"] == a) & (contrasts["b"] == b)].sort_values("n_train")
    full = at.iloc[-1]
    one, other = (_side(sides, name, full["n_train"]) for name in (a, b))
    measured = f"on {n_test:,} held-out reviews"
    if n_test < FEW:
        measured += ", too few to tell sides apart"
    return [
        f"With all {full['n_train']:,} training reviews {_reached(a, one)} and {_reached(b, other)} {measured}: "
        f"{_difference(full)}, {_outcome(full, n_test)}.",
        _by_size(at, first, n_test),
        _rest(contrasts, full["n_train"], (a, b), n_test)
        + f"from raw texts to the fitted model {a} takes {_time(seconds[a])} and {b} {_time(seconds[b])}.",
    ]


def _side(sides: pd.DataFrame, name: str, n_train: int) -> Any:
    return sides[(sides["side"] == name) & (sides["n_train"] == n_train)].iloc[0]


def _reached(name: str, side: Any) -> str:
    return (
        f"{name} ({side['model']} on {side['features']}) reaches QWK {side['qwk']:.3f} "
        f"(95% interval {side['qwk_low']:.3f} to {side['qwk_high']:.3f})"
    )


def _difference(row: Any) -> str:
    return f"difference {row['difference']:+.3f} ({row['low']:+.3f} to {row['high']:+.3f}, {_p(row['p_holm'])})"


def _p(value: float) -> str:
    return f"Holm p {value:.3f}" if value >= 0.001 else "Holm p < 0.001"


def _outcome(row: Any, n_test: int) -> str:
    if n_test < FEW or row["p_holm"] >= SURE:
        return "so neither is shown to be ahead"
    return f"so {row['a'] if row['difference'] > 0 else row['b']} is ahead"


def _by_size(at: pd.DataFrame, crossover: Any, n_test: int) -> str:
    """Say at which sizes a side is surely ahead, and where the lead changes."""
    sure = at if n_test >= FEW else at[:0]
    sure = sure[sure["p_holm"] < SURE]
    parts = []
    for name, ahead in ((crossover["a"], sure["difference"] > 0), (crossover["b"], sure["difference"] < 0)):
        own = sure[ahead]
        if len(own):
            most = own.iloc[int(own["difference"].abs().argmax())]
            parts.append(
                f"{name} is surely ahead with {_sizes(own['n_train'].tolist())} training reviews, by up to "
                f"{abs(most['difference']):.3f} ({_abs_interval(most)}) with {most['n_train']:,}"
            )
        else:
            parts.append(f"{name} with none of the sizes from {at['n_train'].min():,} to {at['n_train'].max():,}")
    if pd.notna(crossover["n"]):
        change = (
            f"the lead goes from {crossover['ahead_small']} to {crossover['ahead_large']} at about "
            f"{_rough(crossover['n'])} reviews (95% interval {_rough(crossover['n_low'])} to "
            f"{_rough(crossover['n_high'])}, in {crossover['found']:.0%} of the resamples)"
        )
    else:
        change = (
            f"the lead of {crossover['ahead_small']} at the smallest size is still there at the largest, "
            f"and changes in {crossover['found']:.0%} of the resamples"
        )
    return f"By size, {parts[0]}, {parts[1]}; {change}."


def _sizes(sizes: list[int]) -> str:
    return f"{sizes[0]:,}" if len(sizes) == 1 else f"{', '.join(f'{n:,}' for n in sizes[:-1])} and {sizes[-1]:,}"


def _abs_interval(row: Any) -> str:
    low, high = sorted((abs(row["low"]), abs(row["high"])))
    return f"{low:.3f} to {high:.3f}"


def _rough(n: float) -> str:
    """Return a number of reviews with two digits that count."""
    return f"{float(f'{n:.2g}'):,.0f}"


def _rest(contrasts: pd.DataFrame, n_train: int, main: tuple[str, str], n_test: int) -> str:
    others = contrasts[(contrasts["n_train"] == n_train) & ~((contrasts["a"] == main[0]) & (contrasts["b"] == main[1]))]
    return "".join(
        f"{row['a']} against {row['b']}, {_difference(row)}, {_outcome(row, n_test)}; "
        for row in others.to_dict("records")
    )


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s" if seconds < 180 else f"{seconds / 60:.0f} min"
