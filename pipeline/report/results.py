"""The one reader of results, for the report, the log and the comparison."""

import json
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import pandas as pd

from pipeline.digest import file_digest
from pipeline.errors import PipelineError
from pipeline.experiment.line import Line
from pipeline.experiment.read_notes import notes
from pipeline.files import MANIFEST, read_manifest, read_parquet, reading
from pipeline.project.paths import DatasetPaths
from pipeline.project.scale import dataset_scale, kept_scale
from pipeline.project.tables import read_table, table_path
from pipeline.scale import Scale

# Baselines are beside the comparison.
_FAMILIES = {"Taguchi": "Taguchi family", "other": "other models"}


def lines_of(table: pd.DataFrame) -> list[Line]:
    """Return the line that each row of a table is about, from its columns features and model."""
    return [Line(*key) for key in zip(table["features"], table["model"], strict=True)]


def of_line(table: pd.DataFrame, line: Line) -> pd.DataFrame:
    """Return the rows of a table that are about a line."""
    return table[(table["features"] == line.features) & (table["model"] == line.model)]


def _named(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(name=[str(line) for line in lines_of(table)])


def _with_lines_as_sides(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table in which a line of no side, shown for its spread alone, stands as a side of its name."""
    return table.assign(side=table["side"].fillna(table["model"] + " on " + table["features"]))


def _table(name: str, change: Callable[..., pd.DataFrame] = lambda table: table) -> "cached_property[pd.DataFrame]":
    return cached_property(lambda results: change(read_table(results.paths, name)))


@dataclass(frozen=True)
class Results:
    """What the stages have found out about one dataset; a file is read when it is asked for, and once.

    Parameters
    ----------
    paths : DatasetPaths

    Attributes
    ----------
    metrics : DataFrame
        Every metric of every line, best first, with the line's name.
    calibration, calibration_bins : DataFrame
        How the predictions of each side, and of some other lines, are spread; mean predicted and true stars of reviews
        with about the same prediction.
    items, words, curves, sides, contrasts, crossovers, changes, transfer, slices, costs, readings : DataFrame
        The other tables of `pipeline.project.tables`.
    peer_sides, peer_contrasts, peer_costs : DataFrame
        What the peers stage has found, where it has run.
    know_how, know_how_contrasts : DataFrame
        Sides and contrasts of the curves with know-how; empty where there are none.

    Raises
    ------
    PipelineError
        By every attribute whose file is missing, incomplete or damaged, or does not belong to the others; it names the
        stage to run.

    Examples
    --------
    >>> Results(DatasetPaths("nowhere")).costs
    Traceback (most recent call last):
    pipeline.errors.PipelineError: reports/nowhere/robustness/costs.csv is missing: run the robustness stage first
    """

    paths: DatasetPaths

    metrics = _table("metrics", _named)
    items = _table("items")
    words = _table("words")
    curves = _table("curves")
    sides = _table("sides")
    contrasts = _table("contrasts")
    crossovers = _table("crossovers")
    know_how = _table("know_how")
    know_how_contrasts = _table("know_how_contrasts")
    changes = _table("changes")
    transfer = _table("transfer")
    slices = _table("slices")
    calibration = _table("calibration", _with_lines_as_sides)
    calibration_bins = _table("calibration_bins", _with_lines_as_sides)
    costs = _table("costs")
    readings = _table("readings")
    peer_sides = _table("peer_sides")
    peer_contrasts = _table("peer_contrasts")
    peer_costs = _table("peer_costs")

    @classmethod
    def of(cls, name: str) -> Self:
        """Return the results of a dataset by its name, or those in a copied reports directory."""
        paths, directory = DatasetPaths(name), Path(name)
        if paths.reports.is_dir():
            return cls(paths)
        if directory.is_dir():
            return cls(DatasetPaths.of_reports(directory))
        raise PipelineError(
            f"{name!r} is neither a dataset ({paths.reports} is missing) nor a reports directory: run make all first"
        )

    @cached_property
    def manifests(self) -> dict[str, dict[str, Any]]:
        """Manifests of score, curves and robustness, as far as these stages have come to their end."""
        manifests = {stage: read_manifest(self._directory(stage)) for stage in ("score", "curves", "robustness")}
        return {stage: manifest for stage, manifest in manifests.items() if manifest}

    def manifest(self, stage: str) -> dict[str, Any]:
        """Return the manifest of a stage that has to be complete."""
        if stage not in self.manifests:
            raise PipelineError(
                f"{self._directory(stage)} holds no complete {stage} (no manifest.json): run the {stage} stage first"
            )
        return self.manifests[stage]

    @cached_property
    def peers(self) -> dict[str, Any] | None:
        """Manifest of the peers stage; None where it has not run on these reviews."""
        manifest = read_manifest(self.paths.peers)
        of = manifest.get("reviews_sha256"), manifest.get("scale")
        return manifest if manifest and of == (self.reviews_sha256, self.scale.written) else None

    @property
    def peers_are_current(self) -> bool:
        """Whether the peers stage has run since the last score."""
        scored = table_path(self.paths, "metrics")
        return ((self.peers or {}).get("inputs") or {}).get(str(scored)) == file_digest(scored)

    def _directory(self, stage: str) -> Path:
        return self.paths.reports if stage == "score" else Path(getattr(self.paths, stage))

    @property
    def dataset(self) -> str:
        """Name of the dataset."""
        return str(self.manifest("score").get("dataset", self.paths.dataset))

    @cached_property
    def scale(self) -> Scale:
        """The scale of the stars, as the score stage has kept it: copied reports have it, too."""
        return kept_scale(self.paths.reports, "score")

    @property
    def reviews_sha256(self) -> str | None:
        """Digest of the prepared reviews that were scored, None where the score stage has not kept it."""
        return self.manifest("score").get("inputs", {}).get(str(self.paths.reviews))

    @property
    def day(self) -> date | None:
        """The day on which the score stage came to its end; None where no file tells it."""
        manifest = self.paths.reports / MANIFEST
        return date.fromtimestamp(manifest.stat().st_mtime) if manifest.exists() else None

    def check_current(self) -> None:
        """Stop where what was scored are not the prepared reviews, on their scale.

        Raises
        ------
        PipelineError
            It names the stage to run.
        """
        # Read before its digest is taken: a missing or damaged file is named as such.
        paths, _ = self.paths, self.reviews
        if self.reviews_sha256 != file_digest(paths.reviews) or self.scale != dataset_scale(paths):
            raise PipelineError(f"{paths.reports} holds no scores of {paths.reviews}: run the score stage first")

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """The held-out reviews: review_id, stars, and what each line predicts, in a column of its name."""
        predictions = read_parquet(self.paths.predictions, made_by="score")
        self._check(table_path(self.paths, "metrics"), self.metrics["name"], predictions, "score")
        return predictions

    @cached_property
    def lines(self) -> dict[Line, dict[str, Any]]:
        """What each line is, best first: parts, family, params, chosen, model_file, and packages of the user's."""
        lines = {Line(entry["features"], entry["model"]): entry for entry in _read_json(self.paths.lines, "score")}
        if set(map(str, lines)) != set(self.metrics["name"]):
            raise PipelineError(f"{self.paths.lines} is of other lines than the metrics: run the score stage again")
        return lines

    def family(self, line: Line) -> str:
        """Return Taguchi, other or baseline."""
        return str(self.lines.get(line, {}).get("family", "other"))

    @cached_property
    def sentences(self) -> list[str]:
        """The verdict."""
        return [str(sentence) for sentence in _read_json(self.paths.verdict, "curves")["sentences"]]

    @cached_property
    def n_held_out(self) -> int:
        """How many of the held-out reviews the curves are measured on."""
        found = self.manifests.get("curves", {}).get("n_held_out")
        return len(self.predictions) if found is None else int(found)

    @cached_property
    def final(self) -> pd.DataFrame:
        """The sides with all training reviews: side, features, model, name of the line, and QWK with its interval."""
        last = self.sides.sort_values("n_train").groupby("side", sort=False).tail(1).set_index("side")
        final = _named(last.loc[self.sides["side"].unique()].reset_index())
        self._check(self.paths.curves, final["name"], self.predictions, "curves")
        return final

    @cached_property
    def best_of_families(self) -> pd.DataFrame:
        """The best line of the Taguchi family and the best other one, as `final` has those of the sides."""
        of_family = [self.family(line) for line in lines_of(self.metrics)]
        sides = pd.Series(of_family, index=self.metrics.index).map(_FAMILIES)
        return self.metrics.assign(side=sides).dropna(subset="side").drop_duplicates("side")

    @cached_property
    def reviews(self) -> pd.DataFrame:
        """The prepared reviews: review_id, text, stars, split."""
        return read_parquet(self.paths.reviews, made_by="prepare")

    @cached_property
    def make_options(self) -> dict[str, str | None] | None:
        """What the prepare stage was given: data, name, file, train, test and limit; None where it has not kept it."""
        return read_manifest(self.paths.prepared).get("options")

    @cached_property
    def prepared(self) -> dict[str, Any]:
        """Manifest of the prepare stage, empty where it is not beside the results."""
        return read_manifest(self.paths.prepared)

    @property
    def has_reviews(self) -> bool:
        """Whether the prepared reviews are beside the results."""
        return self.paths.reviews.exists()

    def rejected_examples(self, reasons: Collection[str]) -> dict[str, dict[str, Any]]:
        """Return the first rejected row of each reason: file, line, reason and text."""
        examples: dict[str, dict[str, Any]] = {}
        if not (reasons and self.paths.rejected.exists()):
            return examples
        with reading(self.paths.rejected, "prepare"), self.paths.rejected.open(encoding="utf-8") as rows:
            for row in map(json.loads, rows):
                examples.setdefault(row["reason"].split(":")[0], row)
                if examples.keys() >= set(reasons):
                    break
        return examples

    @property
    def unescaped(self) -> dict[str, int]:
        """In how many texts the prepare stage undid an escape that an export had left, by its kind."""
        return dict(self.prepared.get("unescaped") or {})

    @cached_property
    def read(self) -> dict[str, Any]:
        """How much of the texts the features could read, empty where the features stage has not kept it."""
        return dict(read_manifest(self.paths.features).get("read") or {})

    @cached_property
    def reading_notes(self) -> list[str]:
        """How the features read the texts, as far as a reader must know: unknown tokens, Japanese and Chinese."""
        return notes(self.read)

    @cached_property
    def feature_configs(self) -> dict[str, dict[str, Any]]:
        """Transformer and params of each feature by its name."""
        return dict(read_manifest(self.paths.features).get("config", {}))

    def _check(self, source: Path, names: Iterable[str], predictions: pd.DataFrame, stage: str) -> None:
        if missing := set(names) - set(predictions):
            raise PipelineError(
                f"{source} is of other lines than {self.paths.predictions}, which lacks {min(missing)!r}: "
                f"run the {stage} stage again"
            )


def _read_json(path: Path, stage: str) -> Any:
    with reading(path, stage):
        return json.loads(path.read_text(encoding="utf-8"))
