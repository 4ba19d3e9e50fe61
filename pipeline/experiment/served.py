"""What MLflow logs and loads: a scikit-learn model whose refusals the model server answers in one line."""

import shutil
from pathlib import Path
from typing import Any

import mlflow.sklearn
import numpy as np
import numpy.typing as npt
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.models.model import MLMODEL_FILE_NAME
from mlflow.protos.databricks_pb2 import BAD_REQUEST
from mlflow.pyfunc import FLAVOR_NAME
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import AnyType
from sklearn.dummy import DummyRegressor

from pipeline.errors import first_line
from pipeline.evaluation.word_contributions import word_contributions
from pipeline.experiment.unescape import unescape

_COLUMN = "text"

# As a string column, MLflow would make the text "None" of null and "5" of 5. As a column that has to be there, it would
# refuse another name with all of the data in its message.
SIGNATURE = ModelSignature(
    Schema([ColSpec(AnyType(), _COLUMN, required=False)]),
    Schema([ColSpec(DataType.double)]),
    ParamSchema([ParamSpec("explain", DataType.boolean, False)]),
)


class _Refusal(MlflowException):
    """What is wrong with the texts: HTTP 400 and this one line."""

    def __init__(self, message: str):
        super().__init__(message, error_code=BAD_REQUEST)

    def serialize_as_json(self) -> str:
        # The server has put the data before the message.
        self.message = str(self)
        return str(super().serialize_as_json())


class _Served:
    """The Python function of a model: a table with the column text, to stars."""

    def __init__(self, model: Any):
        self._model = model

    def predict(
        self, table: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> npt.NDArray[np.float64] | pd.DataFrame:
        """Return the stars; with ``params={"explain": True}`` a table of star, base and words, which add up to it."""
        try:
            texts = _texts(table)
            return self._explain(texts) if (params or {}).get("explain") else self._stars(texts)
        except ValueError as error:
            raise _Refusal(first_line(error)) from error
        # Its message is meant for who runs the server, and may name a file there.
        except Exception as error:
            raise _Refusal(f"The model cannot read these texts ({type(error).__name__}).") from error

    def _stars(self, texts: Any) -> npt.NDArray[np.float64]:
        return np.asarray(self._model.predict(texts), dtype=np.float64)

    def _explain(self, texts: "pd.Series[Any]") -> pd.DataFrame:
        """Return for each text the star, what it is without a word, and what each word adds in the text's order."""
        # First, so that what is no text is refused as it is without words.
        stars = self._stars(texts)
        # One after the other: each takes hundreds of texts, and a request may hold thousands.
        found = [word_contributions(self._stars, unescape(text)[0]) for text in texts]
        words = [each.words[["word", "contribution"]].to_dict("records") for each in found]
        return pd.DataFrame({"star": stars, "base": [each.base for each in found], "words": words})


def _texts(table: pd.DataFrame) -> "pd.Series[Any]":
    if _COLUMN not in table:
        raise ValueError(f'Expected texts in a column named "{_COLUMN}", got no such column.')
    texts = table[_COLUMN]
    # This is how MLflow passes on {"text": [...]}.
    return pd.Series(texts.iloc[0], dtype=object) if len(texts) == 1 and isinstance(texts.iloc[0], list) else texts


def save_model(path: str, mlflow_model: Model, model_file: Path, **options: Any) -> None:
    """Save as `mlflow.sklearn.save_model` does, to be loaded by this module; `Model.log` calls it.

    Parameters
    ----------
    path : str
    mlflow_model : Model
    model_file : Path
        The finished model, written by skops.
    **options
        Of `mlflow.sklearn.save_model`, and what `Model.log` keeps for itself.
    """
    options.pop("validate_serving_input", None)
    # MLflow would write the model anew and read it again: it gets a small one, whose file the finished one replaces.
    mlflow.sklearn.save_model(DummyRegressor(), path, mlflow_model=mlflow_model, signature=SIGNATURE, **options)
    shutil.copyfile(model_file, Path(path, mlflow_model.flavors["sklearn"]["pickled_model"]))
    mlflow_model.flavors[FLAVOR_NAME]["loader_module"] = __name__
    mlflow_model.model_size_bytes = sum(file.stat().st_size for file in Path(path).rglob("*") if file.is_file())
    mlflow_model.save(str(Path(path, MLMODEL_FILE_NAME)))


def _load_pyfunc(path: str) -> _Served:
    """Return the Python function; `mlflow.pyfunc.load_model` calls it."""
    return _Served(mlflow.sklearn._load_pyfunc(path).get_raw_model())
