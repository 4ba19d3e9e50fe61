"""Token states weighted by attention: of the model, of words, of the T-method, or trained."""

from collections.abc import Sequence
from dataclasses import replace
from numbers import Integral
from pathlib import Path
from typing import Any, Final, Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.utils import Tags, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from pipeline.deal import deal_folds
from pipeline.encoder import BUNDLED, Pooling, Texts, TokenPooling, TokenStates, token_batches
from pipeline.encoder.backend import BackendChoice, Precision
from pipeline.encoder.layers import check_first_token, check_layer, check_tokens, state_size
from pipeline.encoder.recorded import encode_tokens
from pipeline.encoder.spans import token_spans
from pipeline.features import t_attention
from pipeline.features.encoded import ENCODER_CONSTRAINTS, EncoderTransformer
from pipeline.features.out_of_fold import FOLD_CONSTRAINTS, Array, Folds, check_classes, check_target
from pipeline.features.token_weights import QueryPooling, vocabulary_size, word_weights
from pipeline.features.trained_query import train_queries
from pipeline.text import check_texts

_Weights = Literal["uniform", "received", "cls", "idf", "length", "sn-ratio", "t-method", "trained"]
_OF_THE_MODEL: Final = ("uniform", "received", "cls")
_OF_WORDS: Final = ("idf", "length")
_FROM_THE_TARGET: Final = ("sn-ratio", "t-method", "trained")
# Learned in several passes over the token states.
_OF_STATES: Final = ("t-method", "trained")
# The usual number of heads, and the highest one.
_HEADS = {"sn-ratio": (3, 3), "t-method": (2, 2), "trained": (2, None)}
_LONGEST = 10**6
_HEAD_NAMES = {"sn-ratio": ["weight_up", "weight_down", "weight_middle"], "t-method": ["weight_for", "weight_against"]}


class AttentionPooling(EncoderTransformer):
    r"""Token states of one layer, averaged with attention weights.

    With the states :math:`h_k` of a text's tokens each head gives :math:`\sum_k w_k h_k` with :math:`\sum_k w_k = 1`;
    several heads stand side by side. The weights are

    ============  ==================================================================================================
    "uniform"     equal for all tokens (mean pooling)
    "received"    the attention that the token receives from all tokens in the layer, :math:`\propto \sum_q A_{qk}`
    "cls"         the attention that the first token pays to it, :math:`A_{0k}`
    "idf"         the token's inverse document frequency in the training texts
    "length"      the token's number of characters
    "sn-ratio"    learned from the target: the S/N ratio of the token as a word; see below
    "t-method"    S/N ratio of the token as a word, times a query's: the T-method's weight vector on token states
    "trained"     the softmax of the products with a query that gradient descent learned from the target
    ============  ==================================================================================================

    **T-attention** makes weights from sums over the training texts, without a gradient. A word's S/N ratio
    :math:`\eta_k` compares the difference between the texts that have the word and the others with its error (see
    `pipeline.features.t_attention.word_sn_ratios`). "sn-ratio" has three heads with :math:`w_k \propto \sqrt{\eta_k} +
    0.01`: one for words that raise the target, one for those that lower it, one for those that tell the middle of its
    scale from the ends. The encoder does not run for that. "t-method" has two heads, for and against,

    .. math:: w_k \propto (\sqrt{\eta_k} + 0.01)\, e^{\pm z_k / \tau}

    where :math:`\eta_k` is the word's S/N ratio, and :math:`z_k` the product of the token's state with the query: the
    T-method's weight vector on token states, scaled to unit error variance. The temperature :math:`\tau` is chosen
    inside the training texts; with ``n_heads=1`` the last factor is left out.

    .. note::
        Where weights are learned from the target, ``fit_transform(X, y)`` is computed out of fold and is not
        ``fit(X, y).transform(X)``, as in `sklearn.preprocessing.TargetEncoder`.

    Parameters
    ----------
    weights : {"uniform", "received", "cls", "idf", "length", "sn-ratio", "t-method", "trained"}, default="received"
        "sn-ratio" and "t-method" take any numbers as target, or labels that are an order; for "trained" each of its
        values is a class, labels such as "good" and "bad" too.
    layer : int, default=-1
        Whose states and attention: 1 for the first layer, -1 for the last; 0, the input embeddings, has no attention
        and does not go with "received" and "cls".
    n_heads : int, default=None
        At most 3 for "sn-ratio" and 2 for "t-method", which they have by default; any number for "trained", 2 by
        default. The others have one.
    cv : int, default=5
        Folds of `fit_transform` where weights are learned from the target.
    random_state : int, RandomState instance or None, default=0
        How the texts are dealt to the folds, and where the gradient starts.
    model : str or Path, default="bundled"
        As in `SentenceEmbedding`; the model needs a transformer with token states, and for "received" and "cls" one
        that hands out its attention: weights of every token on every token that sum to 1. In a causal model (GPT-2)
        the first token sees nothing but itself, and "cls" is refused. A default prompt, no part of a text, is left out.
    revision : str, default=None
        Commit on the hub.
    backend, precision
        As in `SentenceEmbedding`.
    cache : str or Path, default=None
        As in `SentenceEmbedding`, for "uniform", "received" and "cls". What is learned pools differently after each
        fit: record the token states instead (`pipeline.encoder.record`), and give them in place of the texts.

    Attributes
    ----------
    query_ : ndarray of shape (n_dimensions, n_heads), float32
        Queries, for "t-method" and "trained".
    log_weights_ : ndarray of shape (n_vocabulary,), or (n_vocabulary, n_heads) for "sn-ratio", float32
        Logarithm of the weight that each token id has before its state is looked at; for all learned and word weights.
    temperature_ : float or None
        For "t-method": :math:`\tau`; None with one head.
    sn_ratio_ : ndarray of shape (n_vocabulary,)
        For "sn-ratio" and "t-method": S/N ratio of each token id, not in dB, the sum over four points of the scale.
    shift_ : ndarray of shape (n_vocabulary,)
        For "sn-ratio": how far the texts that have the token lie from the mean, in units of the target.
    coef_, center_ : ndarray of shape (n_dimensions,)
        For "t-method": ``(h - center_) @ coef_`` is a token's estimate, from the mean target, in units of the target.
    calibration_ : list of str
        With ``precision="int8"``: the texts that calibrated it.

    References
    ----------
    A. Vaswani et al., "Attention Is All You Need", NeurIPS 2017, for query, key and value; G. Taguchi, S. Chowdhury,
    Y. Wu, "Taguchi's Quality Engineering Handbook", Wiley, 2005, for the T-method.

    Examples
    --------
    >>> from pipeline.features import AttentionPooling
    >>> AttentionPooling(layer=3).fit_transform(["The ramen was superb."]).shape
    (1, 384)
    >>> texts = ["superb food", "superb wine", "awful food", "awful wine"]
    >>> pooling = AttentionPooling("t-method", layer=1, cv=2).fit(texts, [5, 4, 1, 2])
    >>> pooling.explain("awful food")[["token", "weight_for", "weight_against"]].round(2)
       token  weight_for  weight_against
    0  [CLS]        0.09            0.01
    1  awful        0.51            0.55
    2   food        0.38            0.39
    3  [SEP]        0.02            0.05
    """

    query_: npt.NDArray[np.float32]
    log_weights_: npt.NDArray[np.float32]
    temperature_: float | None
    sn_ratio_: npt.NDArray[np.float64]
    shift_: npt.NDArray[np.float64]
    coef_: npt.NDArray[np.floating]
    center_: npt.NDArray[np.floating]

    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012 - scikit-learn's form
        "weights": [StrOptions(set(get_args(_Weights)))],
        "layer": [Integral],
        "n_heads": [None, Interval(Integral, 1, None, closed="left")],
        **FOLD_CONSTRAINTS,
        **ENCODER_CONSTRAINTS,
    }

    def __init__(
        self,
        weights: _Weights = "received",
        layer: int = -1,
        n_heads: int | None = None,
        cv: int = 5,
        random_state: Any = 0,
        model: str | Path = BUNDLED,
        revision: str | None = None,
        backend: BackendChoice = "auto",
        precision: Precision = "float32",
        cache: str | Path | None = None,
    ):
        self.weights = weights
        self.layer = layer
        self.n_heads = n_heads
        self.cv = cv
        self.random_state = random_state
        self.model = model
        self.revision = revision
        self.backend = backend
        self.precision = precision
        self.cache = cache

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self.weights in _FROM_THE_TARGET
        return tags

    @property
    def learns(self) -> bool:
        """Whether anything is learned from texts."""
        return self.weights not in _OF_THE_MODEL or super().learns

    def pooling(self) -> TokenPooling:
        """Return how the token states become one vector; once fitted where something is learned."""
        if self.weights in _OF_THE_MODEL:
            return Pooling(self.weights, self.layer)
        check_is_fitted(self, "query_")
        return QueryPooling(self.query_[None], self.log_weights_[None], self.layer)

    def learn(self, texts: Texts, y: Any) -> tuple[TokenPooling, Texts]:
        """Learn the weights, and return the pooling for the training texts with what it pools."""
        n_heads = self._check_heads()
        encoder = self.load()
        attention = self.weights in ("received", "cls")
        layer = check_layer(encoder, self.layer, lowest=1 if attention else 0, weights=self.weights)
        check_tokens(encoder, attention)
        if self.weights == "cls":
            check_first_token(encoder, layer)
        for name in ("query_", "log_weights_", "temperature_", "sn_ratio_", "shift_", "coef_", "center_"):
            self.__dict__.pop(name, None)
        if self.weights in _OF_WORDS:
            self._learn_words(texts)
        if self.weights not in _FROM_THE_TARGET:
            return self.pooling(), texts
        y = check_classes(self, texts, y)[0] if self.weights == "trained" else check_target(self, texts, y)
        folds = deal_folds(y, self.cv, self.random_state)
        if self.weights in _OF_STATES and not isinstance(texts, TokenStates):
            # What is learned in several passes over the token states, and the vectors, take one pass of the encoder.
            texts = encode_tokens(self.load(), texts, self.layer, self.make_backend())
        ways = {"sn-ratio": self._by_sn_ratio, "t-method": self._by_t_method, "trained": self._by_gradient}
        poolings = replace(ways[self.weights](texts, y, folds, n_heads), query_set=folds.tolist())
        self.query_, self.log_weights_ = poolings.queries[-1], poolings.log_weights[-1]
        return poolings, texts

    def explain(self, text: str) -> pd.DataFrame:
        """Return weight and contribution of each token of a text.

        Parameters
        ----------
        text : str

        Returns
        -------
        DataFrame
            One row per token: `token`, as the tokenizer writes it; `start` and `end`, its place in the text, which are
            equal for a special token; `weight`, which sums to 1 (with several heads `weight_up`, `weight_down` and
            `weight_middle`, or `weight_for` and `weight_against`, or `weight_1`, ...). With "sn-ratio" and "t-method"
            also `estimate`, by how many units of the target the word, or the token in its context, pulls the text away
            from the mean, and `contribution`, the estimate times the mean weight of the heads.

        Examples
        --------
        >>> from pipeline.features import AttentionPooling
        >>> AttentionPooling("length", layer=0).fit(["good"]).explain("Awful food")[["token", "weight"]].round(2)
           token  weight
        0  [CLS]    0.00
        1  awful    0.56
        2   food    0.44
        3  [SEP]    0.00
        """
        check_is_fitted(self)
        (text,) = check_texts([text])
        pooling, encoder = self.pooling(), self.load()
        attention = [self.layer] if pooling.attention else []
        (batch,) = token_batches(encoder, [text], layers=[self.layer], attention=attention, backend=self.make_backend())
        weights = pooling.token_weights(batch)[0].cpu().numpy()  # type: ignore[attr-defined]
        names = self._weight_names(weights.shape[1])
        ids = batch.ids[0].tolist()
        start, end = _places(encoder, text, ids)
        table = pd.DataFrame({"token": encoder.tokenizer.convert_ids_to_tokens(ids), "start": start, "end": end})
        table[names] = weights
        if self.weights == "t-method":
            states = batch.states[self.layer][0].float().cpu().numpy()
            table["estimate"] = (states - self.center_) @ self.coef_
        elif self.weights == "sn-ratio":
            table["estimate"] = self.shift_[ids]
        if "estimate" in table:
            table["contribution"] = table["estimate"] * weights.mean(axis=1)
        return table

    def _weight_names(self, n_heads: int) -> list[str]:
        if n_heads == 1:
            return ["weight"]
        return _HEAD_NAMES.get(self.weights, [f"weight_{head}" for head in range(1, n_heads + 1)])[:n_heads]

    def _check_heads(self) -> int:
        usual, most = _HEADS.get(self.weights, (1, 1))
        if most is not None and (self.n_heads or 1) > most:
            raise ValueError(f"Got n_heads={self.n_heads} with weights={self.weights!r}, which has at most {most}.")
        return self.n_heads or usual

    def _learn_words(self, texts: Texts) -> None:
        encoder = self.load()
        self.log_weights_ = np.log(word_weights(encoder, texts, self.weights)).astype(np.float32)
        self.query_ = np.zeros((state_size(encoder), 1), dtype=np.float32)

    def _by_sn_ratio(self, texts: Texts, y: Array, folds: Folds, n_heads: int) -> QueryPooling:
        encoder = self.load()
        sums = t_attention.word_sums(encoder, texts, y, folds, self.cv)
        groups = _without_each(sums)
        shift, sn_ratio = t_attention.word_sn_ratios(groups[-1])
        self.shift_, self.sn_ratio_ = shift[:, 0], sn_ratio.sum(axis=1)
        return t_attention.word_pooling(groups, state_size(encoder), n_heads, self.layer)

    def _by_t_method(self, texts: Texts, y: Array, folds: Folds, n_heads: int) -> QueryPooling:
        encoder, backend = self.load(), self.make_backend()
        sums = t_attention.token_sums(encoder, texts, y, folds, self.cv, self.layer, backend)
        *outside, everything = (t_attention.learn(group) for group in _without_each(sums))
        self.temperature_ = None
        if n_heads == 2:
            self.temperature_ = t_attention.choose_temperature(encoder, texts, y, folds, outside, self.layer, backend)
        self.sn_ratio_, self.coef_, self.center_ = everything.sn_ratio, everything.coef, everything.center
        return t_attention.pooling([*outside, everything], self.temperature_, self.layer)

    def _by_gradient(self, texts: Texts, y: Array, folds: Folds, n_heads: int) -> QueryPooling:
        assert isinstance(texts, TokenStates)  # noqa: S101 - for mypy
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        queries = train_queries(texts, y, folds, self.cv, n_heads, seed)
        nothing = np.zeros((self.cv + 1, vocabulary_size(self.load())), dtype=np.float32)
        return QueryPooling(queries, nothing, self.layer)


def _without_each(sums: list[Any]) -> list[Any]:
    """Return the sums of all groups but one, for each of them, and at last those of all groups."""
    return [sum(part for i, part in enumerate(sums) if i != left_out) for left_out in range(len(sums) + 1)]


def _places(encoder: Any, text: str, ids: Sequence[int]) -> tuple[list[int], list[int]]:
    """Return where each token begins and ends in a text; (0, 0) where the encoder reads other tokens."""
    tokenizer = encoder.tokenizer
    # A tokenizer without a maximum length says so by a number that is none of a computer's integers.
    cut = {"truncation": True, "max_length": min(encoder.max_seq_length or _LONGEST, _LONGEST)}
    inputs = tokenizer(text, return_offsets_mapping=tokenizer.is_fast, **cut)
    same = list(inputs["input_ids"]) == list(ids)
    places = token_spans(tokenizer, text, inputs) if same else [(0, 0)] * len(ids)
    return [start for start, _ in places], [end for _, end in places]
