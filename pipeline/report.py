"""The report stage: one page that opens offline and says who won."""

import base64
import logging
import platform
import re
from dataclasses import dataclass
from importlib.metadata import version
from io import BytesIO
from typing import Any, Literal

import jinja2
import pandas as pd

from pipeline import plots, tracking
from pipeline.config import ReportConfig, report_config, score_config
from pipeline.errors import PipelineError
from pipeline.features import AttentionPooling, TextStats
from pipeline.highlight import Span, spans
from pipeline.metrics import qwk_difference
from pipeline.models import TAGUCHI_FAMILY
from pipeline.paths import DatasetPaths
from pipeline.store import atomic_path, read_manifest, read_parquet, write_text

logger = logging.getLogger(__name__)

_T_ATTENTION = {"sn-ratio", "t-method"}
FEW = 30  # held-out reviews below which differences are not spoken of


@dataclass(frozen=True)
class Results:
    """What the score stage has written."""

    metrics: pd.DataFrame
    predictions: pd.DataFrame
    items: pd.DataFrame
    feature_sets: dict[str, list[str]]
    models: list[str]
    feature_configs: dict[str, dict[str, Any]]
    explained: pd.DataFrame | None = None


@dataclass(frozen=True)
class ExplainedReview:
    """A held-out review, cut into spans by what its tokens contribute."""

    stars: int
    spans: list[Span]
    up: list[str]
    down: list[str]


@dataclass(frozen=True)
class Picture:
    """A figure of the page: what it shows, of which line of the leaderboard, in words and as a PNG."""

    kind: Literal["predictions", "items"]
    name: str
    text: str
    png: bytes


def read_results(paths: DatasetPaths) -> Results:
    """Read the files of the score stage.

    Raises
    ------
    PipelineError
        If they are missing or incomplete.
    """
    manifest = read_manifest(paths.reports)
    if "config" not in manifest:
        raise PipelineError(f"{paths.reports} holds no complete score: run the score stage first")
    try:
        names: dict[str, Any] = {"dtype": dict.fromkeys(["dataset", "features", "model", "item"], str)}
        metrics, items = (
            pd.read_csv(path, **names, keep_default_na=False, na_values=[""]) for path in (paths.metrics, paths.items)
        )
    except (FileNotFoundError, ValueError) as error:
        raise PipelineError(f"{paths.reports}: {error}; run the score stage again") from None
    feature_configs = read_manifest(paths.features).get("config", {})
    explained = [name for name, config in feature_configs.items() if _weights(config) in _T_ATTENTION]
    return Results(
        metrics.assign(name=metrics["features"] + " / " + metrics["model"]),
        read_parquet(paths.predictions, made_by="score"),
        items,
        manifest["config"]["feature_sets"],
        manifest["config"]["models"],
        feature_configs,
        read_parquet(paths.explained(explained[0]), made_by="features") if explained else None,
    )


def _weights(config: dict[str, Any]) -> str | None:
    """Return the weights of a feature that is pooled from token states, else None."""
    if config["transformer"] != AttentionPooling.__name__:
        return None
    return str(config["params"].get("weights", AttentionPooling().weights))


def verdict(results: Results, n_resamples: int, seed: int) -> list[str]:
    """Return who won, in sentences with numbers and 95% intervals.

    Parameters
    ----------
    results : Results
    n_resamples, seed : int
        Of the paired bootstrap behind each difference.
    """
    metrics, n_test = results.metrics, len(results.predictions)
    best = metrics.iloc[0]
    if not best.qwk > 0:
        return [f"Nobody won: no combination agrees with the true stars of {n_test} held-out reviews beyond chance."]
    sentences = [
        f"{_title(best)} won: of {len(metrics)} combinations it agrees best with the true stars of {n_test} "
        f"held-out reviews, QWK {best.qwk:.3f} (95% interval {best.qwk_low:.3f} to {best.qwk_high:.3f})."
    ]
    if n_test < 50:
        sentences.append(f"With only {n_test} held-out reviews the ranking is mostly noise.")
    if n_test < FEW:
        return sentences
    # Ablations are many, and the best of many looks better than it is: groups are compared without them.
    main = metrics[metrics["model"].isin(results.models)]
    is_taguchi = main["model"].isin(TAGUCHI_FAMILY)
    by_attention = _uses(results, main, {"received", "cls", "trained", *_T_ATTENTION})
    t_method, trained = _uses(results, main, _T_ATTENTION), _uses(results, main, {"trained"})
    for what, mask, rest, others in (
        ("member of the Taguchi family", is_taguchi, "other model", ~is_taguchi),
        ("combination pooled by attention", by_attention, "one without it", ~by_attention),
        ("combination with T-attention", t_method & ~trained, "one with a query trained by gradient descent", trained),
    ):
        if mask.any() and others.any():
            sentences.append(_compare(results, what, main[mask], rest, main[others], n_resamples, seed))
    return sentences


def _uses(results: Results, lines: pd.DataFrame, weights: set[str]) -> "pd.Series[bool]":
    """Return which lines have a feature with such attention weights."""
    names = {name for name, config in results.feature_configs.items() if _weights(config) in weights}
    return lines["features"].map(lambda features: bool(names & set(results.feature_sets.get(features, []))))


def _compare(
    results: Results,
    what: str,
    lines: pd.DataFrame,
    rest: str,
    others: pd.DataFrame,
    n_resamples: int,
    seed: int,
) -> str:
    a, b = lines.iloc[0], others.iloc[0]
    stars, predictions = results.predictions["stars"], results.predictions
    difference, low, high = qwk_difference(stars, predictions[a["name"]], predictions[b["name"]], n_resamples, seed)
    if low > 0:
        outcome = "it is ahead, and the interval leaves out 0"
    elif high < 0:
        outcome = "it is behind, and the interval leaves out 0"
    else:
        outcome = f"these {len(stars)} reviews do not tell the two apart"
    return (
        f"The best {what}, {_title(a)}, reaches {a.qwk:.3f}, the best {rest}, {_title(b)}, {b.qwk:.3f}: "
        f"difference {difference:+.3f} (95% interval {low:+.3f} to {high:+.3f}, paired), {outcome}."
    )


def _title(line: Any) -> str:
    return f"{line['model']} on {line['features']}"


def item_lines(results: Results) -> list[tuple[dict[Any, Any], pd.DataFrame]]:
    """Return the items of the best T-method, and of the best one on text statistics, which are easiest to read.

    Returns
    -------
    list of (line of the leaderboard, its items sorted by S/N ratio)
    """
    t_methods = results.metrics[results.metrics["model"].isin(results.items["model"].unique())]
    if t_methods.empty:
        return []
    plain = {name for name, config in results.feature_configs.items() if config["transformer"] == TextStats.__name__}
    on_plain = t_methods["features"].map(lambda name: set(results.feature_sets[name]) <= plain)
    chosen = pd.concat([t_methods.head(1), t_methods[on_plain].head(1)]).drop_duplicates("name")
    tables = []
    items = results.items
    for line in chosen.to_dict("records"):
        own = (items["features"] == line["features"]) & (items["model"] == line["model"]) & (items["eta"] > 0)
        tables.append((line, items[own].sort_values("eta", ascending=False)))
    return tables


def draw(results: Results, config: ReportConfig) -> list[Picture]:
    """Draw the best line of each model, and the strongest items of the T-methods that `item_lines` chooses."""
    pictures = []
    for line in results.metrics.drop_duplicates("model").head(config.n_plots).to_dict("records"):
        title = f"{_title(line)}: QWK {line['qwk']:.3f}, MAE {line['mae']:.3f}"
        figure = plots.predicted_against_true(results.predictions["stars"], results.predictions[line["name"]], title)
        text = f"Predicted against true stars, {title}."
        pictures.append(Picture("predictions", line["name"], text, _png(figure)))
    for line, items in item_lines(results):
        figure = plots.strongest_items(items.head(config.n_items), _title(line))
        text = f"S/N ratio in dB of the strongest items of {_title(line)}: {', '.join(items['item'].head(3))} lead."
        pictures.append(Picture("items", line["name"], text, _png(figure)))
    return pictures


def explained_reviews(explained: pd.DataFrame | None) -> list[ExplainedReview]:
    """Return the reviews that the features stage has explained, the one with the most stars first."""
    if explained is None:
        return []
    reviews = []
    for _, tokens in explained.groupby("review_id", sort=False):
        pieces = spans(str(tokens["text"].iloc[0]), tokens)
        ranked = sorted(pieces, key=lambda span: span.share)
        up = list(dict.fromkeys(span.text for span in reversed(ranked) if span.share > 0))[:3]
        down = list(dict.fromkeys(span.text for span in ranked if span.share < 0))[:3]
        reviews.append(ExplainedReview(int(tokens["stars"].iloc[0]), pieces, up, down))
    return sorted(reviews, key=lambda review: -review.stars)


def render(dataset: str, results: Results, pictures: list[Picture], sentences: list[str]) -> str:
    """Return the page.

    Parameters
    ----------
    dataset : str
    results : Results
    pictures : list of Picture
    sentences : list of str
        The verdict.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pipeline"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["number"] = lambda value, digits=3: "–" if value != value else f"{value:.{digits}f}"
    environment.filters["data_uri"] = lambda png: "data:image/png;base64," + base64.b64encode(png).decode()
    facts = {
        "Commit": tracking.git_commit(),
        "Python": platform.python_version(),
        **{name: version(name) for name in ("scikit-learn", "sentence-transformers", "torch", "mlflow")},
    }
    return environment.get_template("report.html").render(
        dataset=dataset,
        lines=results.metrics.to_dict("records"),
        pictures=pictures,
        reviews=explained_reviews(results.explained),
        sentences=sentences,
        facts=facts,
    )


def run(dataset: str) -> None:
    """Run the stage: draw, write the page, add it to the MLflow runs."""
    paths, config, score = DatasetPaths(dataset), report_config(), score_config()
    results = read_results(paths)
    sentences = verdict(results, score.n_resamples, score.seed)
    pictures = draw(results, config)

    files = {paths.figures / f"{picture.kind}_{_slug(picture.name)}.png": picture for picture in pictures}
    for path, picture in files.items():
        with atomic_path(path) as temporary:
            temporary.write_bytes(picture.png)
    for stale in set(paths.figures.glob("*.png")) - set(files):
        stale.unlink()
    page = render(dataset, results, pictures, sentences)
    try:
        tracking.log_report(paths, page, {path: picture.name for path, picture in files.items()})
    finally:
        # Last, so that a report that was not logged for a kill is made again; and in any case, so that it is not lost.
        write_text(paths.page, page)
    for sentence in sentences:
        logger.info("%s", sentence)


def _png(figure: Any) -> bytes:
    content = BytesIO()
    figure.savefig(content, format="png", dpi=110)
    return content.getvalue()


def _slug(name: str) -> str:
    return re.sub(r"[^\w+-]+", "_", name).strip("_").lower()
