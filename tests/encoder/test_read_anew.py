"""A model's directory whose files are replaced is another model, in one process and from one run to the next."""

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from project import make_project
from tiny_models import save_kind

from pipeline.attention.maps import attention_map
from pipeline.digest import files_digest
from pipeline.encoder import load_encoder
from pipeline.experiment.columns import fit_transform
from pipeline.experiment.named import estimator_digest
from pipeline.features import AttentionPooling, RTMetrics, SentenceEmbedding, transform_together
from pipeline.project.fingerprint import stage_digests
from pipeline.project.paths import DatasetPaths

pytestmark = pytest.mark.slow

TEXTS = ["good food", "bad service", "never again", "a quiet table"]
OTHER = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32}


@pytest.fixture
def model(tiny_encoder: str, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_encoder, tmp_path / "model"))


def overwrite(model: Path) -> None:
    """Change the weights of a model in place; size and time of the file stay as they were."""
    from safetensors.torch import load_file, save_file

    file = model / "model.safetensors"
    times = file.stat()
    weights = {name: value.clone().neg() if "key" in name else value.clone() for name, value in load_file(file).items()}
    save_file(weights, file, metadata={"format": "pt"})
    assert file.stat().st_size == times.st_size
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_in_one_process(model: Path, tmp_path: Path) -> None:
    def vectors() -> list[Any]:
        poolings = [AttentionPooling("received", model=model).fit(TEXTS), SentenceEmbedding(model).fit(TEXTS)]
        return [each.transform(TEXTS) for each in poolings] + [attention_map(TEXTS[0], model).weights]

    before = vectors()
    encoder = load_encoder(model)
    assert load_encoder(model) is encoder
    overwrite(model)
    assert load_encoder(model) is not encoder
    after = vectors()
    shutil.copytree(model, tmp_path / "elsewhere")
    fresh = AttentionPooling("received", model=tmp_path / "elsewhere").fit_transform(TEXTS)
    for old, new in zip(before, after, strict=True):
        assert np.abs(old - new).max() > 1e-3
    np.testing.assert_array_equal(after[0], fresh)


def test_the_digest_of_a_directory_is_that_of_names_and_contents(model: Path, tmp_path: Path) -> None:
    before = files_digest(model)
    shutil.copytree(model, tmp_path / "copy")
    assert files_digest(str(tmp_path / "copy")) == before
    overwrite(model)
    assert files_digest(model) != before
    (tmp_path / "copy/config.json").rename(tmp_path / "copy/other.json")
    assert files_digest(tmp_path / "copy") != before
    assert files_digest("bundled") == files_digest(None) == files_digest(tmp_path / "nowhere") == ""


@pytest.mark.parametrize("make", [SentenceEmbedding, AttentionPooling, RTMetrics])
def test_a_transformer_has_another_digest(make: Any, model: Path) -> None:
    before = estimator_digest(make(model=str(model)))
    assert estimator_digest(make(model=str(model))) == before
    overwrite(model)
    assert estimator_digest(make(model=str(model))) != before


def test_the_features_stage_is_stale(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make_project(tmp_path / "project", n_per_star=2)
    monkeypatch.chdir(project)
    conf = project / "conf/features/embedding.yaml"
    conf.write_text(yaml.safe_dump({**yaml.safe_load(conf.read_text()), "params": {"model": str(model)}}))
    before = stage_digests("features", DatasetPaths("sample"), {})
    assert stage_digests("features", DatasetPaths("sample"), {}) == before
    overwrite(model)
    assert stage_digests("features", DatasetPaths("sample"), {}).fingerprint != before.fingerprint


def test_token_states_that_are_recorded_are_those_of_the_new_weights(model: Path, tmp_path: Path) -> None:
    is_train = ["train", "train", "train", "train", "test", "test"]
    reviews = pd.DataFrame({"review_id": list("abcdef"), "text": [*TEXTS, "food", "bad"], "stars": [5, 1, 1, 4, 5, 1]})
    reviews["split"] = is_train

    def column() -> Any:
        made = {"t": AttentionPooling("trained", cv=2, model=str(model))}
        return fit_transform(made, reviews, tmp_path / "shards", tmp_path / "tokens")[0]["t"].iloc[:, 1:].to_numpy()

    before = column()
    np.testing.assert_array_equal(column(), before)
    overwrite(model)
    assert np.abs(column() - before).max() > 1e-3


def test_a_path_is_a_model_everywhere(model: Path, tiny_encoder: str) -> None:
    stars = [5, 1, 1, 4]
    assert attention_map(TEXTS[0], model).model == str(model)
    for make in (SentenceEmbedding, AttentionPooling, lambda model: RTMetrics(model, cv=2)):
        a, b = (make(model=each).fit(TEXTS, stars).transform(TEXTS) for each in (model, tiny_encoder))
        np.testing.assert_array_equal(a, b)
    both = {"path": SentenceEmbedding(model).fit(TEXTS), "name": SentenceEmbedding(str(model)).fit(TEXTS)}
    together = transform_together(both, TEXTS)
    np.testing.assert_array_equal(together["path"], together["name"])


def test_another_kind_of_model_in_the_same_place(model: Path, tiny_encoder: str) -> None:
    before = SentenceEmbedding(model).fit(TEXTS).transform(TEXTS)
    shutil.rmtree(model)
    model.mkdir()
    save_kind(model, "electra", tiny_encoder, **OTHER)
    assert np.abs(SentenceEmbedding(model).fit(TEXTS).transform(TEXTS) - before).max() > 1e-3
