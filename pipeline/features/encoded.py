"""Features from a sentence encoder: its embedding, and token states pooled by attention weights."""

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Mapping
from numbers import Integral
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from pipeline.encoder import BUNDLED, Pooling, encode, load_encoder, output_size
from pipeline.text import check_texts

_ENCODER_CONSTRAINTS: dict[str, list[Any]] = {
    "model": [str],
    "revision": [str, None],
    "batch_size": [Interval(Integral, 1, None, closed="left")],
}


class _EncoderTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator, ABC):
    """What both transformers share: parameters of the encoder, and no weights in the object or its pickle."""

    model: str
    revision: str | None
    batch_size: int

    @abstractmethod
    def pooling(self) -> Pooling:
        """Return how the token states become one vector."""

    def fit(self, X: Any, y: Any = None) -> Self:
        """Check the parameters and the texts, and load the encoder; nothing is learned.

        Parameters
        ----------
        X : sequence of str
            Texts.
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If `X` is not a sequence of str, or a parameter is out of its range.
        OSError
            If the model is not to be had.
        """
        self._validate_params()
        check_texts(X)
        self._n_features_out = output_size(load_encoder(self.model, self.revision), self.pooling())
        return self

    def transform(self, X: Any) -> npt.NDArray[np.float32]:
        """Return the vectors of the texts.

        Parameters
        ----------
        X : sequence of str
            Texts; what goes beyond the encoder's maximum length (256 tokens for the bundled one) is cut.

        Returns
        -------
        ndarray of shape (n_texts, n_dimensions), float32
        """
        check_is_fitted(self)
        return encode(load_encoder(self.model, self.revision), check_texts(X), [self.pooling()], self.batch_size)[0]

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_n_features_out")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.transformer_tags.preserves_dtype = []
        return tags


class SentenceEmbedding(_EncoderTransformer):
    """The sentence embedding of a sentence-transformers model.

    Parameters
    ----------
    model : str, default="bundled"
        "bundled" (all-MiniLM-L6-v2, 384 dimensions, needs no network), the path of a directory, or a name on the hub.
    revision : str, default=None
        Commit on the hub.
    batch_size : int, default=8
        Texts per forward pass.

    Examples
    --------
    >>> from pipeline.features import SentenceEmbedding
    >>> vectors = SentenceEmbedding().fit_transform(["The ramen was superb.", "Cold fries again."])
    >>> vectors.shape
    (2, 384)
    """

    _parameter_constraints: dict[str, list[Any]] = _ENCODER_CONSTRAINTS

    def __init__(self, model: str = BUNDLED, revision: str | None = None, batch_size: int = 8):
        self.model = model
        self.revision = revision
        self.batch_size = batch_size

    def pooling(self) -> Pooling:
        """Return the encoder's own pooling."""
        return Pooling("sentence")


class AttentionPooling(_EncoderTransformer):
    r"""Token states of one layer, averaged with attention weights.

    With the states :math:`h_k` and the attention weights :math:`A_{qk}` of the layer, averaged over its heads, a text
    becomes :math:`\sum_k w_k h_k` with :math:`\sum_k w_k = 1`, where :math:`w_k` is

    - "uniform": the same for every token (mean pooling),
    - "received": :math:`\propto \sum_q A_{qk}`, the attention that the token receives from all tokens,
    - "cls": :math:`A_{0k}`, the attention that the first token pays to it.

    Parameters
    ----------
    weights : {"uniform", "received", "cls"}, default="received"
        Which weights.
    layer : int, default=-1
        Whose states and attention: 1 for the first layer, -1 for the last; 0, the input embeddings, has no attention
        and goes with "uniform" only.
    model : str, default="bundled"
        As in `SentenceEmbedding`; the model needs a transformer with token states.
    revision : str, default=None
        Commit on the hub.
    batch_size : int, default=8
        Texts per forward pass.

    Examples
    --------
    >>> from pipeline.features import AttentionPooling
    >>> AttentionPooling(layer=3).fit_transform(["The ramen was superb."]).shape
    (1, 384)
    """

    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012 - scikit-learn's own form
        "weights": [StrOptions({"uniform", "received", "cls"})],
        "layer": [Integral],
        **_ENCODER_CONSTRAINTS,
    }

    def __init__(
        self,
        weights: str = "received",
        layer: int = -1,
        model: str = BUNDLED,
        revision: str | None = None,
        batch_size: int = 8,
    ):
        self.weights = weights
        self.layer = layer
        self.model = model
        self.revision = revision
        self.batch_size = batch_size

    def pooling(self) -> Pooling:
        """Return weights and layer."""
        return Pooling(self.weights, self.layer)


def transform_together(transformers: Mapping[str, Any], X: Any) -> dict[str, npt.NDArray[Any]]:
    """Transform the same texts with several fitted transformers; those that share an encoder share one forward pass.

    Parameters
    ----------
    transformers : mapping of str to fitted transformer
        Any transformers of texts.
    X : sequence of str
        Texts.

    Returns
    -------
    dict of str to ndarray of shape (n_texts, n_features)
        The same as each transformer's own `transform`, under the same names.

    Examples
    --------
    >>> from pipeline.features import AttentionPooling, SentenceEmbedding
    >>> texts = ["The ramen was superb."]
    >>> both = {"embedding": SentenceEmbedding().fit(texts), "attention": AttentionPooling().fit(texts)}
    >>> {name: array.shape for name, array in transform_together(both, texts).items()}
    {'embedding': (1, 384), 'attention': (1, 384)}
    """
    texts = check_texts(X)
    sharing: dict[tuple[str, str | None, int], list[str]] = defaultdict(list)
    results: dict[str, npt.NDArray[Any]] = {}
    for name, transformer in transformers.items():
        if isinstance(transformer, _EncoderTransformer):
            sharing[transformer.model, transformer.revision, transformer.batch_size].append(name)
        else:
            results[name] = transformer.transform(texts)
    for (model, revision, batch_size), names in sharing.items():
        poolings = [transformers[name].pooling() for name in names]
        arrays = encode(load_encoder(model, revision), texts, poolings, batch_size)
        results.update(zip(names, arrays, strict=True))
    return {name: results[name] for name in transformers}
