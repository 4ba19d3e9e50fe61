"""The base of transformers with an encoder, and the encoder's sentence embedding."""

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, get_args

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from pipeline.encoder import BUNDLED, Backend, Pooling, Texts, TokenPooling, TokenStates, encode, load_encoder
from pipeline.encoder.backend import BackendChoice, Precision, choose_backend
from pipeline.encoder.batches import check_sentence
from pipeline.encoder.load import check_extra
from pipeline.encoder.text_cache import encode_once
from pipeline.text import check_texts

# Training texts from which int8 learns the ranges of the numbers inside the encoder.
_CALIBRATION_TEXTS = 300

ENCODER_CONSTRAINTS: dict[str, list[Any]] = {
    "model": [str, Path],
    "revision": [str, None],
    "backend": [StrOptions(set(get_args(BackendChoice)))],
    "precision": [StrOptions(set(get_args(Precision)))],
    "cache": [str, Path, None],
}


class EncoderTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator, ABC):
    """The base of transformers with an encoder, whose weights are in no object and no pickle of it.

    A subclass says in `pooling` how the token states become one vector, and in `learn` what it learns from texts.
    """

    model: str | Path
    revision: str | None
    backend: BackendChoice
    precision: Precision
    cache: str | Path | None
    calibration_: list[str]

    @abstractmethod
    def pooling(self) -> TokenPooling:
        """Return how the token states become one vector."""

    def learn(self, texts: Texts, y: Any) -> tuple[TokenPooling, Texts]:
        """Learn from the training texts, and return what makes their vectors.

        Returns
        -------
        pooling : TokenPooling
            For these very texts: `pooling`, or one out of fold.
        texts : sequence of str, or TokenStates
            What it pools: the texts, or their token states where learning has encoded them.
        """
        return self.pooling(), texts

    @property
    def learns(self) -> bool:
        """Whether anything is learned from texts; with int8 they calibrate the encoder."""
        return self.precision == "int8"

    def fit(self, X: Any, y: Any = None) -> Self:
        """Check the parameters and the texts, load the encoder, and learn what there is to learn.

        Parameters
        ----------
        X : sequence of str, or TokenStates
            Texts; where only token states are pooled, their record does as well (`pipeline.encoder.record`).
        y : array-like of shape (n_texts,), default=None
            The target, where weights are learned from it.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If `X` is not a sequence of str, a parameter is out of its range, or the target is missing or constant
            where it is needed.
        OSError
            If the model is not to be had.
        ImportError
            If the extra `encoder` is not installed.
        """
        self.fit_pooling(X, y)
        return self

    def fit_transform(self, X: Any, y: Any = None) -> npt.NDArray[np.float32]:
        """Learn, and return the vectors of the training texts.

        Where weights are learned from the target, each text is pooled with what the other folds' texts taught, so that
        ``fit_transform(X, y)`` is not ``fit(X, y).transform(X)``, as in `sklearn.preprocessing.TargetEncoder`.

        Parameters
        ----------
        X, y
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_texts, n_dimensions), float32
        """
        pooling, texts = self._fit(X, y)
        return self._encode(texts, pooling)

    def transform(self, X: Any) -> npt.NDArray[np.float32]:
        """Return the vectors of the texts.

        Parameters
        ----------
        X : sequence of str, or TokenStates
            Texts; what goes beyond the encoder's maximum length (256 tokens for the bundled one) is cut.

        Returns
        -------
        ndarray of shape (n_texts, n_dimensions), float32
        """
        check_is_fitted(self)
        return self._encode(_check(X), self.pooling())

    def _encode(self, texts: Texts, pooling: TokenPooling) -> npt.NDArray[np.float32]:
        """Return the vectors; from the cache where the pooling is the same for every fit."""
        encoder, backend = self.load(), self.make_backend()
        if self.cache is None or self.learns or isinstance(texts, TokenStates):
            return encode(encoder, texts, [pooling], backend=backend)[0]
        return encode_once(encoder, texts, pooling, backend, Path(self.cache))

    def fit_pooling(self, X: Any, y: Any = None) -> TokenPooling:
        """Fit, and return the pooling by which `fit_transform` makes the vectors of the training texts.

        Parameters
        ----------
        X, y
            As in `fit`.

        Returns
        -------
        TokenPooling
            From `pooling`; where weights are learned from the target, each text has those of the other folds.
        """
        return self._fit(X, y)[0]

    def _fit(self, X: Any, y: Any) -> tuple[TokenPooling, Texts]:
        """Fit, and return the pooling of the training texts with what it pools."""
        self._validate_params()
        texts = _check(X)
        self.__dict__.pop("calibration_", None)
        if self.precision == "int8":
            if isinstance(texts, TokenStates):
                raise ValueError("precision='int8' is calibrated with texts, got recorded token states.")
            rows = np.unique(np.linspace(0, len(texts) - 1, _CALIBRATION_TEXTS, dtype=int))
            self.calibration_ = [texts[row] for row in rows]
        self.make_backend()
        encoder = self.load()
        pooling, pooled = self.learn(texts, y)
        self._n_features_out = pooling.size(encoder)
        return pooling, pooled

    def load(self) -> Any:
        """Return the encoder."""
        check_extra(type(self).__name__)
        return load_encoder(self.model, self.revision)

    def make_backend(self) -> Backend:
        """Return what runs the encoder here; with int8 once it is fitted, since the training texts calibrate it."""
        device = self.load().device.type if self.backend == "auto" else "cpu"
        return choose_backend(self.backend, self.precision, tuple(getattr(self, "calibration_", ())), device)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_n_features_out")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.transformer_tags.preserves_dtype = []
        return tags


class SentenceEmbedding(EncoderTransformer):
    """The sentence embedding of a sentence-transformers model.

    Parameters
    ----------
    model : str or Path, default="bundled"
        "bundled" (all-MiniLM-L6-v2, 384 dimensions, needs no network), the path of a directory, or a name on the hub.
        The vectors are those of ``SentenceTransformer(model).encode(texts)``, with the model's default prompt and
        `truncate_dim`. A directory whose files change is read anew.
    revision : str, default=None
        Commit on the hub.
    backend : {"auto", "torch", "openvino"}, default="auto"
        What runs the encoder. "torch" is the reference and uses a GPU where there is one; "openvino" is for CPUs and
        needs the extra ``t-method-vs-attention[openvino-runtime]``. "auto" decides whenever the encoder runs: OpenVINO
        on an x86 processor without a GPU, where it is installed and runs the model as torch does; else torch. The
        vectors are the same to rounding.
    precision : {"float32", "bfloat16", "float16", "int8"}, default="float32"
        "float32" is the reference. "bfloat16" is for both backends, "float16" for "torch" (on a GPU), "int8" for
        "openvino": 300 of the training texts calibrate it, and are kept in `calibration_`.
    cache : str or Path, default=None
        Directory in which the vector of each text is kept, so that it is encoded once, however often a grid search or
        cross-validation deals it to another fold. With "int8" nothing is kept, since each fit has its vectors.

    Examples
    --------
    >>> from pipeline.features import SentenceEmbedding
    >>> vectors = SentenceEmbedding().fit_transform(["The ramen was superb.", "Cold fries again."])
    >>> vectors.shape
    (2, 384)
    """

    _parameter_constraints: dict[str, list[Any]] = ENCODER_CONSTRAINTS

    def __init__(
        self,
        model: str | Path = BUNDLED,
        revision: str | None = None,
        backend: BackendChoice = "auto",
        precision: Precision = "float32",
        cache: str | Path | None = None,
    ):
        self.model = model
        self.revision = revision
        self.backend = backend
        self.precision = precision
        self.cache = cache

    def pooling(self) -> Pooling:
        """Return the pooling that the encoder ends in."""
        return Pooling("sentence")

    def learn(self, texts: Texts, y: Any) -> tuple[TokenPooling, Texts]:
        """Learn nothing, but refuse an encoder whose embedding cannot be had."""
        check_sentence(self.load(), self.make_backend())
        return super().learn(texts, y)


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
        What each transformer's `transform` returns, under the given names.

    Examples
    --------
    >>> from pipeline.features import AttentionPooling, SentenceEmbedding
    >>> texts = ["The ramen was superb."]
    >>> both = {"embedding": SentenceEmbedding().fit(texts), "attention": AttentionPooling().fit(texts)}
    >>> {name: array.shape for name, array in transform_together(both, texts).items()}
    {'embedding': (1, 384), 'attention': (1, 384)}
    """
    texts = check_texts(X)
    encoded = {name: each for name, each in transformers.items() if isinstance(each, EncoderTransformer)}
    results = encode_together(encoded, {name: each.pooling() for name, each in encoded.items()}, texts)
    return {name: results[name] if name in encoded else each.transform(texts) for name, each in transformers.items()}


def encode_together(
    transformers: Mapping[str, EncoderTransformer],
    poolings: Mapping[str, TokenPooling],
    texts: list[str],
    cache: Path | None = None,
    records: Mapping[tuple[Any, ...], Mapping[int, Path]] | None = None,
    finish: bool = True,
) -> dict[str, npt.NDArray[np.float32]]:
    """Return the vectors that poolings make of the texts, one forward pass for all that share an encoder.

    Parameters
    ----------
    transformers : mapping of str to fitted transformer
        They say which encoder, and what runs it.
    poolings : mapping of str to TokenPooling
        How to pool for each of them, by name.
    texts : list of str
        Texts.
    cache : Path, default=None
        Directory for finished shards, see `pipeline.encoder.encode`.
    records : mapping, default=None
        For encoders, see `encoder_of`: the layers whose token states are kept, and where.
    finish : bool, default=True
        Whether the records are put together, see `pipeline.encoder.encode`.
    """
    sharing: dict[tuple[Any, ...], list[str]] = defaultdict(list)
    for name, transformer in transformers.items():
        sharing[encoder_of(transformer)].append(name)
    results: dict[str, npt.NDArray[np.float32]] = {}
    for key in dict.fromkeys([*sharing, *(records or {})]):
        (model, revision, backend), names = key, sharing.get(key, [])
        wanted, kept = [poolings[name] for name in names], (records or {}).get(key)
        encoder = load_encoder(model, revision)
        arrays = encode(encoder, texts, wanted, backend=backend, cache=cache, records=kept, finish=finish)
        results.update(zip(names, arrays, strict=True))
    return results


def encoder_of(transformer: EncoderTransformer) -> tuple[str, str | None, Backend]:
    """Return model, revision and backend: transformers with equal ones share a forward pass."""
    return str(transformer.model), transformer.revision, transformer.make_backend()


def _check(X: Any) -> Any:
    return X if isinstance(X, TokenStates) else check_texts(X)
