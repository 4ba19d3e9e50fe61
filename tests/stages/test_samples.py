"""The samples by their names: what the prepare stage keeps of each, and what depends on the language of a data set."""

from pathlib import Path

import pandas as pd
import pytest
from project import ROOT

from pipeline import load_sample
from pipeline.errors import PipelineError
from pipeline.evaluation.perturbations import change_all, changes_in
from pipeline.experiment.know_how import foreign_sample
from pipeline.experiment.models import BASELINES
from pipeline.files import write_json
from pipeline.project.conf import feature_configs, score_config
from pipeline.project.language import dataset_language, dataset_sample, dataset_score_config
from pipeline.project.paths import DatasetPaths
from pipeline.segmentation import common_language
from pipeline.shipped import SAMPLES
from pipeline.stages import all as stages


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("name", "language"), [("sample", None), ("sample-ja", "ja"), ("sample-zh", "zh")])
def test_prepare_keeps_the_language_of_a_sample(empty: Path, name: str, language: str | None) -> None:
    stages.run_stage("prepare", name, {"data": name})
    paths = DatasetPaths(name)
    assert dataset_language(paths) == language
    assert dataset_sample(paths) == name
    # It is no know-how for itself.
    assert foreign_sample(name, pd.read_parquet(paths.reviews)) is None


def test_every_sample_is_there_and_can_be_named() -> None:
    assert set(SAMPLES) == {path.name for path in (ROOT / "data").glob("sample*")}
    for language in ("ja", "zh"):
        reviews = load_sample(language)
        assert common_language(reviews["text"]) == language
        assert set(reviews["stars"].value_counts()) == {24}
    with pytest.raises(ValueError, match="language must be one of en, ja, zh, got 'ko'"):
        load_sample("ko")


def test_reviews_of_a_user_meet_the_sample_in_their_language(empty: Path) -> None:
    reviews = pd.DataFrame({"text": ["味は最高でした。"], "stars": [5]})
    for language, n in ((None, 600), ("ja", 120), ("zh", 120)):
        write_json(Path("data/prepared/mine/manifest.json"), {"language": language})
        sample = foreign_sample("mine", reviews)
        assert sample is not None
        assert len(sample) == n


def test_characters_stand_beside_words_in_japanese_and_chinese_alone(empty: Path) -> None:
    write_json(Path("data/prepared/mine/manifest.json"), {"language": "ja"})
    paths, plain = DatasetPaths("mine"), score_config()
    config = dataset_score_config(paths)
    assert len(config.feature_sets) == len(plain.feature_sets) + 3
    assert set(config.baselines) == set(BASELINES)
    assert set(config.parts) <= set(feature_configs())
    assert dataset_score_config(DatasetPaths("elsewhere")) == plain
    twice = plain.model_copy(update={"baselines": list(BASELINES)})
    with pytest.raises(PipelineError, match=r"'TF-IDF of characters \+ Ridge' stands there already"):
        twice.with_characters()


def test_a_change_speaks_the_language_of_the_reviews() -> None:
    assert "british" in changes_in(None)
    assert "british" not in changes_in("zh")
    for language in ("ja", "zh"):
        text = load_sample(language)["text"][0]
        for change in ("boilerplate", "added_sentence"):
            (changed,) = change_all([text], change, 0, language)
            assert text in changed
            assert changed != text
            assert common_language([changed.replace(text, "")]) == language
