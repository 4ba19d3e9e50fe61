"""The report as one page that opens offline."""

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import Any

import jinja2
import pandas as pd
import yaml
from markupsafe import Markup

from pipeline.evaluation.metrics import clip_to_stars, round_to_stars
from pipeline.project.conf import ReportConfig
from pipeline.report import tables, wording
from pipeline.report.attention import Span, spans
from pipeline.report.curve_plots import frontier
from pipeline.report.pictures import Picture
from pipeline.report.results import Results


@dataclass(frozen=True)
class ExplainedReview:
    """A held-out review, cut into spans by what its tokens contribute."""

    stars: int
    spans: list[Span]
    up: list[str]
    down: list[str]


@dataclass(frozen=True)
class Mistake:
    """A held-out review that a side got wrong, its text in two parts of which the first is shown at once."""

    stars: int
    predicted: float
    rounded: int
    text: tuple[str, str]


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


def worst(results: Results, name: str, n_mistakes: int) -> list[Mistake]:
    """Return the held-out reviews that a line of the leaderboard got wrong by most, the worst first.

    Wrong is what rounds to another star; the distance is that of the prediction clipped to 1 to 5 stars.
    """
    held_out = pd.DataFrame(
        {
            "text": results.predictions["review_id"].map(results.texts).astype(str),
            "stars": results.predictions["stars"],
            "predicted": results.predictions[name],
            "rounded": round_to_stars(results.predictions[name]),
        }
    )
    held_out["distance"] = (clip_to_stars(held_out["predicted"]) - held_out["stars"]).abs()
    wrong = held_out[held_out["rounded"] != held_out["stars"]]
    chosen = wrong.sort_values("distance", ascending=False, kind="stable").head(n_mistakes)
    return [
        Mistake(row["stars"], row["predicted"], row["rounded"], wording.cut(row["text"]))
        for row in chosen.to_dict("records")
    ]


def render(dataset: str, results: Results, pictures: list[Picture], config: ReportConfig, made: dict[str, str]) -> str:
    """Return the page.

    Parameters
    ----------
    dataset : str
    results : Results
    pictures : list of Picture
    config : ReportConfig
    made : dict of str to str
        The facts of the reproducibility box.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pipeline.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": tables.number,
        "short": tables.short,
        "breakable": lambda name: Markup("<wbr>").join(re.split(r"(?<=[_+/])", name)),
        "dispersion": wording.dispersion_in_words,
        "data_uri": lambda svg: "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode(),
        "digest": lambda text: "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode(),
        "yaml": lambda value: yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100),
    }
    of_kind: dict[str, list[Picture]] = {}
    for picture in pictures:
        of_kind.setdefault(picture.kind, []).append(picture)
    return environment.get_template("report.html").render(
        dataset=dataset,
        results=results,
        lines=leaderboard(results),
        pictures=of_kind,
        reviews=explained_reviews(results.explained),
        mistakes=[(line, worst(results, line["name"], config.n_mistakes)) for line in results.final.to_dict("records")],
        configs={
            **{stage: found["config"] for stage, found in results.manifests.items()},
            "report": config.model_dump(),
        },
        draws=wording.draws_in_words(results.curves),
        best=next(iter(frontier(results.costs).tail(1).to_dict("records")), None),
        tables=tables,
        facts=made,
    )


def leaderboard(results: Results) -> list[dict[Any, Any]]:
    """Return the lines of the leaderboard with their family and the hyperparameters that were chosen inside."""
    known = {line["name"]: line for line in results.lines}
    rows = []
    for row in results.metrics.to_dict("records"):
        line = known.get(row["name"], {"family": "other", "chosen": {}})
        chosen = ", ".join(f"{key} = {value}" for key, value in line["chosen"].items())
        rows.append({**row, "family": line["family"], "chosen": chosen})
    return rows
