"""The report as one page that opens offline."""

import base64
import hashlib
import re
from collections import defaultdict
from typing import Any

import jinja2
import yaml
from markupsafe import Markup

from pipeline.format import number, short
from pipeline.project.conf import ReportConfig
from pipeline.report import calibration, costs, curves, differences, items, predictions, robustness
from pipeline.report.again import facts
from pipeline.report.attention import explained_reviews
from pipeline.report.figure import Picture, drawing
from pipeline.report.leaderboard import leaderboard
from pipeline.report.results import Results


def draw(results: Results, config: ReportConfig) -> list[Picture]:
    """Draw every figure of the report."""
    with drawing():
        return [
            *curves.pictures(results),
            *costs.pictures(results),
            *predictions.pictures(results, config.n_plots),
            *calibration.pictures(results),
            *items.pictures(results, config.n_items),
        ]


def render(dataset: str, results: Results, pictures: list[Picture], config: ReportConfig) -> str:
    """Return the page, with pictures from `draw`."""
    of_kind: dict[str, list[Picture]] = defaultdict(list)
    for picture in pictures:
        of_kind[picture.kind].append(picture)
    manifests = {stage: results.manifest(stage) for stage in ("score", "curves", "robustness")}
    return (
        _environment()
        .get_template("report.html")
        .render(
            dataset=dataset,
            results=results,
            lines=leaderboard(results),
            pictures=of_kind,
            tables=_tables(results),
            reviews=explained_reviews(results.explained),
            mistakes=[
                (line, predictions.worst(results, line["name"], config.n_mistakes))
                for line in results.final.to_dict("records")
            ],
            configs={stage: manifest["config"] for stage, manifest in manifests.items()}
            | {"report": config.model_dump()},
            draws=curves.draws_in_words(results.curves),
            best=next(iter(costs.frontier(results.costs).tail(1).to_dict("records")), None),
            facts=facts(results),
        )
    )


def _tables(results: Results) -> dict[str, Any]:
    """Return the tables of the page, of slices a list of them."""
    by_quality = results.costs.sort_values("qwk", ascending=False)
    return {
        "sides": curves.sides_now(results.final, results.costs),
        "sizes": curves.sides_by_size(results.sides),
        "crossovers": differences.crossover_table(results.crossovers),
        "contrasts": differences.contrast_table(results.contrasts),
        "frontier": costs.frontier_table(results.costs),
        "costs": costs.line_costs(by_quality, "Costs, best QWK first"),
        "calibration": calibration.calibration_table(results.calibration),
        "changes": robustness.change_table(results.changes),
        "transfer": robustness.transfer_table(results.transfer),
        "slices": robustness.slice_tables(results.slices),
    }


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pipeline.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": number,
        "short": short,
        "breakable": lambda name: Markup("<wbr>").join(re.split(r"(?<=[_+/])", name)),
        "dispersion": calibration.dispersion_in_words,
        "data_uri": lambda svg: "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode(),
        "digest": lambda text: "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode(),
        "yaml": lambda value: yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100),
    }
    return environment
