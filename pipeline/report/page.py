"""The report as one page that opens offline."""

import base64
import hashlib
import os
import platform
import re
import shlex
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import yaml
from markupsafe import Markup

from pipeline.files import git_commit
from pipeline.format import number, short
from pipeline.project.conf import ReportConfig
from pipeline.report import alerts, costs, curves, data, headline_figure, peers, predictions, robustness, words
from pipeline.report.figure import Picture, drawing
from pipeline.report.headline import headline
from pipeline.report.live import live
from pipeline.report.outline import outline, tables_beside
from pipeline.report.results import Results, lines_of
from pipeline.scale import FIVE_STARS
from pipeline.sources.formats import dataset_name

_PACKAGES = ("numpy", "scikit-learn", "sentence-transformers", "torch")


def draw(results: Results, config: ReportConfig, complete: bool = True) -> list[Picture]:
    """Draw every figure of the report; until it is complete, those of the scores."""
    with drawing():
        return [
            *(headline_figure.pictures(results) if complete else ()),
            *(curves.pictures(results) if complete else ()),
            *(costs.pictures(results) if complete else ()),
            *predictions.pictures(results, config.n_plots, _looked_into(results, complete)),
            *(robustness.pictures(results) if complete else ()),
            *(peers.pictures(results) if complete and results.peers else ()),
            *data.pictures(results),
        ]


def render(dataset: str, results: Results, pictures: list[Picture], config: ReportConfig, complete: bool = True) -> str:
    """Return the page, with pictures from `draw`; until it is complete, with what the score stage has found."""
    stages: tuple[str, ...] = ("score", "curves", "robustness") if complete else ("score",)
    configs = {stage: results.manifest(stage)["config"] for stage in stages}
    if complete and results.peers:
        configs["peers"], stages = results.peers["config"], (*stages, "peers")
    looked_into = _looked_into(results, complete).to_dict("records")
    template = _environment().get_template("report.html")
    return template.render(
        dataset=dataset,
        complete=complete,
        results=results,
        lines=_leaderboard(results),
        pictures=pictures,
        words=words.section(results, config.n_items, complete),
        mistakes=[(line, predictions.worst(results, line["name"], config.n_mistakes)) for line in looked_into],
        configs={**configs, "report": config.model_dump()},
        facts=_facts(results),
        day=results.day,
        outline=outline(stages),
        files=tables_beside(results.paths, stages),
        alerts=alerts.checks(results, complete),
        data=data.section(results),
        sample_scale=FIVE_STARS,
        **(_found_later(results) if complete else {}),
    )


def _looked_into(results: Results, complete: bool) -> pd.DataFrame:
    """Return the lines whose predictions are looked into: that of each side, or until they are known of each family."""
    return predictions.by_line(results.final if complete else results.best_of_families)


def _found_later(results: Results) -> dict[str, Any]:
    """Return what the stages after score have found."""
    return {
        "headline": headline(results),
        "same_lines": curves.same_lines(results.final),
        "tables": _tables(results),
        "draws": curves.draws_in_words(results.curves),
    }


def _leaderboard(results: Results) -> list[dict[Any, Any]]:
    """Return the lines of the leaderboard with their family and the hyperparameters that were chosen inside."""
    lines = lines_of(results.metrics)
    chosen = [", ".join(f"{key} = {value}" for key, value in results.lines[line]["chosen"].items()) for line in lines]
    families = [results.family(line) for line in lines]
    return results.metrics.assign(family=families, chosen=chosen).to_dict("records")


def _tables(results: Results) -> dict[str, Any]:
    """Return the tables of the page, of slices a list of them."""
    by_quality = results.costs.sort_values("qwk", ascending=False)
    return {
        "sides": curves.sides_now(results.final, results.costs),
        "sizes": curves.sides_by_size(results.sides),
        "crossovers": curves.crossover_table(results.crossovers, results.contrasts, results.n_held_out),
        "contrasts": curves.contrast_table(results.contrasts, results.n_held_out),
        **_know_how_tables(results),
        **(peers.tables(results) if results.peers else {}),
        "frontier": costs.frontier_table(results.costs),
        "costs": costs.line_costs(by_quality, "Costs, best QWK first"),
        "calibration": robustness.calibration_table(results.calibration),
        "changes": robustness.change_table(results.changes),
        "transfer": robustness.transfer_table(results.transfer),
        "slices": robustness.slice_tables(results.slices),
    }


def _know_how_tables(results: Results) -> dict[str, Any]:
    """Return the tables of the curves with know-how, none where there are none."""
    if results.know_how.empty:
        return {}
    beside = ", each side with know-how,"
    return {
        "known_sizes": curves.sides_by_size(results.know_how, beside),
        "known_contrasts": curves.contrast_table(results.know_how_contrasts, results.n_held_out, beside.rstrip(",")),
    }


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pipeline.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., Any]] = {
        "number": number,
        "short": short,
        "breakable": lambda name: Markup("<wbr>").join(re.split(r"(?<=[_+/])", name)),
        "data_uri": lambda svg: "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode(),
        "stacked": _stacked,
        "live": lambda one: Markup(live(one.svg, one.file.removesuffix(".svg"), one.text)),  # noqa: S704
        "digest": lambda text: "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode(),
        "yaml": lambda value: yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100),
    }
    environment.filters |= filters
    return environment


def _stacked(text: str) -> Markup:
    """Return a figure with its interval as HTML, the interval apart from it; a heavy loss stands out.

    Examples
    --------
    >>> str(_stacked("0.67 (0.56 to 0.74)")), str(_stacked("–"))
    ('<b>0.67</b> <small>0.56 to 0.74</small>', '<b>–</b>')
    """
    value, _, interval = text.partition(" (")
    lost = Markup(' class="lost"') if value.startswith(robustness.LOST) else ""
    beside = Markup(" <small>{}</small>").format(interval.rstrip(")")) if interval else ""
    return Markup("<b{}>{}</b>{}").format(lost, value, beside)


def _facts(results: Results) -> dict[str, str]:
    """Return command, commit, data, versions and machine."""
    options = results.make_options
    return {
        "Command": _make_command(options) if options else "unknown, since the stages were not run by make",
        "Commit": git_commit(),
        "Data, sha256": results.reviews_sha256 or "unknown",
        "Python": platform.python_version(),
        "Packages": ", ".join(f"{name} {version(name)}" for name in _PACKAGES),
        "Machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    }


def _make_command(options: dict[str, str | None]) -> str:
    """Return the make command that repeats a run, for a shell.

    Parameters
    ----------
    options : dict of str to str or None
        What the prepare stage was given, by the names of make's variables in lower case.

    Examples
    --------
    >>> _make_command({"data": "file", "name": "my reviews", "file": "a b.csv", "limit": None})
    "make all DATA=file NAME='my reviews' FILE='a b.csv'"
    >>> _make_command({"data": "sample", "name": "sample"})
    'make all'
    """
    file = options.get("file") or options.get("train")
    usual = {"data": "sample", "name": dataset_name(Path(file)) if file else options["data"]}
    words = ["make all"]
    for key, value in ({"data": options["data"], "name": options.get("name")} | options).items():
        if value and value != usual.get(key):
            # make itself would read a dollar sign as the start of a variable.
            words.append(f"{key.upper()}={shlex.quote(value.replace('$', '$$'))}")
    return " ".join(words)
