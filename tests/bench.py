"""`make bench`: how fast T-methods, encoder and pipeline are, as ratios of medians from one run, and their memory."""

import time
import tracemalloc
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from sklearn.linear_model import Ridge

from pipeline.features import TMetrics
from pipeline.taguchi import TbRegressor, TMethodRegressor
from tests import bench_encoder, bench_pipeline


def seconds(*tasks: Callable[[], Any], repeats: int = 7) -> list[float]:
    """Return the median time of each task; they take turns, so that a busy moment meets all of them."""
    for task in tasks:
        task()
    times: list[list[float]] = [[] for _ in tasks]
    for _ in range(repeats):
        for task, of_task in zip(tasks, times, strict=True):
            # The threads of the task before may still be spinning.
            time.sleep(0.1)
            start = time.perf_counter()
            task()
            of_task.append(time.perf_counter() - start)
    return [median(of_task) for of_task in times]


def peak(task: Callable[[], Any]) -> int:
    """Return the bytes that a task had in use at once, beyond what was there before."""
    tracemalloc.start()
    task()
    result = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return result


def naive_tb(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the largest S/N ratio of each item, by a fit from every row as origin."""
    best = np.zeros(X.shape[1])
    for i in range(len(y)):
        M, deviation = y - y[i], X - X[i]
        r, L, S_T = M @ M, M @ deviation, (deviation**2).sum(axis=0)
        V_e = (S_T - L**2 / r) / (len(y) - 1)
        best = np.maximum(best, (L**2 / r - V_e) / (r * V_e))
    return best


def line(what: str, ours: float, other: str, theirs: float) -> None:
    ratio = f"{ours / theirs:.2f} times the time" if ours > theirs else f"{theirs / ours:.1f} times faster"
    print(f"| {what} | {1000 * ours:.1f} ms | {other} | {1000 * theirs:.1f} ms | {ratio} |")


def memory(what: str, size: int, task: Callable[[], Any]) -> None:
    print(f"| {what} | {size / 1e6:.0f} MB | {100 * peak(task) / size:.1f}% |")


def words(reviews: pd.DataFrame) -> None:
    """Time word metrics: their fit, many texts and one text."""
    texts, stars = reviews["text"].tolist(), reviews["stars"].to_numpy()
    metrics = TMetrics(target_range=(1, 5)).fit(texts, stars)
    fit, split, many, one = seconds(
        lambda: TMetrics(target_range=(1, 5)).fit(texts, stars),
        lambda: [text.lower().split() for text in texts],
        lambda: metrics.transform(texts[:500]),
        lambda: metrics.transform(texts[:1]),
        repeats=3,
    )
    line(f"TMetrics().fit, {len(texts):,} texts", fit, "text.lower().split()", split)
    line("TMetrics().transform, one text", one, "a 500th of that of 500", many / 500)


def main() -> None:
    rng = np.random.default_rng(0)
    print("| task | median | against | median | ratio |\n|---|---|---|---|---|")
    y = rng.integers(1, 6, 200_000).astype(np.float32)
    X = rng.standard_normal((200_000, 384), dtype=np.float32)
    X += np.outer(y - 3, rng.standard_normal(384) / 4).astype(np.float32)
    t1, read, mean, ridge, full = seconds(
        lambda: TMethodRegressor().fit(X, y),
        lambda: X.sum(),
        lambda: X.mean(axis=0),
        lambda: Ridge().fit(X, y),
        lambda: TMethodRegressor(covariance="full").fit(X, y),
    )
    line("T(1), 200,000 x 384 float32", t1, "reading it once (X.sum())", read)
    line("the same", t1, "its column means (X.mean(axis=0))", mean)
    line("the same", t1, "Ridge()", ridge)
    line("T(1) full, the same", full, "Ridge()", ridge)

    n, p, values = 11_314, 130_107, 1_787_565
    columns = (p * rng.random(values) ** 4).astype(np.int64)
    counts = sp.csr_array((np.ones(values), (rng.integers(0, n, values), columns)), shape=(n, p))
    some = counts[:, : p // 10]
    dense, target = some.toarray(), rng.normal(size=n)
    sparse_fit, dense_fit, whole = seconds(
        lambda: TMethodRegressor().fit(some, target),
        lambda: TMethodRegressor().fit(dense, target),
        lambda: TMethodRegressor().fit(counts, target),
        repeats=3,
    )
    line(f"T(1), {n:,} x {p // 10:,} CSR, {some.nnz:,} values", sparse_fit, "the same, dense", dense_fit)
    line(f"T(1), {n:,} x {p:,} CSR, {counts.nnz:,} values", whole, "a tenth of its columns, dense", dense_fit)

    a, b = rng.normal(size=(1000, 100)), rng.normal(size=1000)
    tb, naive = seconds(lambda: TbRegressor().fit(a, b), lambda: naive_tb(a, b), repeats=3)
    line("Tb, 1,000 x 100", tb, "a fit from every row", naive)

    words(bench_pipeline.deal(5_000))

    print("\n| peak memory of fit beyond its input | input | beyond |\n|---|---|---|")
    memory("T(1), 200,000 x 384 float32", X.nbytes, lambda: TMethodRegressor().fit(X, y))
    memory("T(1) full, the same", X.nbytes, lambda: TMethodRegressor(covariance="full").fit(X, y))
    model = TMethodRegressor().fit(X, y)
    memory("T(1) predict, the same", X.nbytes, lambda: model.predict(X))
    memory("Tb, the same", X.nbytes, lambda: TbRegressor().fit(X, y))
    memory("T(1), dense float64", dense.nbytes, lambda: TMethodRegressor().fit(dense, target))
    stored = counts.data.nbytes + counts.indices.nbytes + counts.indptr.nbytes
    memory(
        f"T(1), {n:,} x {p:,} CSR, 5 results for each of its columns",
        stored,
        lambda: TMethodRegressor().fit(counts, target),
    )


if __name__ == "__main__":
    main()
    print()
    bench_encoder.main()
    print()
    bench_pipeline.main()
