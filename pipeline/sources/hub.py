"""The Yelp reviews of the hub."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from pipeline.errors import PipelineError, first_line
from pipeline.project.conf import YelpConfig
from pipeline.sources.columns import ColumnNames, find_columns
from pipeline.sources.raw import RawRows, as_parts, by_role
from pipeline.sources.row import Row

_ELSEWHERE = "use DATA=sample (embedded) or DATA=file FILE=path (your own reviews)"


def read_hub(config: YelpConfig) -> tuple[RawRows, RawRows]:
    """Return the pinned Yelp reviews of the hub: training and test split.

    Raises
    ------
    PipelineError
        If the hub cannot be reached and the data set is not in its local cache.
    """
    import datasets
    import huggingface_hub.utils.logging
    from huggingface_hub.errors import HTTPError

    # It retries for half a minute where there is no network; our own line says what to do then.
    huggingface_hub.utils.logging.set_verbosity_error()
    try:
        splits = datasets.load_dataset(config.repository, revision=config.revision)
    except (OSError, ValueError, HTTPError, datasets.exceptions.DatasetsError) as error:
        hidden = error.__cause__ if isinstance(error, datasets.exceptions.DatasetGenerationError) else None
        raise PipelineError(
            f"{config.repository} cannot be loaded from the hub ({first_line(hidden or error)}): {_ELSEWHERE}"
        ) from None
    if not {"train", "test"} <= set(splits):
        raise PipelineError(f"{config.repository} has no train and test split: {_ELSEWHERE}")
    return _split_rows(splits["train"], config, "train"), _split_rows(splits["test"], config, "test")


def _split_rows(split: Any, config: YelpConfig, name: str) -> RawRows:
    columns = find_columns(split.column_names, ColumnNames(), config.repository)
    origin = f"{config.repository}/{name}"

    def rows() -> Iterator[Row]:
        for number, values in enumerate(split.select_columns(columns.names), 1):
            yield Row(number, by_role(values, columns))

    def parts() -> Iterator[pd.DataFrame]:
        return as_parts(rows(), origin)

    return RawRows(origin, columns.labels, parts)
