"""All usable reviews of a file, for commands that take one."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.experiment.usable import Rejected, find_usable
from pipeline.scale import Scale
from pipeline.sources.columns import ColumnNames
from pipeline.sources.raw import read_files

logger = logging.getLogger(__name__)


def read_review_file(
    file: Path, columns: ColumnNames, encoding: str | None, scale: Scale | None
) -> tuple[pd.DataFrame, Scale]:
    """Return the usable reviews in a file, or in the files of a directory, and the scale of their stars.

    How many rows are left out, and why the first one is, is logged.

    Raises
    ------
    PipelineError
        If the file cannot be read.
    """
    (usable,), rating = find_usable([read_files(file, columns, encoding)], scale, str(file))
    rejected = Rejected()
    reviews, _ = usable.read(np.ones(len(usable.stars), dtype=bool), rejected)
    if len(rejected):
        first = rejected.first or {}
        reason = f"the first in line {first['line']}: {first['reason']}"
        logger.warning("%s: %d of %d rows are left out, %s", file, len(rejected), usable.n_read, reason)
    return reviews, rating.scale
