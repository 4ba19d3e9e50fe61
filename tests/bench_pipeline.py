"""The pipeline's part of `make bench`: seconds of every stage on the sample, and how they grow with the reviews.

``python -m tests.bench_pipeline 20000 60000 200000`` measures the growth at other sizes, which takes its time.
"""

import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import yaml

from pipeline.text import sentences
from tests.project import ROOT, SHARED_REVIEWS

SIZES = (2_000, 6_000, 20_000)
# Of `make all`, in their order: what each stage writes last.
STAGES = {
    "prepare": "data/prepared/sample/manifest.json",
    "features": "data/features/sample/manifest.json",
    "score": "reports/sample/manifest.json",
    "curves": "reports/sample/curves/manifest.json",
    "robustness": "reports/sample/robustness/manifest.json",
    "report": "reports/sample/report.json",
    "log": "reports/sample/runs.json",
}
# What needs no network and is to hold with many reviews.
SCORE = {
    "seed": 1,
    "n_resamples": 2000,
    "feature_sets": {
        "text_stats": ["text_stats"],
        "t_metrics+text_stats": ["t_metrics", "text_stats"],
        "words+text_stats": ["t_metrics", "sentence_metrics", "t_estimates", "text_stats"],
    },
    "models": ["T(1)", "Ta", "T(1) full clipped", "unit spaces", "Ridge", "LogisticRegression"],
    "baselines": ["mean"],
}


def deal(n: int) -> pd.DataFrame:
    """Return n reviews: real ones, and others whose sentences are dealt anew from equally rated ones."""
    if SHARED_REVIEWS.exists():
        table = pd.read_parquet(SHARED_REVIEWS)
        texts, stars = table["text"].tolist(), (table["label"] + 1).tolist()
    else:
        rows = map(json.loads, (ROOT / "data/sample/reviews.jsonl").read_text(encoding="utf-8").splitlines())
        texts, stars = map(list, zip(*((row["text"], row["stars"]) for row in rows), strict=True))
    rng = np.random.default_rng(0)
    cut = [sentences(text) for text in texts]
    of_star: dict[int, list[str]] = {}
    for star, found in zip(stars, cut, strict=True):
        of_star.setdefault(star, []).extend(found)
    known = len(texts)
    while len(texts) < n:
        like = int(rng.integers(known))
        some = rng.integers(len(of_star[stars[like]]), size=len(cut[like]))
        texts.append(" ".join(of_star[stars[like]][i] for i in some))
        stars.append(stars[like])
    return pd.DataFrame({"text": texts[:n], "stars": stars[:n]})


def children(pid: int) -> list[int]:
    """Return a process and all that it has started."""
    found = [pid]
    for process in found:
        for task in Path(f"/proc/{process}/task").glob("*/children"):
            try:
                found += map(int, task.read_text().split())
            except OSError:
                continue
    return found


def memory(pid: int) -> int:
    """Return the bytes that a process has to itself, with its share of what it has in common with others."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def run(directory: Path, *arguments: str) -> tuple[float, int]:
    """Run a command of the pipeline; return its seconds, and the bytes of all its processes at their peak."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pipeline", *arguments]
    with (directory / "log.txt").open("a") as log:
        started, peak = time.perf_counter(), 0
        process = subprocess.Popen(command, cwd=directory, env=environment, stdout=log, stderr=subprocess.STDOUT)
        while process.poll() is None:
            peak = max(peak, sum(map(memory, children(process.pid))))
            time.sleep(0.3)
    if process.returncode:
        raise SystemExit((directory / "log.txt").read_text())
    return time.perf_counter() - started, peak


def sample() -> None:
    """Time `make all` on the sample, stage by stage."""
    with TemporaryDirectory() as name:
        directory = Path(name)
        started = time.time()
        seconds, peak = run(directory, "all")
        ends = [(directory / path).stat().st_mtime for path in STAGES.values()]
    print("| make all, sample | seconds |\n|---|---|")
    for stage, begin, end in zip(STAGES, [started, *ends], ends, strict=False):
        print(f"| {stage} | {end - begin:.0f} |")
    print(f"| all | {seconds:.0f} (peak {peak / 1e9:.1f} GB) |")


def growth(sizes: tuple[int, ...]) -> None:
    """Time prepare, features and score, without network, with more and more reviews."""
    measured: dict[str, list[tuple[float, int]]] = {}
    for n in sizes:
        with TemporaryDirectory() as name:
            directory = Path(name)
            (directory / "conf").mkdir()
            (directory / "conf/score.yaml").write_text(yaml.safe_dump(SCORE, sort_keys=False))
            deal(n).to_parquet(directory / "dealt.parquet")
            steps = {"prepare": ["--data", "file", "--file", "dealt.parquet"]}
            for stage in ("prepare", "features", "score"):
                done = run(directory, stage, *steps.get(stage, ["--dataset", "dealt"]))
                measured.setdefault(stage, []).append(done)
    print("| stage, no network | " + " | ".join(f"{n:,} reviews" for n in sizes) + " | exponent |")
    print("|---|" + "---|" * (len(sizes) + 1))
    together = [
        (sum(seconds), max(peaks))
        for seconds, peaks in (zip(*of, strict=True) for of in zip(*measured.values(), strict=True))
    ]
    for stage, figures in (measured | {"all": together}).items():
        power = (
            math.log(figures[-1][0] / figures[0][0]) / math.log(sizes[-1] / sizes[0]) if len(sizes) > 1 else math.nan
        )
        cells = [f"{seconds:.0f} s, {peak / 1e9:.1f} GB" for seconds, peak in figures]
        print(f"| {stage} | {' | '.join(cells)} | {power:.2f} |")


def main() -> None:
    sample()
    print()
    growth(SIZES)


if __name__ == "__main__":
    growth(tuple(map(int, sys.argv[1:])) or SIZES)
