"""Raw rows checked, limited and split: usable reviews, and the rejected rows with their reasons."""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa

from pipeline.deal import stratified
from pipeline.errors import PipelineError
from pipeline.experiment.near_identical import near_identical_groups
from pipeline.project.conf import PrepareConfig
from pipeline.text import normalised

MIN_REVIEWS = 10
_STARS = "stars not a whole number from 1 to 5"
_TEXT = "text empty or not a string"


@dataclass(frozen=True)
class Source:
    """Raw reviews; `test` where the source brings its own test split."""

    train: pd.DataFrame
    test: pd.DataFrame | None = None


def _has_text(text: Any) -> bool:
    return isinstance(text, str) and bool(normalised(text).strip())


_RAW_SCHEMA = pa.DataFrameSchema(
    {
        "text": pa.Column(object, pa.Check(_has_text, element_wise=True, name=_TEXT), nullable=False),
        "stars": pa.Column(float, pa.Check.isin([1, 2, 3, 4, 5], name=_STARS), nullable=False),
    }
)


_REVIEWS_SCHEMA = pa.DataFrameSchema(
    {
        "review_id": pa.Column(str, unique=True),
        "text": pa.Column(str, pa.Check(_has_text, element_wise=True)),
        "stars": pa.Column(int, pa.Check.isin([1, 2, 3, 4, 5])),
        "split": pa.Column(str, pa.Check.isin(["train", "test"])),
        "category": pa.Column(str, nullable=True, required=False),
    },
    strict=True,
)


def check(raw: pd.DataFrame, origin: str) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Divide raw rows into usable reviews and rejected ones.

    Parameters
    ----------
    raw : DataFrame
        As `pipeline.stages.sources` reads it.
    origin : str
        Name of the file, for the rejected rows.

    Returns
    -------
    reviews : DataFrame with columns line, review_id, text, stars, and category if `raw` has one
    rejected : list of dict
        file, line, reason and text of each row that is not in `reviews`.
    """
    stars = pd.to_numeric(raw["stars"], errors="coerce")
    label = pd.to_numeric(raw["label"], errors="coerce") + 1
    table = raw.assign(stars=stars.where(raw["stars"].notna(), label).astype(float))
    reasons: dict[Any, str] = raw["problem"].dropna().to_dict()
    try:
        _RAW_SCHEMA.validate(_without(table, reasons), lazy=True)
    except pa.errors.SchemaErrors as error:
        given = raw["stars"].where(raw["stars"].notna(), "label " + raw["label"].astype(str))
        received = given.where(raw["stars"].notna() | raw["label"].notna(), "none given").to_dict()
        for column, index in error.failure_cases[["column", "index"]].itertuples(index=False, name=None):
            reasons[index] = _TEXT if column == "text" else reasons.get(index, f"{_STARS}: {received[index]}")

    good = _without(table, reasons)
    same_text = good["text"].map(normalised).str.split().str.join(" ")
    first = good["line"].groupby(same_text, sort=False).transform("first")
    reasons |= {index: f"duplicate text: same as line {first[index]}" for index in good.index[first != good["line"]]}

    good = _without(table, reasons)
    text_id = good["text"].map(lambda text: hashlib.sha256(text.encode()).hexdigest()[:16])
    good = good.assign(review_id=good["review_id"].where(good["review_id"].notna(), text_id).astype(str))
    used = good["review_id"][good["review_id"].duplicated()].to_dict()
    reasons |= {index: f"review_id used before: {review_id}" for index, review_id in used.items()}

    reviews = _without(good, reasons)[["line", "review_id", "text", "stars"]].astype({"stars": int})
    if "category" in good:
        named = good["category"].astype(str).str.strip()
        reviews["category"] = named.mask(named == "")
    return reviews.reset_index(drop=True), _rejected(raw, origin, reasons)


def _without(table: pd.DataFrame, reasons: dict[Any, str]) -> pd.DataFrame:
    return table[~table.index.isin(list(reasons))]


def _rejected(table: pd.DataFrame, origin: str, reasons: dict[Any, str]) -> list[dict[str, Any]]:
    lines, texts = table["line"].to_dict(), table["text"].to_dict()
    return [
        {"file": origin, "line": lines[index], "reason": reason, "text": texts[index]}
        for index, reason in sorted(reasons.items())
    ]


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
        `reviews` with "train" or "test" in `split`.
    """
    groups = near_identical_groups(reviews["text"].tolist(), config.near_identical)
    stars = reviews["stars"].groupby(groups).first()
    n_test = round(config.test_size * len(reviews))
    in_test = stratified(stars, n_test, np.random.default_rng(config.seed), np.bincount(groups))
    return reviews.assign(split=np.where(in_test[groups], "test", "train"))


def _join_splits(
    train: pd.DataFrame, test: pd.DataFrame, config: PrepareConfig, origin: str
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Put given splits together; a training review that is nearly identical to a test review is rejected.

    Returns
    -------
    reviews : DataFrame with the column split
    rejected : list of dict
    """
    reviews = pd.concat([test.assign(split="test"), train.assign(split="train")], ignore_index=True)
    groups = near_identical_groups(reviews["text"].tolist(), config.near_identical)
    is_train = (reviews["split"] == "train").to_numpy()
    leak = is_train & np.isin(groups, groups[~is_train])
    reasons: dict[Any, str] = dict.fromkeys(reviews.index[leak], "nearly identical to a test review")
    used = reviews["review_id"][reviews["review_id"].duplicated() & ~leak].to_dict()
    reasons |= {index: f"review_id of a test review: {review_id}" for index, review_id in used.items()}
    return _without(reviews, reasons).reset_index(drop=True), _rejected(reviews, origin, reasons)


def prepare(
    source: Source, config: PrepareConfig, limit: int | None, origins: tuple[str, str]
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Check, limit and split raw reviews.

    Parameters
    ----------
    source : Source
        Raw rows, with or without a test split of their own.
    config : PrepareConfig
        Seed and sizes.
    limit : int or None
        How many reviews to keep at most, drawn stratified by star; with a test split of its own `test_size` of
        them come from there.
    origins : tuple of str
        Names of the train and test files, for the rejected rows.

    Returns
    -------
    reviews : DataFrame with columns review_id, text, stars, split, and category if the source has one
    rejected : list of dict

    Raises
    ------
    PipelineError
        If fewer than ten reviews are left, or the reviews of a split all have the same star.
    """
    rng = np.random.default_rng(config.seed)

    def draw(reviews: pd.DataFrame, n: int) -> pd.DataFrame:
        return reviews[stratified(reviews["stars"], n, rng)].reset_index(drop=True) if n < len(reviews) else reviews

    train, rejected = check(source.train, origins[0])
    if source.test is None:
        _check_enough(train, rejected)
        reviews = split(draw(train, limit or len(train)), config)
    else:
        test, rejected_test = check(source.test, origins[1])
        _check_enough(pd.concat([train, test]), rejected + rejected_test)
        if limit:
            n_test = round(config.test_size * limit)
            train, test = draw(train, limit - n_test), draw(test, n_test)
        reviews, leaks = _join_splits(train, test, config, origins[0])
        rejected += rejected_test + leaks
    for name in ("train", "test"):
        stars = reviews.loc[reviews["split"] == name, "stars"]
        if len(stars) < 2 or (name == "train" and stars.nunique() < 2):
            raise PipelineError(
                f"the {name} split has {len(stars)} reviews with {stars.nunique()} different stars: "
                "two reviews are needed, and two different stars to train on"
            )
    return _REVIEWS_SCHEMA.validate(reviews[[name for name in _REVIEWS_SCHEMA.columns if name in reviews]]), rejected


def _check_enough(reviews: pd.DataFrame, rejected: list[dict[str, Any]]) -> None:
    first = f"; first rejected: line {rejected[0]['line']}, {rejected[0]['reason']}" if rejected else ""
    if len(reviews) < MIN_REVIEWS:
        raise PipelineError(f"{len(reviews)} usable reviews, at least {MIN_REVIEWS} are needed{first}")
    if reviews["stars"].nunique() < 2:
        raise PipelineError(f"all {len(reviews)} reviews have {reviews['stars'].iloc[0]} stars: one class only{first}")
