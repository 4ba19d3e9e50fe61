"""Every path of the project, in one place; all are relative to the directory that the command runs in."""

from pathlib import Path
from typing import Self

CONF = Path("conf")
FEATURES_CONF = CONF / "features"
MLFLOW_DB = Path("mlflow.db")
MLFLOW_ARTIFACTS = Path("mlruns")
REPORTS = Path("reports")


class DatasetPaths:
    """Where the stages keep what belongs to one dataset; for tables of results see `pipeline.project.tables`.

    Parameters
    ----------
    dataset : str
    reports : Path, default=None
        Directory of the results; None: that of the dataset.

    Attributes
    ----------
    lock : Path
        Held by the process that works on the dataset.
    prepared, reviews, rejected : Path
        Directory of the prepare stage; the checked reviews; the rows that it did not take, with the reasons.
    features, feature_costs : Path
        Directory of the features stage; the seconds that each feature takes if it is made alone.
    shards, tokens, shared : Path
        Finished parts of an encoding that is under way; the token states of all reviews; columns of draws that feature
        sets share while the curves are under way.
    reports, curves, robustness, peers : Path
        Directories of the stages from score on, of the curves, of the robustness and of the peers stage.
    predictions, lines, models : Path
        The predicted stars of the held-out reviews, a column per line; a description of each line; fitted pipelines
        from raw texts.
    draws, verdict : Path
        The finished pieces of score and curves; the verdict in three sentences.
    peer_draws, answers : Path
        The finished pieces of peers; what a language model has answered.
    page, summary, figures : Path
        The report, in short, and its pictures.
    runs, upload : Path
        The MLflow run ids of the last log stage; the id of an upload that has not come to its end.
    """

    def __init__(self, dataset: str, reports: Path | None = None):
        self.dataset = dataset
        self.lock = Path("data/prepared", f".{dataset}.lock")
        self.prepared = Path("data/prepared", dataset)
        self.reviews = self.prepared / "reviews.parquet"
        self.rejected = self.prepared / "rejected.jsonl"
        self.features = Path("data/features", dataset)
        self.feature_costs = self.features / "costs.json"
        self.shards = self.features / "shards"
        self.tokens = self.features / "tokens"
        self.shared = self.features / "shared"
        self.answers = self.features / "answers"
        self.reports = reports or REPORTS / dataset
        self.predictions = self.reports / "predictions.parquet"
        self.lines = self.reports / "lines.json"
        self.models = self.reports / "models"
        self.draws = self.reports / "draws"
        self.curves = self.reports / "curves"
        self.verdict = self.curves / "verdict.json"
        self.robustness = self.reports / "robustness"
        self.peers = self.reports / "peers"
        self.peer_draws = self.peers / "draws"
        self.page = self.reports / "index.html"
        self.summary = self.reports / "summary.md"
        self.figures = self.reports / "figures"
        self.runs = self.reports / "runs.json"
        self.upload = self.reports / "upload.json"

    @classmethod
    def of_reports(cls, directory: Path) -> Self:
        """Return the paths of results that were copied to a directory of any name."""
        return cls(directory.name, directory)

    def feature(self, name: str) -> Path:
        """Return the table of one feature: review_id and its columns."""
        return self.features / f"{name}.parquet"

    def transformer(self, name: str) -> Path:
        """Return the fitted transformer behind one feature."""
        return self.features / f"{name}.skops"

    def known(self, name: str) -> Path:
        """Return the columns of one feature for the embedded reviews, as know-how for this dataset."""
        return self.features / f"{name}.know_how.parquet"
