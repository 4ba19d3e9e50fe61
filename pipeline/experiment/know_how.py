"""The embedded reviews as know-how for other reviews: what each side of the second curves gets beside its draw."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.digest import source_digest, value_digest
from pipeline.experiment.columns import fit_transform, token_record
from pipeline.experiment.fitting import Material
from pipeline.experiment.reviews import MIN_REVIEWS
from pipeline.experiment.transformers import learns, learns_from_words, pools_tokens, table_digests
from pipeline.experiment.usable import check
from pipeline.features.word_sums import WordSums
from pipeline.files import read_made_from, read_parquet, write_parquet
from pipeline.progress import progress_bar
from pipeline.project.language import dataset_sample
from pipeline.project.paths import DatasetPaths
from pipeline.shipped import SAMPLES, shipped
from pipeline.sources.raw import read_files

Array = npt.NDArray[np.float64]


def foreign_sample(dataset: str, reviews: pd.DataFrame) -> pd.DataFrame | None:
    """Return the embedded reviews that a dataset does not hold, or None where it is the sample, or holds most of it.

    They are in the language of the dataset, in English where no sample is.
    """
    name = dataset_sample(DatasetPaths(dataset))
    sample, _ = check(read_files(shipped(SAMPLES[name])))
    foreign = sample[~sample["text"].isin(reviews["text"])].reset_index(drop=True)
    return None if dataset == name or len(foreign) < MIN_REVIEWS else foreign


@dataclass(frozen=True)
class KnowHowRows:
    """The embedded reviews as rows, and what was learned from them.

    Attributes
    ----------
    stars : ndarray of shape (n_rows,)
    columns : dict of str to ndarray of shape (n_rows, n_columns)
        Of each feature; out of fold where it learns.
    here : dict of str to ndarray of shape (n_reviews, n_columns)
        Columns of the dataset's reviews, where a feature was learned from the embedded reviews alone.
    words : dict of str to WordSums
        Of the features that learn from words: they add these sums to those of a draw.
    made_from : str
        Digest of all that they come from.
    """

    stars: Array
    columns: dict[str, npt.NDArray[Any]]
    here: dict[str, npt.NDArray[Any]]
    words: dict[str, WordSums]
    made_from: str


def make_know_how(
    paths: DatasetPaths, parts: Mapping[str, Any], sample: pd.DataFrame, texts: npt.NDArray[np.object_], tokens: Path
) -> str:
    """Make the columns of the embedded reviews, and of the dataset's reviews by what was learned from them.

    What was made before from equal settings is kept.

    Parameters
    ----------
    paths : DatasetPaths
    parts : mapping of str to transformer
        The features that are needed, unfitted.
    sample : DataFrame with columns review_id, text, stars
    texts : ndarray of shape (n_reviews,)
        Of the dataset.
    tokens : Path
        Directory of the dataset's token states.

    Returns
    -------
    str
        Digest of all that the columns come from.
    """
    known = value_digest(sample["text"].tolist(), sample["stars"].tolist(), source_digest(__name__))
    made_from = {part: value_digest(each, known) for part, each in table_digests(parts, paths.reviews).items()}
    stale = {part: parts[part] for part in parts if read_made_from(paths.known(part)) != made_from[part]}
    with progress_bar(len(stale), "know-how", "feature") as bar, TemporaryDirectory() as directory:
        if stale:
            rows = sample.assign(split="train")
            tables, _ = fit_transform(stale, rows, Path(directory, "shards"), Path(directory, "tokens"))
        for part, transformer in stale.items():
            table = tables[part].drop(columns="review_id")
            if learns(transformer) and not learns_from_words(transformer):
                X = token_record(transformer, tokens) if pools_tokens(transformer) else texts.tolist()
                here = pd.DataFrame(transformer.transform(X), columns=table.columns)
                table = pd.concat([table, here], ignore_index=True)
            table.attrs["made_from"] = made_from[part]
            write_parquet(paths.known(part), table)
            bar.update()
    return value_digest(made_from)


def read_know_how(paths: DatasetPaths, material: Material, sample: pd.DataFrame, made_from: str) -> KnowHowRows:
    """Return what `make_know_how` has left; `made_from` is what it returned."""
    stars, texts = sample["stars"].to_numpy(dtype=np.float64), sample["text"].tolist()
    columns, here, words = {}, {}, {}
    for part in material.tables:
        if not paths.known(part).exists():
            continue
        table = read_parquet(paths.known(part), made_by="curves").to_numpy()
        columns[part] = table[: len(sample)]
        if len(table) > len(sample):
            here[part] = table[len(sample) :]
        elif part in material.makers:
            words[part] = material.makers[part]().fit(texts, stars).sums_
    return KnowHowRows(stars, columns, here, words, made_from)


def beside_know_how(
    material: Material,
    known: KnowHowRows,
    features: str,
    rows: npt.NDArray[np.intp],
    counting_as: float,
    held_out_rows: npt.NDArray[np.intp] | None = None,
) -> tuple[tuple[npt.NDArray[Any], Array, Array], npt.NDArray[Any]]:
    """Return columns, stars and weights of the embedded reviews and of a draw, and the columns of the held-out reviews.

    Parameters
    ----------
    material : Material
    known : KnowHowRows
    features : str
        A feature set.
    rows : ndarray of int
        Positions of the draw among the training reviews; perhaps none.
    counting_as : float
        As how many rows the embedded reviews count together. Words are too rare for that: in the sums of words each
        embedded review counts as one.
    held_out_rows : ndarray of int, optional
        Positions among the held-out reviews, all of them by default.
    """
    train, test = np.flatnonzero(material.is_train)[rows], np.flatnonzero(~material.is_train)
    test = test if held_out_rows is None else test[held_out_rows]
    drawn, held_out = [], []
    for part in material.feature_sets[features]:
        if part in known.words:
            transformer = material.makers[part]().set_params(know_how=known.words[part])
            if len(train):
                own, others = material.learned(part, transformer, train, test, known.made_from)
            else:
                own = np.empty((0, known.columns[part].shape[1]))
                others = transformer.fit_sums(known.words[part]).transform(material.texts[test])
            drawn.append(own)
            held_out.append(others)
        else:
            table = known.here.get(part, material.tables[part])
            drawn.append(table[train])
            held_out.append(table[test])
    there = np.hstack([known.columns[part] for part in material.feature_sets[features]])
    stars = np.concatenate([known.stars, material.stars[train]])
    weight = np.concatenate([np.full(len(there), counting_as / len(there)), np.ones(len(train))])
    return (np.vstack([there, np.hstack(drawn)]), stars, weight), np.hstack(held_out)
