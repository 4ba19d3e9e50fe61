import shutil
from pathlib import Path

import pytest
import yaml
from project import ROOT

from pipeline.errors import PipelineError
from pipeline.project import conf as config

MODELS = {
    "prepare.yaml": config.PrepareConfig,
    "score.yaml": config.ScoreConfig,
    "report.yaml": config.ReportConfig,
    "features/mean_pooling.yaml": config.FeatureConfig,
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A directory with a copy of conf/, as the working directory."""
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(name):
    return config.load_config(Path("conf", name), MODELS[name])


def change(name, edit):
    path = Path("conf", name)
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    edit(content)
    path.write_text(yaml.safe_dump(content), encoding="utf-8")


def one_line(error):
    message = str(error.value)
    assert "\n" not in message
    return message


def test_every_file_of_the_project_is_loaded(project):
    loaded = {
        Path("conf/prepare.yaml"): config.prepare_config(),
        Path("conf/score.yaml"): config.score_config(),
        Path("conf/curves.yaml"): config.curves_config(),
        Path("conf/robustness.yaml"): config.robustness_config(),
        Path("conf/peers.yaml"): config.peers_config(),
        Path("conf/report.yaml"): config.report_config(),
        **{Path(f"conf/features/{name}.yaml"): value for name, value in config.feature_configs().items()},
    }
    assert set(loaded) == set(Path("conf").rglob("*.yaml"))
    for path, value in loaded.items():
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert {key: item for key, item in value.model_dump().items() if key in content} == content


def test_features_are_named_by_their_files_and_have_no_parameters_unless_given(project):
    Path("conf/features/one.yaml").write_text("transformer: TextStats\n")
    loaded = config.feature_configs()
    assert list(loaded) == sorted(path.stem for path in Path("conf/features").iterdir())
    assert loaded["one"].params == {}
    assert loaded["attention_pooling"].params == {"weights": "received", "layer": 3}


def test_values_cannot_be_changed_after_loading(project):
    with pytest.raises(ValueError, match="frozen"):
        config.score_config().seed = 1


@pytest.mark.parametrize("name", MODELS)
def test_an_unknown_key_is_named_with_the_known_ones(project, name):
    change(name, lambda content: content.update(sead=1))
    with pytest.raises(PipelineError, match="unknown key 'sead'; known: ") as error:
        load(name)
    message = one_line(error)
    assert message.startswith(f"conf/{name}: ")
    assert message.endswith(", ".join(MODELS[name].model_fields))


def test_an_unknown_nested_key_is_named_with_where_it_stands(project):
    change("prepare.yaml", lambda content: content["yelp"].update(rows=5))
    with pytest.raises(PipelineError, match=r"^conf/prepare.yaml: unknown key 'yelp\.rows'$"):
        config.prepare_config()


@pytest.mark.parametrize(
    ("name", "key"),
    [(name, key) for name in MODELS for key, field in MODELS[name].model_fields.items() if field.is_required()],
)
def test_a_missing_key_is_named(project, name, key):
    change(name, lambda content: content.pop(key))
    with pytest.raises(PipelineError, match=rf"^conf/{name}: the key '{key}' is missing$"):
        load(name)


def test_a_missing_nested_key_is_named_with_where_it_stands(project):
    change("prepare.yaml", lambda content: content["yelp"].pop("revision"))
    with pytest.raises(PipelineError, match=r"the key 'yelp\.revision' is missing"):
        config.prepare_config()


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("prepare.yaml", {"seed": "many"}, "seed: Input should be a valid integer.* got 'many'"),
        ("prepare.yaml", {"seed": -1}, "seed: Input should be greater than or equal to 0, got '-1'"),
        ("prepare.yaml", {"test_size": 1.0}, "test_size: Input should be less than 1, got '1.0'"),
        ("prepare.yaml", {"near_identical": 0}, "near_identical: Input should be greater than 0, got '0'"),
        ("prepare.yaml", {"yelp": None}, "yelp: Input should be .*, got 'None'"),
        ("score.yaml", {"n_resamples": 99}, "n_resamples: Input should be greater than or equal to 100, got '99'"),
        ("score.yaml", {"n_resamples": 2000.5}, "n_resamples: Input should be a valid integer.* got '2000.5'"),
        ("score.yaml", {"models": "Ta"}, "models: Input should be a valid list, got 'Ta'"),
        ("score.yaml", {"models": []}, "models: List should have at least 1 item"),
        ("score.yaml", {"baselines": [7]}, r"baselines\.0: Input should be a valid string, got '7'"),
        ("score.yaml", {"feature_sets": {"a": []}}, r"feature_sets\.a: List should have at least 1 item"),
        ("score.yaml", {"feature_sets": {"a": "b"}}, r"feature_sets\.a: Input should be a valid list, got 'b'"),
        ("score.yaml", {"feature_sets": {}}, "feature_sets: Dictionary should have at least 1 item"),
        ("report.yaml", {"n_plots": 0}, "n_plots: Input should be greater than or equal to 1, got '0'"),
        ("features/mean_pooling.yaml", {"transformer": 3}, "transformer: Input should be a valid string, got '3'"),
        ("features/mean_pooling.yaml", {"params": [1]}, "params: Input should be a valid dictionary, got"),
    ],
)
def test_a_wrong_value_is_shown_with_what_is_allowed(project, name, wrong, message):
    change(name, lambda content: content.update(wrong))
    with pytest.raises(PipelineError, match=f"^conf/{name}: {message}") as error:
        load(name)
    one_line(error)


@pytest.mark.parametrize("revision", ["main", "C1F9EE939B7D05667AF864EE1CB066393154BF85", "c1f9ee9"])
def test_the_revision_on_the_hub_is_a_whole_commit(project, revision):
    change("prepare.yaml", lambda content: content["yelp"].update(revision=revision))
    with pytest.raises(PipelineError, match=rf"yelp\.revision: String should match pattern.* got '{revision}'"):
        config.prepare_config()


def test_a_long_wrong_value_is_cut(project):
    change("score.yaml", lambda content: content.update(seed="9" * 5000 + "x"))
    with pytest.raises(PipelineError, match="seed: ") as error:
        config.score_config()
    assert len(one_line(error)) < 250


@pytest.mark.parametrize(
    "content", [b"seed: [1", b"a: b: c", b"\tseed: 1", b"seed: \xff", b"seed: !!python/object/apply:os.getcwd []"]
)
def test_what_is_no_yaml_is_said_to_be_none(project, content):
    Path("conf/score.yaml").write_bytes(content)
    with pytest.raises(PipelineError, match=r"^conf/score\.yaml is not valid YAML: ") as error:
        config.score_config()
    one_line(error)


@pytest.mark.parametrize("content", ["- a\n- b\n", "just words\n", "3\n"])
def test_yaml_that_is_no_mapping_is_refused(project, content):
    Path("conf/report.yaml").write_text(content)
    with pytest.raises(PipelineError, match=r"^conf/report\.yaml: Input should be a valid dictionary") as error:
        config.report_config()
    one_line(error)


def test_an_empty_file_misses_its_first_key(project):
    Path("conf/report.yaml").write_text("# nothing but a comment\n")
    with pytest.raises(PipelineError, match=r"^conf/report\.yaml: the key 'n_plots' is missing$"):
        config.report_config()


@pytest.mark.parametrize(
    ("name", "read"),
    [("prepare", config.prepare_config), ("score", config.score_config), ("report", config.report_config)],
)
def test_in_place_of_a_missing_file_there_is_the_default(project, name, read):
    expected = read()
    Path(f"conf/{name}.yaml").unlink()
    assert read() == expected


def test_features_of_the_working_directory_stand_beside_the_defaults_and_in_place_of_one_with_their_name(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Path("conf/features").mkdir(parents=True)
    Path("conf/features/mine.yaml").write_text("transformer: my_package.Mine\n")
    Path("conf/features/embedding.yaml").write_text("transformer: TextStats\n")
    configs = config.feature_configs()
    assert sorted(configs) == sorted([*(path.stem for path in (ROOT / "conf/features").iterdir()), "mine"])
    assert configs["embedding"].transformer == "TextStats"
    assert configs["mean_pooling"].params == {"weights": "uniform", "layer": 3}


def test_an_unknown_name_is_shown_with_the_known_ones():
    config.check_names(["Ta", "Ridge"], ["Ridge", "Ta"], "model", "conf/score.yaml")
    with pytest.raises(PipelineError, match=r"^conf/score\.yaml: unknown model 'Tb'; known: Ridge, Ta$"):
        config.check_names(["Ta", "Tb", "Tc"], ["Ridge", "Ta"], "model", "conf/score.yaml")
