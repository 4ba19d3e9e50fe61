"""Raw rows checked, limited and split: usable reviews, and the rejected rows with their reasons."""

from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.deal import stratified
from pipeline.errors import PipelineError
from pipeline.experiment.engine import find_near_identical
from pipeline.experiment.rating import Rating
from pipeline.experiment.usable import Rejected, UsableReviews, find_usable, has_text
from pipeline.project.conf import PrepareConfig
from pipeline.scale import Scale
from pipeline.sources.raw import RawRows

MIN_REVIEWS = 10
_LEAK = "nearly identical to a test review"


@dataclass(frozen=True)
class Source:
    """Raw reviews; `test` where the source brings its own test split."""

    train: RawRows
    test: RawRows | None = None


class Prepared(NamedTuple):
    """What the prepare stage keeps and says.

    Attributes
    ----------
    reviews : DataFrame with columns review_id, text, stars, split, and category if the source has one
    rejected : Rejected
    n_read : int
        Number of rows in the source.
    rating : Rating
    unescaped : dict of str to int
        How many of the reviews held what, before it was undone.
    largest_group : int
        How many reviews the largest group of nearly identical texts holds.
    n_alike : int
        How many reviews have a nearly identical one.
    """

    reviews: pd.DataFrame
    rejected: Rejected
    n_read: int
    rating: Rating
    unescaped: dict[str, int]
    largest_group: int
    n_alike: int


def _reviews_schema(scale: Scale) -> Any:
    # It takes a while to import, and only this stage needs it.
    import pandera.pandas as pa

    return pa.DataFrameSchema(
        {
            "review_id": pa.Column(str, unique=True),
            "text": pa.Column(str, pa.Check(has_text, element_wise=True)),
            "stars": pa.Column(int if scale.is_whole else float, pa.Check.isin(scale.values)),
            "split": pa.Column(str, pa.Check.isin(["train", "test"])),
            "category": pa.Column(str, nullable=True, required=False),
        },
        strict=True,
    )


def split(reviews: pd.DataFrame, config: PrepareConfig) -> pd.DataFrame:
    """Add the column `split`; nearly identical texts stay on one side.

    Parameters
    ----------
    reviews : DataFrame with columns text, stars
    config : PrepareConfig
        Uses seed, test_size and near_identical.

    Returns
    -------
    DataFrame
        `reviews` with "train" or "test" in `split`, and in `group` a number that nearly identical texts share.
    """
    groups = find_near_identical(reviews["text"].tolist(), config.near_identical)
    stars = reviews["stars"].groupby(groups).first()
    n_test = round(config.test_size * len(reviews))
    in_test = stratified(stars, n_test, np.random.default_rng(config.seed), np.bincount(groups))
    return reviews.assign(split=np.where(in_test[groups], "test", "train"), group=groups)


def _without_leaks(reviews: pd.DataFrame, config: PrepareConfig, rejected: Rejected) -> pd.DataFrame:
    """Reject what is nearly identical to a test review, or has its id, from the training split."""
    groups = find_near_identical(reviews["text"].tolist(), config.near_identical)
    is_train = (reviews["split"] == "train").to_numpy()
    leak = is_train & np.isin(groups, groups[~is_train])
    # The test reviews come first.
    same_id = reviews["review_id"].duplicated().to_numpy() & ~leak
    for row, is_leak in zip(reviews[leak | same_id].itertuples(), leak[leak | same_id], strict=True):
        reason = _LEAK if is_leak else f"review_id of a test review: {row.review_id}"
        rejected.add({"file": row.file, "line": row.line, "reason": reason, "text": row.text})
    return reviews.assign(group=groups)[~(leak | same_id)].reset_index(drop=True)


def prepare(source: Source, config: PrepareConfig, limit: int | None = None, scale: Scale | None = None) -> Prepared:
    """Check, limit and split raw reviews.

    The rows are read twice: once for their stars and digests of their texts, which decide what is drawn, and once for
    the texts that are drawn. The memory that this takes hardly grows with the length of the source.

    Parameters
    ----------
    source : Source
        Raw rows, with or without a test split of their own.
    config : PrepareConfig
        Seed and sizes.
    limit : int, optional
        How many reviews to keep at most, drawn stratified by star; with a test split of its own `test_size` of
        them come from there.
    scale : Scale, optional
        Of the stars. Without it the numbers have to fit 1 to 5, or labels 0 to 4.

    Raises
    ------
    PipelineError
        If the stars fit another scale, fewer than ten reviews are left, or the reviews of a split all have the same
        star.
    """
    rng = np.random.default_rng(config.seed)
    sources = [source.train, *([source.test] if source.test else [])]
    usable, rating = find_usable(sources, scale, " and ".join(dict.fromkeys(rows.origin for rows in sources)))
    rejected = Rejected()
    _check_enough(usable, rejected)

    limits: list[int | None] = [limit, None]
    if limit and source.test:
        n_test = round(config.test_size * limit)
        limits = [limit - n_test, n_test]
    read = [each.read(_draw(each.stars, n, rng), rejected) for each, n in zip(usable, limits, strict=False)]
    if source.test is None:
        reviews = split(read[0][0], config)
    else:
        both = [read[1][0].assign(split="test"), read[0][0].assign(split="train")]
        reviews = _without_leaks(pd.concat(both, ignore_index=True), config, rejected)
    sizes = reviews["group"].value_counts()
    _check_splits(reviews, sizes[sizes > 1], rejected)

    schema = _reviews_schema(rating.scale)
    reviews = schema.validate(reviews[[name for name in schema.columns if name in reviews]])
    unescaped = sum((counts for _, counts in read), Counter())
    n_read = sum(each.n_read for each in usable)
    n_alike = int(sizes[sizes > 1].sum())
    return Prepared(reviews, rejected, n_read, rating, dict(unescaped.most_common()), int(sizes.max()), n_alike)


def _draw(stars: npt.NDArray[np.float64], n: int | None, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    if n is None or n >= len(stars):
        return np.ones(len(stars), dtype=bool)
    return stratified(stars, n, rng)


def _check_enough(usable: list[UsableReviews], rejected: Rejected) -> None:
    stars = np.concatenate([each.stars for each in usable])
    few, one_class = len(stars) < MIN_REVIEWS, len(np.unique(stars)) < 2
    if not (few or one_class):
        return
    for each in usable:
        each.read(np.zeros(len(each.stars), dtype=bool), rejected)
    row = rejected.first
    first = f"; first rejected: line {row['line']}, {row['reason']}" if row else ""
    if few:
        raise PipelineError(f"{len(stars)} usable reviews, at least {MIN_REVIEWS} are needed{first}")
    raise PipelineError(f"all {len(stars)} reviews have {stars[0]:g} stars: one class only{first}")


def _check_splits(reviews: pd.DataFrame, repeated: "pd.Series[int]", rejected: Rejected) -> None:
    """Stop where a split has too little to learn from, or to test on.

    `repeated` holds the sizes of the groups of nearly identical texts.
    """
    for name in ("train", "test"):
        stars = reviews.loc[reviews["split"] == name, "stars"]
        if len(stars) >= 2 and (name == "test" or stars.nunique() >= 2):
            continue
        message = f"the {name} split has {len(stars)} reviews with {stars.nunique()} different stars: "
        leaks = rejected.reasons[_LEAK]
        if leaks > len(stars):
            message += f"near_identical in conf/prepare.yaml took {leaks} training reviews for repeated test reviews"
        elif repeated.sum() > len(reviews) / 2:
            n_texts = "one text" if len(repeated) == 1 else f"{len(repeated)} texts"
            message += (
                f"near_identical in conf/prepare.yaml takes {repeated.sum()} of {len(reviews)} reviews for {n_texts}"
            )
        else:
            raise PipelineError(f"{message}two reviews are needed, and two different stars to train on")
        raise PipelineError(f"{message}: raise it (1: only texts with equal word triples are one)")
