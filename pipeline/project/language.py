"""The language of a dataset, as the prepare stage has kept it, and what depends on it."""

from pipeline.files import read_manifest
from pipeline.project.conf import ScoreConfig, score_config
from pipeline.project.paths import DatasetPaths
from pipeline.shipped import SampleName, sample_in


def dataset_language(paths: DatasetPaths) -> str | None:
    """Return "ja" or "zh" where most prepared reviews are in Japanese or in Chinese, None for other languages."""
    language = read_manifest(paths.prepared).get("language")
    return None if language is None else str(language)


def dataset_sample(paths: DatasetPaths) -> SampleName:
    """Return the name of the sample in the language of a dataset: the English one where its language has none."""
    return sample_in(dataset_language(paths))


def dataset_score_config(paths: DatasetPaths) -> ScoreConfig:
    """Return conf/score.yaml as it holds for a dataset, see `ScoreConfig.with_characters`.

    Raises
    ------
    PipelineError
        If it cannot be read.
    """
    config = score_config()
    return config if dataset_language(paths) is None else config.with_characters()
