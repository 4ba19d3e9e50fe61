"""The blocks of docs/scale.md that need a cluster, run on one."""

import re
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from mlflow.models import Model
from project import ROOT
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from pipeline import load_sample
from pipeline.experiment import served
from pipeline.experiment.bounded import BoundedRegressor
from pipeline.experiment.saved import save
from pipeline.features import TextStats
from pipeline.taguchi import t_moments

pytestmark = [pytest.mark.ray, pytest.mark.slow]

PAGE = (ROOT / "docs/scale.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```py\n(.*?)```", PAGE, flags=re.DOTALL)


def block_with(part: str) -> str:
    (block,) = [block for block in BLOCKS if part in block]
    return block


def run(code: str, names: dict[str, Any]) -> dict[str, Any]:
    exec(compile(code, "scale.md", "exec"), names)
    return names


@pytest.fixture(scope="module")
def ray() -> Any:
    ray = pytest.importorskip("ray", reason="the extra ray is not installed")
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=100 * 2**20)
    yield ray
    ray.shutdown()


@pytest.fixture(scope="module")
def model() -> BoundedRegressor:
    reviews = load_sample()[::4]
    return BoundedRegressor(make_pipeline(TextStats(), Ridge())).fit(reviews.text, reviews.stars)


@pytest.fixture
def project(model: BoundedRegressor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Reviews in two files, and the model."""
    file = tmp_path / "model.skops"
    save(file, model)
    options = {"skops_trusted_types": skops.io.get_untrusted_types(file=file), "pip_requirements": ["scikit-learn"]}
    served.save_model(str(tmp_path / "model"), Model(), file, serialization_format="skops", **options)
    for name, rows in (("a", slice(0, 90)), ("b", slice(90, 100))):
        path = tmp_path / f"reviews/{name}.parquet"
        path.parent.mkdir(exist_ok=True)
        load_sample()[["text"]][rows].to_parquet(path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def placed(code: str, project: Path) -> str:
    """The code with the project in place of the bucket and of the registry."""
    code = re.sub(r"s3a?://bucket", project.as_uri(), code)
    return code.replace("models:/stars-sample@champion", str(project / "model"))


def check_scored(project: Path, model: BoundedRegressor) -> None:
    scored = pd.read_parquet(project / "stars").sort_values("text", ignore_index=True)
    expected = load_sample()[["text"]][:100].sort_values("text", ignore_index=True)
    assert scored["text"].tolist() == expected["text"].tolist()
    np.testing.assert_allclose(scored["stars"], model.predict(expected["text"]), atol=1e-9)


def test_sums_add_up_as_a_tree(ray: Any) -> None:
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(3000, 4)), rng.normal(size=3000)
    total = run(block_with("def shard_moments"), {"np": np, "t_moments": t_moments, "X": X, "y": y})["total"]
    expected = t_moments(X, y).to_arrays()
    for name, array in total.to_arrays().items():
        np.testing.assert_allclose(array, expected[name], atol=1e-9)


def test_ray_data_scores_many_texts(ray: Any, project: Path, model: BoundedRegressor) -> None:
    run(placed(block_with("ray.data.read_parquet"), project), {})
    check_scored(project, model)


def test_spark_scores_many_texts(project: Path, model: BoundedRegressor, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyspark", reason="Spark is not installed")
    if shutil.which("java") is None:
        pytest.skip("Spark needs java, which is not installed")
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
    monkeypatch.setenv("PYSPARK_SUBMIT_ARGS", "--master local[1] --conf spark.ui.enabled=false pyspark-shell")
    names = run(placed(block_with("spark_udf"), project), {})
    names["spark"].stop()
    check_scored(project, model)
