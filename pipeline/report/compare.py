"""The command `compare`: two runs or two datasets side by side, in a terminal of 80 columns."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import norm
from wcwidth import wcswidth

from pipeline.evaluation.bootstrap import holm
from pipeline.evaluation.scores import resample_reviews, score_lines
from pipeline.format import cut, p_text
from pipeline.report.results import Results

_WIDTH = 80
_N_RESAMPLES = 2000
_SEED = 0
_ROW = "{qwk_a:11.3f}{qwk_b:9.3f}{difference:+11.3f}{interval:>19}{p:>8}{mae_a:11.3f}{mae_b:9.3f}"
# These differ between any two runs.
_OF_EVERY_RUN = {"dataset", "seconds", "fingerprint"}


def compare(a: str, b: str, n_lines: int = 20) -> str:
    """Return the comparison of two runs or datasets as text of at most 80 columns.

    Parameters
    ----------
    a, b : str
        Each the name of a dataset, or the path of a reports directory.
    n_lines : int, default=20
        How many lines of the leaderboards to show at most.

    Raises
    ------
    PipelineError
        If one of them is missing, incomplete or damaged.
    """
    return "\n".join(cut(line, _WIDTH) for line in _lines(Results.of(a), Results.of(b), n_lines))


def _is_paired(a: Results, b: Results) -> bool:
    """Return whether the same reviews with the same stars are held out in both results."""
    return _held_out(a)["stars"].equals(_held_out(b)["stars"])


def _differences(a: Results, b: Results) -> pd.DataFrame:
    """Return the lines that are in both results, the largest difference in QWK first.

    Returns
    -------
    DataFrame with columns qwk_a, qwk_b, mae_a, mae_b, difference, low, high, p_holm; the line's name is the index
        difference is a less b, with its 95% bootstrap interval over the held-out reviews: paired where they are the
        same reviews, else from independent resamples. p is two-sided, of difference over the bootstrap's standard
        deviation, so that Holm's adjustment for many lines is not bounded by the number of resamples.
    """
    names = [name for name in a.metrics["name"] if name in set(b.metrics["name"])]
    qwk_a = _resampled(a, names, _SEED)
    qwk_b = _resampled(b, names, _SEED if _is_paired(a, b) else _SEED + 1)
    difference, *resampled = qwk_a - qwk_b
    spread = np.std(resampled, axis=0)
    # Where nothing varies (twice the same run), there is no difference either.
    z = np.divide(np.abs(difference), spread, out=np.zeros(len(names)), where=spread > 0)
    low, high = np.percentile(resampled, [2.5, 97.5], axis=0)
    mae_a, mae_b = (results.metrics.set_index("name")["mae"] for results in (a, b))
    quality = {"qwk_a": qwk_a[0], "qwk_b": qwk_b[0], "mae_a": mae_a, "mae_b": mae_b}
    apart = {"difference": difference, "low": low, "high": high, "p_holm": holm(2 * norm.sf(z))}
    return pd.DataFrame(quality | apart, index=names).sort_values("difference", key=abs, ascending=False, kind="stable")


def _held_out(results: Results) -> pd.DataFrame:
    """Return stars and predictions by review, in an order that does not depend on the run."""
    return results.predictions.set_index("review_id").astype(float).sort_index()


def _resampled(results: Results, names: list[str], seed: int) -> npt.NDArray[np.float64]:
    """Return QWK of each line in each resample, the reviews as they are first: (1 + N_RESAMPLES, n_lines)."""
    if not names:
        return np.zeros((1 + _N_RESAMPLES, 0))
    held_out, scale = _held_out(results), results.scale
    lines = {name: held_out[name].to_numpy()[None] for name in names}
    return score_lines(held_out["stars"], lines, resample_reviews(held_out["stars"], _N_RESAMPLES, seed), scale).qwk


def _lines(a: Results, b: Results, n_lines: int) -> Iterator[str]:
    for which, results in (("A", a), ("B", b)):
        dataset, n_train = results.dataset, results.metrics["n_train"].max()
        yield f"{which}  {dataset}, {n_train:.0f} training and {len(results.predictions)} held-out reviews"
        yield f"   {results.paths.reports}"
    if a.scale != b.scale:
        yield f"Stars go from {a.scale} in A, from {b.scale} in B: each MAE is in stars of its scale."
    yield ""
    yield from _leaderboard(a, b, n_lines)
    yield from _sides(a, b)
    yield "What differs in settings and data"
    yield from list(_settings(a, b)) or ["  nothing"]


def _leaderboard(a: Results, b: Results, n_lines: int) -> Iterator[str]:
    """Yield two lines for each common line of the leaderboards: its name, which may be long, and its numbers."""
    table = _differences(a, b)
    paired = "Both predict the same held-out reviews: the differences are paired."
    unpaired = "They predict different held-out reviews: the differences are unpaired."
    yield paired if _is_paired(a, b) else unpaired
    yield f"95% bootstrap intervals; p is adjusted by Holm for {len(table)} lines."
    yield ""
    yield f"{'QWK A':>11}{'QWK B':>9}{'A less B':>11}{'95% interval':>19}{'p':>8}{'MAE A':>11}{'MAE B':>9}"
    for name, row in table.head(n_lines).iterrows():
        yield str(name)
        interval, p = "{low:+.3f} to {high:+.3f}".format_map(row), p_text(row["p_holm"]).replace(" ", "")
        yield _ROW.format(**row, interval=interval, p=p)
    if len(table) > n_lines:
        yield f"and {len(table) - n_lines} more, which differ no more than these"
    for which, results in (("A", a), ("B", b)):
        if alone := [name for name in results.metrics["name"] if name not in table.index]:
            yield f"only in {which}: {len(alone)}, the best of them"
            yield f"  {alone[0]}"
    yield ""


def _sides(a: Results, b: Results) -> Iterator[str]:
    """Yield a row of A and one of B for each side, with a column for each number of training reviews."""
    tables = [run.sides.assign(run=which) for which, run in (("A", a), ("B", b)) if "curves" in run.manifests]
    if not sum(map(len, tables)):
        return
    sides = pd.concat(tables)
    # Sides keep their order, where names would be sorted.
    sides["side"] = pd.Categorical(sides["side"], sides["side"].unique())
    qwk = sides.pivot(index=["side", "run"], columns="n_train", values="qwk")
    labels = [cut(f"{side} {which}", _WIDTH // 2) for side, which in qwk.index]
    name, width = max(map(wcswidth, labels)), max(5, 1 + len(str(qwk.columns[-1])))
    per_block = (_WIDTH - name) // width
    yield "QWK of each side by the number of training reviews"
    for start in range(0, qwk.shape[1], per_block):
        block = qwk.iloc[:, start : start + per_block]
        yield " " * name + "".join(f"{size:>{width}}" for size in block)
        for label, values in zip(labels, block.to_numpy(), strict=True):
            cells = ("-" if np.isnan(value) else f"{value:.2f}" for value in values)
            yield label + " " * (name - wcswidth(label)) + "".join(f"{cell:>{width}}" for cell in cells)
        yield ""


def _settings(a: Results, b: Results) -> Iterator[str]:
    """Yield three lines for each entry of the manifests that differs: its name, its value in A and in B."""
    for stage in (stage for stage in a.manifests if stage in b.manifests):
        of_a, of_b = (dict(_flat(results.manifests[stage], results.dataset)) for results in (a, b))
        for key in {**of_a, **of_b}:
            if of_a.get(key) != of_b.get(key):
                yield f"  {stage}: {key}"
                yield f"    A {of_a.get(key, '-')}"
                yield f"    B {of_b.get(key, '-')}"


def _flat(value: Any, dataset: str, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield the entries of nested objects by dotted keys, in which paths do not name the dataset."""
    if isinstance(value, dict):
        for name, inner in value.items():
            # Files with timings differ between any two runs, too, and features follow from the reviews and conf.
            if name not in _OF_EVERY_RUN and not str(name).startswith(("reports/", "data/features/")):
                part = str(name).replace(f"/{dataset}/", "/<dataset>/")
                yield from _flat(inner, dataset, f"{key}.{part}" if key else part)
    else:
        yield key, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
