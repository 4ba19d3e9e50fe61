"""The RT method on token vectors: how far a text follows each star's mean vector, and how far it strays from it."""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from pipeline.encoder import BUNDLED, Pooling, load_encoder
from pipeline.encoder.load import check_extra
from pipeline.features.out_of_fold import FOLD_CONSTRAINTS, Array, OutOfFoldTransformer, check_classes
from pipeline.scale import MAX_VALUES
from pipeline.taguchi.rt import rt_variables
from pipeline.text import normalised

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


class UnitSpaces(NamedTuple):
    """Mean and standard deviation of all texts' vectors, and the standardised mean vector of each star's texts."""

    center: Array
    scale: Array
    means: Array


def _token_means(encoder: "SentenceTransformer", texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """Return the mean input embedding of the distinct tokens of each text.

    A look-up in the encoder's table, of the whole text and without special tokens: no layer is computed.

    Parameters
    ----------
    encoder : SentenceTransformer
    texts : sequence of str

    Returns
    -------
    ndarray of shape (n_texts, n_dimensions), float32
        0 for a text without any token.

    Raises
    ------
    ValueError
        If the encoder has no token states.
    """
    Pooling("uniform", 0).size(encoder)
    transformer: Any = encoder[0].auto_model
    table = transformer.get_input_embeddings().weight.detach().float().cpu().numpy()
    # The tokenizer does not take an empty list.
    tokens = encoder.tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"] if len(texts) else []
    distinct = [sorted(set(ids)) for ids in tokens]
    sizes = np.array([len(ids) for ids in distinct], dtype=np.int64)
    ones, ids = np.ones(sizes.sum(), dtype=np.float32), np.fromiter(chain.from_iterable(distinct), dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    has_token = csr_array((ones, ids, starts), shape=(len(distinct), len(table)))
    return (has_token @ table) / np.maximum(sizes, 1).astype(np.float32)[:, None]


class RTMetrics(OutOfFoldTransformer[UnitSpaces]):
    r"""Two variables per star: how far a text follows the mean vector of that star's texts, and how far it strays.

    A text, normalised, is the mean of its distinct tokens' input embeddings (see `_token_means`), standardised over the
    training texts; each star's texts are a unit space with a mean vector, and the RT method's :math:`Y_1 = \beta` and
    :math:`Y_2 = \sqrt{V_e}` (see `rt_variables`) are the columns sensitivity_1 to sensitivity_5 and error_1 to error_5
    where stars go from 1 to 5. They need no order: labels such as "good" and "bad" do as well. A text without any token
    gets 0 everywhere.

    The input embeddings know words but no context, and cost a look-up instead of all layers.

    .. note::
        ``fit_transform(X, y)`` is not ``fit(X, y).transform(X)``: it is computed out of fold, as in
        `sklearn.preprocessing.TargetEncoder`. Otherwise each text would be part of the mean it is compared with.

    Parameters
    ----------
    model : str or Path, default="bundled"
        As in `SentenceEmbedding`; the model needs a transformer with token states.
    revision : str, default=None
        Commit on the hub.
    cv : int, default=5
        Folds of `fit_transform`.
    random_state : int, RandomState instance or None, default=0
        How the texts are dealt to the folds.

    Attributes
    ----------
    metrics_ : UnitSpaces
        `center` and `scale` of shape (n_dimensions,), `means` of shape (n_stars, n_dimensions).
    stars_ : ndarray of shape (n_stars,)
        The values of the target, or its labels, in ascending order.

    References
    ----------
    G. Taguchi's Recognition-Taguchi (RT) method, T(3) of the T-methods.

    Examples
    --------
    >>> from pipeline.features import RTMetrics
    >>> texts = ["Superb ramen.", "Kind people, superb soup.", "Rude waiter.", "Cold soup, rude people."]
    >>> metrics = RTMetrics(cv=2).set_output(transform="pandas").fit_transform(texts, [5, 5, 1, 1])
    >>> metrics.columns.tolist()
    ['sensitivity_1', 'sensitivity_5', 'error_1', 'error_5']
    """

    stars_: npt.NDArray[Any]

    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012 - scikit-learn's form
        "model": [str, Path],
        "revision": [str, None],
        **FOLD_CONSTRAINTS,
    }

    def __init__(self, model: str | Path = BUNDLED, revision: str | None = None, cv: int = 5, random_state: Any = 0):
        self.model = model
        self.revision = revision
        self.cv = cv
        self.random_state = random_state

    def get_feature_names_out(self, input_features: Any = None) -> npt.NDArray[np.object_]:
        """Return the names of the columns.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        ndarray of shape (2 * n_stars,) of str
        """
        stars = self.stars_.tolist()
        written = [star if isinstance(star, str) else f"{star:g}" for star in stars]
        names = [f"{variable}_{star}" for variable in ("sensitivity", "error") for star in written]
        return np.asarray(names, dtype=object)

    def _check_target(self, texts: list[str], y: Any) -> Array:
        """Return the class of each text as a number, and keep the classes."""
        y, classes = check_classes(self, texts, y)
        fractions = [star for star in classes if not isinstance(star, str) and star % 1]
        if fractions and len(classes) > MAX_VALUES:
            raise ValueError(
                f"RTMetrics has one unit space per star: the target must hold whole numbers, or a scale of at most "
                f"{MAX_VALUES} values, got {len(classes)} values such as {fractions[0]:g}."
            )
        self.stars_ = np.array(classes)
        return y

    def _begin(self, texts: list[str], y: Array) -> npt.NDArray[np.float32]:
        return self._rows(texts)

    def _rows(self, texts: list[str]) -> npt.NDArray[np.float32]:
        check_extra("RTMetrics")
        return _token_means(load_encoder(self.model, self.revision), [normalised(text) for text in texts])

    def _learn(self, rows: npt.NDArray[np.float32], y: Array) -> UnitSpaces:
        center, scale = rows.mean(axis=0, dtype=np.float64), rows.std(axis=0, dtype=np.float64)
        # A dimension that is constant carries nothing.
        scale[np.ptp(rows, axis=0) == 0] = np.inf
        means = np.zeros((len(self.stars_), rows.shape[1]))
        # Labels are counted from 0.
        numbers = np.arange(len(means)) if self.stars_.dtype.kind == "U" else self.stars_
        for mean, number in zip(means, numbers, strict=True):
            of_star = y == number
            # Out of fold a rare star may have no text: its mean vector is 0, and it says nothing.
            if of_star.any():
                mean[:] = (rows[of_star].mean(axis=0, dtype=np.float64) - center) / scale
        return UnitSpaces(center, scale, means)

    def _columns(self, rows: npt.NDArray[np.float32], metrics: UnitSpaces) -> Array:
        has_tokens = rows.any(axis=1, keepdims=True)
        standardised = has_tokens * (rows - metrics.center) / metrics.scale
        Y = np.hstack([rt_variables(standardised, mean) for mean in metrics.means])
        return np.hstack([Y[:, ::2], Y[:, 1::2]])
