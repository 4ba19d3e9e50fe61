"""conf/*.yaml as typed values; an unknown or wrong key stops before any work."""

from collections.abc import Hashable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from pipeline.errors import PipelineError, first_line
from pipeline.project.paths import CONF, FEATURES_CONF
from pipeline.shipped import shipped, shipped_files


class _Config(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _unique(names: list[str]) -> list[str]:
    if repeated := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"duplicate entry {', '.join(map(repr, sorted(repeated)))}")
    return names


Names = Annotated[list[str], AfterValidator(_unique)]
_SomeNames = Annotated[list[str], Field(min_length=1), AfterValidator(_unique)]


class _Loader(yaml.SafeLoader):
    """YAML that takes no key twice, where PyYAML would keep the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [key.value for key, _ in node.value]
        if repeated := {key for key in keys if keys.count(key) > 1}:
            raise yaml.constructor.ConstructorError(None, None, f"duplicate key {repeated.pop()!r}")
        return super().construct_mapping(node, deep)


# What every generator of random numbers takes.
Seed = Annotated[int, Field(ge=0, lt=2**32)]


class YelpConfig(_Config):
    """Where the hub keeps the Yelp reviews, and how many of them are taken."""

    repository: str
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    limit: Annotated[int, Field(ge=10)]


class PrepareConfig(_Config):
    """conf/prepare.yaml."""

    seed: Seed
    test_size: Annotated[float, Field(gt=0, lt=1)]
    near_identical: Annotated[float, Field(gt=0, le=1)]
    yelp: YelpConfig


class FeatureConfig(_Config):
    """conf/features/<name>.yaml."""

    transformer: str
    params: dict[str, Any] = {}


class _AblationConfig(_Config):
    """More models, on some of the feature sets only."""

    feature_sets: _SomeNames
    models: _SomeNames


class _CharactersConfig(_Config):
    """What is read character by character, on reviews in Japanese or Chinese only."""

    feature_sets: dict[str, _SomeNames] = {}
    baselines: Names = []


class ScoreConfig(_Config):
    """conf/score.yaml."""

    seed: Seed
    n_resamples: Annotated[int, Field(ge=100)]
    feature_sets: Annotated[dict[str, _SomeNames], Field(min_length=1)]
    models: _SomeNames
    ablations: _AblationConfig | None = None
    baselines: Names
    characters: _CharactersConfig | None = None

    def with_characters(self) -> "ScoreConfig":
        """Return the settings for reviews in Japanese or Chinese: what reads characters stands with the rest.

        Raises
        ------
        PipelineError
            If it has the name of a feature set or a baseline that every language has.
        """
        if self.characters is None:
            return self
        more = self.characters
        twice = [*(self.feature_sets.keys() & more.feature_sets), *(set(self.baselines) & set(more.baselines))]
        if twice:
            raise PipelineError(f"{CONF / 'score.yaml'}: characters: {min(twice)!r} stands there already: rename it")
        sets, baselines = self.feature_sets | more.feature_sets, [*self.baselines, *more.baselines]
        return self.model_copy(update={"feature_sets": sets, "baselines": baselines, "characters": None})

    @property
    def parts(self) -> list[str]:
        """The features that the feature sets are made of, sorted."""
        return sorted({part for parts in self.feature_sets.values() for part in parts})


class SideConfig(_Config):
    """A group of lines that stands for one answer: each of these models on each of these feature sets."""

    feature_sets: _SomeNames
    models: _SomeNames


_Sides = Annotated[dict[str, SideConfig], Field(min_length=2)]
_Contrasts = Annotated[list[Annotated[list[str], Field(min_length=2, max_length=2)]], Field(min_length=1)]


class KnowHowConfig(_Config):
    """A second set of curves, in which every side also gets the embedded reviews."""

    rows: Annotated[float, Field(gt=0)]
    sizes: Annotated[dict[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=1)]], Field(min_length=1)]
    sides: _Sides
    contrasts: _Contrasts


class CurvesConfig(_Config):
    """conf/curves.yaml."""

    seed: Seed
    n_resamples: Annotated[int, Field(ge=100)]
    n_held_out: Annotated[int, Field(ge=10)] = 20_000
    sizes: Annotated[dict[Annotated[int, Field(ge=2)], Annotated[int, Field(ge=1)]], Field(min_length=1)]
    feature_sets: _SomeNames
    sides: _Sides
    contrasts: _Contrasts
    know_how: KnowHowConfig | None = None


class PeersConfig(_Config):
    """conf/peers.yaml."""

    seed: Seed
    n_resamples: Annotated[int, Field(ge=100)]
    n_held_out: Annotated[int, Field(ge=10)]
    sizes: Annotated[dict[Annotated[int, Field(ge=2)], Annotated[int, Field(ge=1)]], Field(min_length=1)]
    features: dict[str, dict[str, Any]] = {}
    feature_sets: dict[str, _SomeNames] = {}
    curves_sides: Names
    sides: _Sides
    contrasts: _Contrasts


class RobustnessConfig(_Config):
    """conf/robustness.yaml."""

    seed: Seed
    n_resamples: Annotated[int, Field(ge=100)]
    n_reviews: Annotated[int, Field(ge=10)]
    n_readings: Annotated[int, Field(ge=0)] = 9


class ReportConfig(_Config):
    """conf/report.yaml."""

    n_plots: Annotated[int, Field(ge=1)]
    n_items: Annotated[int, Field(ge=1)]
    n_mistakes: Annotated[int, Field(ge=1)]


_ConfigT = TypeVar("_ConfigT", bound=_Config)


def load_config(path: Path, model: type[_ConfigT]) -> _ConfigT:
    """Read a YAML file of the working directory, or the default that comes with the package.

    Raises
    ------
    PipelineError
        If the file is missing, is no YAML, or has an unknown, missing or wrong key.
    """
    try:
        content = yaml.load(shipped(path).read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a SafeLoader
    except FileNotFoundError:
        raise PipelineError(f"{path} is missing: restore it, or install the package again") from None
    except (yaml.YAMLError, ValueError) as error:
        raise PipelineError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    try:
        return model.model_validate({} if content is None else content)
    except ValidationError as error:
        raise PipelineError(f"{path}: {_explain(error, model)}") from None


prepare_config = partial(load_config, CONF / "prepare.yaml", PrepareConfig)
score_config = partial(load_config, CONF / "score.yaml", ScoreConfig)
curves_config = partial(load_config, CONF / "curves.yaml", CurvesConfig)
peers_config = partial(load_config, CONF / "peers.yaml", PeersConfig)
robustness_config = partial(load_config, CONF / "robustness.yaml", RobustnessConfig)
report_config = partial(load_config, CONF / "report.yaml", ReportConfig)


def feature_configs() -> dict[str, FeatureConfig]:
    """Return every conf/features/<name>.yaml by its name, defaults that the working directory lacks included."""
    names = sorted(path.name for path in shipped_files(f"{FEATURES_CONF}/*.yaml"))
    return {Path(name).stem: load_config(FEATURES_CONF / name, FeatureConfig) for name in names}


def check_names(names: list[str], known: list[str], what: str, where: str) -> None:
    """Stop at the first name that is not known.

    Raises
    ------
    PipelineError
        It lists the known names.
    """
    for name in names:
        if name not in known:
            raise PipelineError(f"{where}: unknown {what} {name!r}; known: {', '.join(known)}")


def _explain(error: ValidationError, model: type[_Config]) -> str:
    """Return the first of pydantic's complaints as one line."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        if len(first["loc"]) == 1:
            return f"unknown key {key!r}; known: {', '.join(model.model_fields)}"
        return f"unknown key {key!r}"
    if first["type"] == "missing":
        return f"the key {key!r} is missing"
    where = f"{key}: " if key else ""
    return f"{where}{first_line(ValueError(first['msg']))}, got {str(first['input'])[:60]!r}"
