"""What reviews teach, as sums in a small file: to read new reviews with, and to add to reviews at hand."""

from dataclasses import dataclass
from numbers import Integral
from os import PathLike
from typing import Any, get_type_hints

from sklearn.base import clone
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.utils import Bunch, check_consistent_length

from pipeline import __version__
from pipeline.errors import first_line
from pipeline.evaluation.ordinal import ExpectedStarRegressor
from pipeline.features.sentence_metrics import SentenceMetrics
from pipeline.features.text_stats import TextStats
from pipeline.features.word_items import WordItemsTransformer
from pipeline.features.word_sums import WordSums, word_sums_from_arrays
from pipeline.know_how.sums_file import FileArrays, read_sums, write_sums
from pipeline.scale import FIVE_STARS, Scale
from pipeline.segmentation import used_dictionaries
from pipeline.shipped import SAMPLE_KNOW_HOW
from pipeline.taguchi import ClassMoments, MeanRegressor, TMethodRegressor, UnitSpaceClassifierCV, class_moments
from pipeline.text import check_texts

# The features whose sums are kept; the columns of all of them follow those of the text statistics. Metrics of whole
# texts beside those of sentences would double the file, and gain nothing up to some hundred reviews.
WORD_FEATURES: dict[str, type[WordItemsTransformer]] = {"sentence_metrics": SentenceMetrics}
_COLUMNS = "columns"
# As many as there are folds, so that each review gets columns from others.
_FEWEST = 5


@dataclass(frozen=True)
class About:
    """Where know-how comes from.

    Parameters
    ----------
    origin, licence : str
        Of the reviews; several are separated by "; ".
    n_texts : int
        How many they are.
    min_texts : int
        In how many texts a word is at least.
    scale : str
        The scale of the stars, as `Scale.parse` reads it.
    version : str
        Version of this package that made the sums.
    """

    origin: str
    licence: str
    n_texts: int
    min_texts: int
    scale: str
    version: str


@dataclass(frozen=True, eq=False, repr=False)
class KnowHow:
    """What reviews teach, as sums without a review: those of two groups of reviews add up with ``+``.

    Make it with `make_know_how`, read it with `load_know_how`.

    Parameters
    ----------
    words : dict of str to WordSums
        The sums of the words, by the name of the feature that reads them.
    columns : ClassMoments
        The sums of the columns of all features side by side, for each star.
    about : About
        Origin, licence, counts and scale.

    Examples
    --------
    The sample that comes with the package reads reviews without a training review:

    >>> from pipeline.know_how import load_know_how
    >>> sample = load_know_how("sample")
    >>> reader = sample.reader()
    >>> reader.predict(["Rude staff, cold food.", "The room was small, the bed fine.", "Great food!"]).round().tolist()
    [1.0, 3.0, 5.0]

    Your reviews, however few, are added to it by a fit:

    >>> model = sample.pipeline().fit(["Cold fries. The burger was fine."], [3])
    """

    words: dict[str, WordSums]
    columns: ClassMoments
    about: About

    def __repr__(self) -> str:
        about = self.about
        return f"KnowHow(origin={about.origin!r}, n_texts={about.n_texts}, scale={about.scale!r})"

    @property
    def scale(self) -> Scale:
        """The scale of the stars."""
        return Scale.parse(self.about.scale)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, each behind the name of its feature."""
        features: list[tuple[str, Any]] = [("text_stats", TextStats()), *((n, WORD_FEATURES[n]()) for n in self.words)]
        return tuple(f"{name}: {column}" for name, each in features for column in each.get_feature_names_out())

    @property
    def reading(self) -> str:
        """How Japanese and Chinese words were read: "dictionary" or "characters"; "" where there are none."""
        return next((sums.reading for sums in self.words.values() if sums.reading), "")

    def __add__(self, other: "KnowHow | int") -> "KnowHow":
        if isinstance(other, int) and other == 0:
            return self
        if not isinstance(other, KnowHow):
            return NotImplemented
        if self.about.scale != other.about.scale:
            raise ValueError(
                f"Know-how must be of one scale, got {self.about.scale} and {other.about.scale}: make one of them anew "
                "from stars that are converted."
            )
        words = {name: sums + other.words[name] for name, sums in self.words.items()}
        about = About(
            origin=_joined(self.about.origin, other.about.origin),
            licence=_joined(self.about.licence, other.about.licence),
            n_texts=self.about.n_texts + other.about.n_texts,
            min_texts=min(self.about.min_texts, other.about.min_texts),
            scale=self.about.scale,
            version=__version__,
        )
        return KnowHow(words, self.columns + other.columns, about)

    __radd__ = __add__

    def pipeline(self, rows: float = 100) -> Pipeline:
        """Return text features and T-methods that add this know-how to the reviews they are fitted on.

        The model is the mean of Ta's estimate and of the expected star of unit spaces; on a scale with parts of stars
        it is Ta alone.

        Parameters
        ----------
        rows : float, default=100
            As how many rows the sums of the columns count. The sums of the words count in full: each text as one.

        Returns
        -------
        Pipeline
            Not fitted. One review is enough for ``fit(texts, stars)``; it predicts numbers on the scale.
        """
        words = [(name, WORD_FEATURES[name](know_how=sums)) for name, sums in self.words.items()]
        return self._pipeline(words, self._model(self.columns.counting_as(rows)))

    def reader(self) -> Pipeline:
        """Return text features and T-methods that have learned from this know-how alone.

        Returns
        -------
        Pipeline
            Fitted: ``predict(texts)`` gives numbers on the scale. Another ``fit`` forgets the know-how.
        """
        words = [(name, WORD_FEATURES[name]().fit_sums(sums)) for name, sums in self.words.items()]
        model = self._model(None)
        model.named_estimators_ = Bunch(**{name: _fitted(clone(each), self.columns) for name, each in model.estimators})
        model.estimators_ = list(model.named_estimators_.values())
        return self._pipeline(words, model)

    def _pipeline(self, words: list[tuple[str, Any]], model: MeanRegressor) -> Pipeline:
        statistics = TextStats(words=self.reading or "auto")
        return Pipeline([("features", FeatureUnion([("text_stats", statistics), *words])), ("model", model)])

    def _model(self, known: ClassMoments | None) -> MeanRegressor:
        estimates: list[tuple[str, Any]] = [
            ("Ta", TMethodRegressor("all", clip=(self.scale.low, self.scale.high), know_how=known))
        ]
        if all(float(value).is_integer() for value in self.scale.values):
            estimates.append(("unit spaces", ExpectedStarRegressor(UnitSpaceClassifierCV(know_how=known))))
        return MeanRegressor(estimates)

    def save(self, path: str | PathLike[str]) -> None:
        """Write a safetensors file: the sums, and a header that says what they are.

        Equal know-how makes equal files. A file is either complete or not there.

        Parameters
        ----------
        path : path-like
            By convention with the suffix ``.safetensors``.
        """
        arrays = {f"{_COLUMNS}.{name}": array for name, array in self.columns.to_arrays().items()}
        for feature, sums in self.words.items():
            arrays |= {f"{feature}.{name}": array for name, array in sums.to_arrays().items()}
        header = {"about": vars(self.about), "columns": self.names}
        if self.reading:
            header |= {"words": self.reading, "dictionaries": used_dictionaries(self.reading)}
        write_sums(path, arrays, header)


def _fitted(estimator: Any, sums: ClassMoments) -> Any:
    """Return a T-method, or unit spaces read as a regressor, that have learned from sums alone."""
    if isinstance(estimator, TMethodRegressor):
        return estimator.fit_moments(sums)
    estimator.classifier_, estimator.classes_per_star_ = estimator.classifier.fit_moments(sums), 1
    return estimator


def make_know_how(
    texts: Any,
    stars: Any,
    *,
    origin: str,
    licence: str = "",
    min_texts: int = 5,
    scale: Scale | str = FIVE_STARS,
    words: str = "auto",
) -> KnowHow:
    """Sum up what reviews teach.

    The sums hold no review, and no word or phrase that fewer than `min_texts` of them have: no name, no rare
    phrase. They do hold, for each star, the number of reviews, and means and products of the text statistics and the
    metrics of words: from the sums of few reviews (about as many as there are columns) single statistics, such as the
    length of the longest review, can be worked out. So a star needs `min_texts` reviews, too.

    Parameters
    ----------
    texts : sequence of str
        The reviews.
    stars : array-like of shape (n_texts,)
        Their stars.
    origin : str
        Where they come from; it stands in the file.
    licence : str, default=""
        Under which they may be used; it stands in the file.
    min_texts : int, default=5
        How many reviews must have a word, and a star.
    scale : Scale or str, default=FIVE_STARS
        Of the stars; a str such as "1..10" is read by `Scale.parse`.
    words : {"auto", "dictionary", "characters"}, default="auto"
        How Japanese and Chinese are read, see `pipeline.segmentation.reading`; the file says it, and whoever uses the
        know-how reads them so.

    Returns
    -------
    KnowHow
        The columns of words are computed out of fold, so that a review's stars are not read from its words.

    Raises
    ------
    ValueError
        If a text or a star is none, if there are fewer than five reviews, if no word is in `min_texts` of them, if a
        star has fewer than `min_texts`, or if `min_texts` is no whole number, `origin` or `licence` no text.

    Examples
    --------
    >>> from pipeline import load_sample
    >>> reviews = load_sample()[::3]
    >>> make_know_how(reviews.text, reviews.stars, origin="a third of the sample", licence="BSD-3-Clause")
    KnowHow(origin='a third of the sample', n_texts=200, scale='1..5')
    """
    scale = Scale.parse(scale) if isinstance(scale, str) else scale
    texts, stars = check_texts(texts), scale.check(stars)
    check_consistent_length(texts, stars)
    if len(texts) < _FEWEST:
        raise ValueError(f"Know-how is the sum of {_FEWEST} reviews or more, got {len(texts)}.")
    if not isinstance(min_texts, Integral) or min_texts < 1:
        raise ValueError(f"min_texts must be a whole number of 1 or more, got {min_texts!r}.")
    for name, value in (("origin", origin), ("licence", licence)):
        if not isinstance(value, str):
            raise ValueError(f"{name} must be a text, got {value!r}.")
    counts = {star: int((stars == star).sum()) for star in scale.values}
    if few := [f"{n} of {star:g}" for star, n in counts.items() if 0 < n < min_texts]:
        raise ValueError(
            f"Fewer reviews of a star than min_texts={min_texts} ({', '.join(few)} stars): their sums would tell too "
            "much of each. Leave them out, or lower min_texts."
        )
    min_texts = int(min_texts)
    limits = (scale.low, scale.high)
    features = {name: kind(min_df=min_texts, target_range=limits, words=words) for name, kind in WORD_FEATURES.items()}
    columns = FeatureUnion([("text_stats", TextStats(words=words)), *features.items()]).fit_transform(texts, stars)
    about = About(origin, licence, len(texts), min_texts, scale.written, __version__)
    return KnowHow({name: each.sums_ for name, each in features.items()}, class_moments(columns, stars), about)


def load_know_how(path: str | PathLike[str]) -> KnowHow:
    """Read know-how from a file; no code that a file may hold is run.

    Parameters
    ----------
    path : path-like
        A file that `KnowHow.save` wrote, or "sample" for the know-how of the embedded sample.

    Returns
    -------
    KnowHow

    Raises
    ------
    ValueError
        If the file is missing or damaged, holds something else, or comes from another version of the features.
    """
    where = SAMPLE_KNOW_HOW if path == "sample" else path
    header, arrays = read_sums(where)
    try:
        return _from_file(header, arrays)
    except ValueError as error:
        raise ValueError(f"{where} is no know-how of this version ({first_line(error)}): make it anew.") from None


def _from_file(header: dict[str, Any], arrays: FileArrays) -> KnowHow:
    about = header.get("about")
    kinds = get_type_hints(About)
    if not isinstance(about, dict) or {name: type(value) for name, value in about.items()} != kinds:
        raise ValueError(f"about must hold {', '.join(kinds)}")
    if min(about["n_texts"], about["min_texts"]) < 1:
        raise ValueError("n_texts and min_texts must be 1 or more")
    scale = Scale.parse(about["scale"])
    parts = {name: _part(arrays, name) for name in (*WORD_FEATURES, _COLUMNS)}
    columns = ClassMoments.from_arrays(parts.pop(_COLUMNS))
    scale.check(columns.classes, "classes")
    # Files of versions that knew no dictionary do not say it.
    read = header.get("words", "characters")
    if read not in ("dictionary", "characters"):
        raise ValueError(f"words must be dictionary or characters, got {read!r:.20}")
    words = {name: word_sums_from_arrays(part, (scale.low, scale.high), read) for name, part in parts.items()}
    know_how = KnowHow(words, columns, About(**about))
    columns_then = [str(name) for name in header.get("columns") or []]
    if not know_how.reading:
        # In texts that VADER reads, only the names have changed since.
        columns_then = [name.replace("text_stats: vader", "text_stats: sentiment") for name in columns_then]
    if columns_then != list(know_how.names) or columns.n_items != len(know_how.names):
        raise ValueError(f"version {about['version']!r:.20} has made other columns")
    return know_how


def _part(arrays: FileArrays, feature: str) -> FileArrays:
    """Return the arrays of one feature, by their names in it."""
    start = f"{feature}."
    return {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}


def _joined(*lists: str) -> str:
    """Return all that stands in lists separated by semicolons, each once."""
    return "; ".join(dict.fromkeys(part for each in lists for part in each.split("; ") if part))
