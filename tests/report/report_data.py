"""A small but complete reports/<dataset>/ as the stages before the report leave it, from seeded random predictions."""

import shutil
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from project import ROOT

from pipeline.digest import file_digest
from pipeline.evaluation.bootstrap import intervals, qwk_difference
from pipeline.evaluation.metrics import evaluate
from pipeline.evaluation.perturbations import CHANGES
from pipeline.evaluation.word_contributions import WordContributions
from pipeline.experiment.line import Line
from pipeline.experiment.readings import BOTH, chosen_reviews, readings_frame
from pipeline.files import MANIFEST, write_json, write_parquet
from pipeline.project.paths import DatasetPaths
from pipeline.project.tables import write_table
from pipeline.text import word_spans

FEATURES = {
    "text_stats": ["text_stats"],
    "t_metrics+text_stats": ["t_metrics", "text_stats"],
    "attention_pooling+text_stats": ["attention_pooling", "text_stats"],
}
TAGUCHI = ["T(1)", "Ta", "unit spaces (chosen shrinkage)"]
OTHERS = ["Ridge", "LogisticRegression (median star)", "k-nearest neighbours"]
BASELINES = ["mean", "TF-IDF + Ridge"]
SIZES = {10: 30, 30: 30, 100: 30, 384: 5, 1000: 5, 3000: 1}
SIDES = {
    "T-method": Line("t_metrics+text_stats", "unit spaces (chosen shrinkage)"),
    "attention": Line("attention_pooling+text_stats", "Ridge"),
    "combined": Line("attention_pooling+text_stats", "T(1)"),
}
CONTRASTS = [("T-method", "attention"), ("combined", "attention")]
SENTENCES = [
    "With 30 training reviews the T-method is ahead of attention by +0.08 QWK (95% interval +0.02 to +0.13).",
    "With all 3000 attention is ahead by +0.05 (+0.01 to +0.09); the lead changes at about 140 reviews (60 to 320).",
    "The T-method needs 0.4 seconds of training, attention 60, and both together reach 0.83 (0.80 to 0.86).",
]
HOSTILE = "<script>alert(1)</script> & | pipes | <b>bold</b>"


def build(
    directory: Path, dataset: str = "d", n_test: int = 200, transfer: bool = True, t_name: str = "T-method"
) -> DatasetPaths:
    """Fill `directory`, which the test must then work in, and return where the files are."""
    rng = np.random.default_rng(0)
    paths = DatasetPaths(dataset)
    reviews = _reviews(rng, n_test)
    held_out = reviews[reviews["split"] == "test"].reset_index(drop=True)
    stars = held_out["stars"].to_numpy()
    predictions = {size: _predictions(rng, stars, size) for size in SIZES}
    sides = {t_name if side == "T-method" else side: line for side, line in SIDES.items()}
    tables = {
        **_score(stars, predictions[3000], dataset),
        **_curves(stars, predictions, sides, t_name),
        **_robustness(stars, predictions[3000], sides, transfer, dataset),
        "readings": _readings(held_out, predictions[3000], {side: sides[side] for side in (t_name, "attention")}),
    }
    shutil.copytree(ROOT / "conf", directory / "conf")
    with chdir(directory):
        for name, rows in tables.items():
            write_table(paths, name, pd.DataFrame(rows))
        final = {str(line): values for line, values in predictions[3000].items()}
        write_parquet(paths.predictions, held_out[["review_id", "stars"]].assign(**final))
        write_json(paths.lines, [_line(line) for line in predictions[3000]])
        write_json(paths.verdict, {"sentences": SENTENCES})
        _prepared(paths, reviews, held_out)
        _write_manifests(paths, sides)
    return paths


def _write_manifests(paths: DatasetPaths, sides: dict[str, Line]) -> None:
    described = {side: {"feature_sets": [line.features], "models": [line.model]} for side, line in sides.items()}
    inputs = {str(paths.reviews): file_digest(paths.reviews)}
    settings = {"seed": 1, "sizes": {str(size): n for size, n in SIZES.items()}}
    for directory, stage, config in (
        (paths.reports, "score", {"seed": 1, "feature_sets": FEATURES}),
        (paths.curves, "curves", {**settings, "sides": described, "know_how": {"rows": 30}}),
        (paths.robustness, "robustness", {"seed": 1, "n_reviews": 400}),
    ):
        write_json(directory / MANIFEST, {"stage": stage, "config": config, "inputs": inputs})


def _reviews(rng: np.random.Generator, n_test: int) -> pd.DataFrame:
    words = [
        "the",
        "food",
        "was",
        "cold",
        "warm",
        "good",
        "bad",
        "never",
        "rude",
        "waiter",
        "soup",
        "we",
        "loved",
        "it",
    ]
    texts = [" ".join(rng.choice(words, int(length))) + "." for length in rng.integers(8, 220, n_test + 5)]
    texts[:3] = [HOSTILE] * 3
    stars = np.resize([1, 2, 3, 4, 5, 5, 4], n_test + 5)
    split = ["test"] * n_test + ["train"] * 5
    ids = [f"r{i}" for i in range(n_test + 5)]
    return pd.DataFrame({"review_id": ids, "text": texts, "stars": stars, "split": split})


def _predictions(rng: np.random.Generator, stars: npt.NDArray[Any], size: int) -> dict[Line, Any]:
    """More reviews, less noise; the Taguchi family starts better, gains less and spreads further."""
    made = {}
    for richness, features in enumerate(FEATURES):
        for model in (*TAGUCHI, *OTHERS):
            taguchi = model in TAGUCHI
            noise = (1.3 if taguchi else 2.2) * size ** (-0.06 if taguchi else -0.16) + 0.3 - 0.1 * richness
            values = 3.3 + (stars - 3.3) * (1.3 if taguchi else 0.8) + rng.normal(0, noise, len(stars))
            made[Line(features, model)] = np.round(values.clip(1, 5)) if "median" in model else values
    made[Line("text", "mean")] = np.full(len(stars), 3.3)
    made[Line("text", "TF-IDF + Ridge")] = 3.3 + 0.5 * (stars - 3.3) + rng.normal(0, 1.5 * size**-0.1, len(stars))
    return made


def _interval(stars: npt.NDArray[Any], values: npt.NDArray[Any]) -> dict[str, float]:
    return {"qwk": evaluate(stars, values)["qwk"], **intervals(stars, values, n_resamples=100, seed=0)}


def _score(stars: npt.NDArray[Any], final: dict[Line, Any], dataset: str) -> dict[str, pd.DataFrame]:
    rows = [
        {
            "dataset": dataset,
            **line._asdict(),
            "n_train": 3000,
            "n_test": len(stars),
            "n_features": 17 + place,
            **evaluate(stars, values),
            **intervals(stars, values, n_resamples=100, seed=0),
            "fit_seconds": 0.001 * 3**place,
            "predict_seconds": 0.002,
            "peak_mb": np.nan if place % 3 else 10.5 * place,
        }
        for place, (line, values) in enumerate(final.items())
    ]
    metrics = pd.DataFrame(rows).sort_values("qwk", ascending=False, ignore_index=True)
    items = pd.DataFrame(
        [
            {**Line(features, model)._asdict(), "item": f"{part}: item {i}", "beta": beta, "eta": eta}
            for features, parts in FEATURES.items()
            for model in ("T(1)", "Ta")
            for part in parts
            for i, (beta, eta) in enumerate([(1.0, 0.4), (-0.5, 0.2), (0.3, 0.1), (-0.1, 0.02), (0.2, 0.0)])
        ]
    )
    with np.errstate(divide="ignore"):
        items = items.assign(sn_db=10 * np.log10(items["eta"]), weight=0.1)
    words = pd.DataFrame(
        [("good", 9, 1.2, -9.5), ("<b>never</b> & again", 4, -1.5, -12.0), ("味 は", 5, -0.5, -15.0)],
        columns=["item", "n_texts", "difference", "sn_db"],
    ).assign(features="t_metrics")
    return {"metrics": metrics, "leaderboard": metrics, "items": items, "words": words}


def _curves(
    stars: npt.NDArray[Any],
    predictions: dict[int, dict[Line, Any]],
    sides: dict[str, Line],
    t_name: str,
) -> dict[str, list[dict[str, Any]]]:
    curves = [
        {**line._asdict(), "n_train": size, "n_draws": SIZES[size], **_interval(stars, values), "fit_seconds": 0.01}
        for size, lines in predictions.items()
        for line, values in lines.items()
    ]
    measured = [
        {"side": side, "n_train": size, **line._asdict(), **_interval(stars, predictions[size][line])}
        for side, line in sides.items()
        for size in SIZES
    ]
    contrasts = []
    for a, b in CONTRASTS:
        a = t_name if a == "T-method" else a
        for size, lines in predictions.items():
            found = qwk_difference(stars, lines[sides[a]], lines[sides[b]], n_resamples=100, seed=0)
            row = dict(zip(("difference", "low", "high"), found, strict=True))
            contrasts.append({"a": a, "b": b, "n_train": size, **row, "p": 0.0002, "p_holm": 0.031})
    crossovers = [
        {"a": t_name, "b": "attention", "found": 0.93, "n": 140, "n_low": 60, "n_high": 320}
        | {"ahead_small": t_name, "ahead_large": "attention"},
        {"a": "combined", "b": "attention", "found": 0.12, "ahead_small": "combined", "ahead_large": "combined"},
    ]
    known = [row | {"n_train": size} for row in measured for size in (0, 30) if row["n_train"] == 100]
    differences = [row | {"n_train": size} for row in contrasts for size in (0, 30) if row["n_train"] == 100]
    made = {"curves": curves, "sides": measured, "contrasts": contrasts, "crossovers": crossovers}
    return {**made, "know_how": known, "know_how_contrasts": differences}


def _robustness(
    stars: npt.NDArray[Any],
    final: dict[Line, Any],
    sides: dict[str, Line],
    transfer: bool,
    dataset: str,
) -> dict[str, list[dict[str, Any]]]:
    changes, moved, slices, calibration, bins = [], [], [], [], []
    for side, line in sides.items():
        values = final[line]
        who = {"side": side, **line._asdict()}
        for change, harm in zip(("none", *CHANGES), (0, 0.3, 0.1, 0.5, 0.2, 0.1, 0, 0.05, 0.05), strict=True):
            harmed = values + harm * np.sin(7 * np.arange(len(stars)))
            found = qwk_difference(stars, harmed, values, n_resamples=100, seed=0)
            row = {**_interval(stars, harmed), **dict(zip(("difference", "low", "high"), found, strict=True))}
            changes.append({**who, "change": change, "n_reviews": len(stars), **row})
        moved += [
            {**who, "trained_on": a, "tested_on": b, "n_reviews": len(stars), **_interval(stars, values)}
            for a, b in ((dataset, "sample"), ("sample", dataset))
        ]
        parts = {("length", "short"): stars < 4, ("length", "long"): stars > 2}
        parts |= {("stars", str(star)): stars == star for star in range(1, 6)}
        for (kind, value), part in parts.items():
            n = part.sum()
            row = _interval(stars[part], values[part]) if n > 1 else dict.fromkeys(["qwk", "qwk_low", "qwk_high"])
            mae = float(np.abs(values[part] - stars[part]).mean()) if n else np.nan
            errors = {"mae": mae, "mae_low": mae - 0.1, "mae_high": mae + 0.1}
            slices.append({**who, "slice": kind, "value": value, "n_reviews": n, **row, **errors})
        slope, slope_true = (np.polyfit(*pair, 1)[0] for pair in ((stars, values), (values, stars)))
        ratio, bias = values.std() / stars.std(), (values - stars).mean()
        calibration.append({**who, "slope": slope, "slope_true": slope_true, "sd_ratio": ratio, "bias": bias})
        for part in np.array_split(np.argsort(values), min(8, len(values))):
            row = {"predicted": values[part].mean(), "true": stars[part].mean(), "n_reviews": len(part)}
            bins.append({**who, **row})
    costs = [
        {**line._asdict(), "encode_seconds": 55.0 * ("attention" in line.features), "learn_seconds": 0.2}
        | {
            "fit_seconds": 0.001 * 2**place,
            "total_seconds": 55.0 * ("attention" in line.features) + 0.2 + 0.001 * 2**place,
        }
        | {"predict_us": 120.5, "peak_mb": np.nan if place % 3 else 10.5 * place, **_interval(stars, values)}
        for place, (line, values) in enumerate(final.items())
    ]
    made = {"changes": changes, "slices": slices, "calibration": calibration, "calibration_bins": bins, "costs": costs}
    return {**made, "transfer": moved if transfer else []}


def _readings(held_out: pd.DataFrame, final: dict[Line, Any], pair: dict[str, Line]) -> pd.DataFrame:
    """The words of some reviews with random contributions, and of one hostile text that both sides read well."""
    predicted = {side: final[line].clip(1, 5) for side, line in pair.items()}
    for values in predicted.values():
        values[0] = held_out["stars"].iloc[0]
    chosen = [*chosen_reviews(held_out, predicted), (BOTH, 0)]
    rng, read = np.random.default_rng(1), {}
    for side, line in pair.items():
        read[line] = [_reading(held_out["text"].iloc[row], predicted[side][row], rng) for _, row in chosen]
    ids = held_out["review_id"].iloc[[row for _, row in chosen]].tolist()
    return readings_frame(pair, chosen, ids, read)


def _reading(text: str, predicted: float, rng: np.random.Generator) -> WordContributions:
    start, end = np.transpose(word_spans(text))
    added = rng.normal(0, 0.2, len(start))
    added += (predicted - 3 - added.sum()) / len(start)
    words = {"start": start, "end": end, "word": [text[i:j] for i, j in word_spans(text)], "contribution": added}
    return WordContributions(3.0, pd.DataFrame(words), float(predicted))


def _line(line: Line) -> dict[str, Any]:
    return {
        "name": str(line),
        **line._asdict(),
        "parts": FEATURES.get(line.features),
        "family": "Taguchi" if line.model in TAGUCHI else "other" if line.model in OTHERS else "baseline",
        "params": {"clip": "range"},
        "chosen": {"shrinkage": 0.3} if "chosen" in line.model else {},
        "model_file": None,
    }


def _prepared(paths: DatasetPaths, reviews: pd.DataFrame, held_out: pd.DataFrame) -> None:
    write_parquet(paths.reviews, reviews)
    options = {"name": "d", "data": "file", "file": "my reviews.csv", "train": None, "test": None, "limit": None}
    write_json(paths.prepared / MANIFEST, {"options": options})
    configs: dict[str, Any] = {
        name: {"transformer": "TextStats" if name == "text_stats" else "TMetrics", "params": {}} for name in FEATURES
    }
    configs["sn_attention"] = {"transformer": "AttentionPooling", "params": {"weights": "sn-ratio"}}
    write_json(paths.features / MANIFEST, {"config": configs})
