"""Every path of the project, in one place; all are relative to the directory that the command runs in."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

SAMPLE = Path("data/sample/reviews.jsonl")
CONF = Path("conf")
FEATURES_CONF = CONF / "features"
MLFLOW_DB = Path("mlflow.db")
MLFLOW_ARTIFACTS = Path("mlruns")


@dataclass(frozen=True)
class DatasetPaths:
    """Where the stages keep what belongs to one dataset."""

    dataset: str
    copied_reports: Path | None = None

    @classmethod
    def of_reports(cls, directory: Path) -> Self:
        """Return the paths of results that were copied to a directory of any name."""
        return cls(directory.name, directory)

    @property
    def prepared(self) -> Path:
        """Directory of the prepare stage."""
        return Path("data/prepared", self.dataset)

    @property
    def reviews(self) -> Path:
        """The checked reviews: review_id, text, stars, split."""
        return self.prepared / "reviews.parquet"

    @property
    def rejected(self) -> Path:
        """What prepare did not take, with line number and reason."""
        return self.prepared / "rejected.jsonl"

    @property
    def features(self) -> Path:
        """Directory of the features stage."""
        return Path("data/features", self.dataset)

    def feature(self, name: str) -> Path:
        """Return the table of one feature: review_id and its columns."""
        return self.features / f"{name}.parquet"

    def transformer(self, name: str) -> Path:
        """Return the fitted transformer behind one feature."""
        return self.features / f"{name}.skops"

    def explained(self, name: str) -> Path:
        """Return the tokens of some held-out reviews with their attention, where the feature learns it by T-method."""
        return self.features / f"{name}.explained.parquet"

    @property
    def feature_costs(self) -> Path:
        """Seconds that each feature takes if it is made alone."""
        return self.features / "costs.json"

    @property
    def shards(self) -> Path:
        """What the encoder has finished of a features stage that is under way."""
        return self.features / "shards"

    @property
    def tokens(self) -> Path:
        """Token states of all reviews, from which the learned features are made in every draw."""
        return self.features / "tokens"

    @property
    def reports(self) -> Path:
        """Directory of the stages from score on."""
        return self.copied_reports or Path("reports", self.dataset)

    @property
    def predictions(self) -> Path:
        """The predicted star of every test review, one column per features x model."""
        return self.reports / "predictions.parquet"

    @property
    def lines(self) -> Path:
        """What each line of the leaderboard is: parts, parameters, chosen hyperparameters, saved model."""
        return self.reports / "lines.json"

    @property
    def models(self) -> Path:
        """Fitted pipelines from raw texts: the best line of each model."""
        return self.reports / "models"

    @property
    def curves(self) -> Path:
        """Directory of the curves stage."""
        return self.reports / "curves"

    @property
    def draws(self) -> Path:
        """What finished pieces of the score and curves stages predict, so that a run that was killed goes on there."""
        return self.reports / "draws"

    @property
    def verdict(self) -> Path:
        """The verdict in three sentences."""
        return self.curves / "verdict.json"

    @property
    def robustness(self) -> Path:
        """Directory of the robustness stage."""
        return self.reports / "robustness"

    @property
    def runs(self) -> Path:
        """The MLflow run ids of the last log stage."""
        return self.reports / "runs.json"

    @property
    def upload(self) -> Path:
        """The id of an upload to MLflow that has not come to its end."""
        return self.reports / "upload.json"

    @property
    def page(self) -> Path:
        """The report."""
        return self.reports / "index.html"

    @property
    def summary(self) -> Path:
        """The report in short, for a pull request."""
        return self.reports / "summary.md"

    @property
    def figures(self) -> Path:
        """The report's pictures as files of their own."""
        return self.reports / "figures"
