"""T-attention: a query and the weights of words from sums over tokens, by the T-method and without a gradient."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, Union

import numpy as np
import numpy.typing as npt

from pipeline.encoder import Backend, Texts, TokenStates, batches_of, encode
from pipeline.features.t_metrics import distances
from pipeline.features.token_weights import QueryPooling, each_text, vocabulary_size
from pipeline.taguchi import TMethodRegressor, TMoments, t_moments

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Array = npt.NDArray[np.float64]
Folds = npt.NDArray[np.intp]

# The tokens of a text are no independent rows, so that a rule which counts rows would hardly shrink at all.
_SHRINKAGE = 0.03
# Texts with a word at which its difference is shrunk by half.
_PRIOR_TEXTS = 10
# Weight of a word without signal; one whose S/N ratio is 1 has 1 more.
_LEAST_WEIGHT = 0.01
_TEMPERATURES = (1.0, 2.0, 4.0)
_TEXTS_FOR_TEMPERATURE = 2000
_TOKENS_AT_ONCE = 16_000


@dataclass(frozen=True)
class _TokenSums:
    """Sums over a group of texts from which T-attention is computed; groups add up with ``+``.

    Parameters
    ----------
    moments : TMoments
        Of the token states against the target of their text.
    n_texts : int
        Number of texts.
    document_frequency : ndarray of shape (n_vocabulary,)
        In how many of them a token occurs.
    totals : ndarray of shape (n_vocabulary, 4)
        Sum, over these texts, of the target's `distances`.
    all_totals, all_squares : ndarray of shape (4,)
        Sums of the distances and their squares over all texts.
    """

    moments: TMoments | int
    n_texts: int
    document_frequency: Array
    totals: Array
    all_totals: Array
    all_squares: Array

    def __add__(self, other: Union["_TokenSums", int]) -> "_TokenSums":
        if isinstance(other, int):
            return self
        return _TokenSums(
            self.moments + other.moments,
            self.n_texts + other.n_texts,
            self.document_frequency + other.document_frequency,
            self.totals + other.totals,
            self.all_totals + other.all_totals,
            self.all_squares + other.all_squares,
        )

    __radd__ = __add__


class _TAttention(NamedTuple):
    """The T-method's estimate of a token, and the S/N ratios of the words.

    Attributes
    ----------
    coef : ndarray of shape (n_dimensions,)
        Weight vector of the T-method: ``(h - center) @ coef`` estimates the target of a token's text, measured from its
        mean, in units of the target.
    center : ndarray of shape (n_dimensions,)
        Mean token state.
    error : float
        Standard deviation of the error of that estimate, in units of the target; infinite where nothing is estimated.
    sn_ratio : ndarray of shape (n_vocabulary,)
        S/N ratio of each token id, not in dB.
    """

    coef: npt.NDArray[np.floating]
    center: npt.NDArray[np.floating]
    error: float
    sn_ratio: Array


def token_sums(
    encoder: "SentenceTransformer",
    texts: Texts,
    y: Array,
    folds: Folds,
    n_folds: int,
    layer: int,
    backend: Backend,
) -> list[_TokenSums]:
    """Return the sums of each fold, from one pass over the texts.

    Parameters
    ----------
    encoder : SentenceTransformer
        From `load_encoder`.
    texts : sequence of str, or TokenStates
        The texts.
    y : ndarray of shape (n_texts,)
        The target.
    folds : ndarray of int of shape (n_texts,)
        Fold of each text.
    n_folds : int
        Number of folds.
    layer : int
        Whose token states.
    backend : Backend
        What runs the encoder.

    Returns
    -------
    list of _TokenSums
    """
    n_vocabulary = vocabulary_size(encoder)
    targets = distances(y, float(y.min()), float(y.max()))
    moments: list[TMoments | int] = [0] * n_folds
    frequency, totals = np.zeros((n_folds, n_vocabulary)), np.zeros((n_folds, n_vocabulary, targets.shape[1]))
    for states, text, ids in _tokens(encoder, texts, layer, backend):
        rows, words = np.divmod(np.unique(text * n_vocabulary + ids), n_vocabulary)
        np.add.at(frequency, (folds[rows], words), 1)
        np.add.at(totals, (folds[rows], words), targets[rows])
        for fold in np.unique(folds[text]):
            inside = folds[text] == fold
            moments[fold] = moments[fold] + t_moments(states[inside], y[text[inside]], gram=True)
    return _sums(moments, frequency, totals, targets, folds)


def _tokens(
    encoder: "SentenceTransformer", texts: Texts, layer: int, backend: Backend
) -> Iterator[tuple[npt.NDArray[np.float32], Folds, Folds]]:
    """Yield states, position of the text and token id of some 16,000 tokens at a time, never half a text."""
    waiting: list[tuple[npt.NDArray[np.float32], Folds, Folds]] = []
    for batch in batches_of(encoder, texts, layer, backend):
        real = batch.mask.bool()
        text = np.repeat(batch.rows, real.sum(dim=1).cpu().numpy())
        waiting.append((batch.states[layer][real].float().cpu().numpy(), text, batch.ids[real].cpu().numpy()))
        if sum(len(text) for _, text, _ in waiting) >= _TOKENS_AT_ONCE:
            yield _together(waiting)
            waiting = []
    if waiting:
        yield _together(waiting)


def _together(
    parts: list[tuple[npt.NDArray[np.float32], Folds, Folds]],
) -> tuple[npt.NDArray[np.float32], Folds, Folds]:
    states, text, ids = (np.concatenate(each) for each in zip(*parts, strict=True))
    return states, text, ids


def learn(sums: _TokenSums) -> _TAttention:
    """Return query and S/N ratios: no row is looked at again, nothing is iterated."""
    assert isinstance(sums.moments, TMoments)  # noqa: S101 - for mypy
    rows, (lowest, highest) = sums.moments.all, sums.moments.target_range
    assert rows.gram is not None  # noqa: S101 - for mypy
    if lowest == highest:
        # The texts of the other folds may be alike where those of all folds are not.
        return _TAttention(np.zeros_like(rows.x_mean), rows.x_mean, np.inf, word_sn_ratios(sums)[1].sum(axis=1))
    model = TMethodRegressor("all", "full", shrinkage=_SHRINKAGE).fit_moments(sums.moments)
    coef = model.coef_
    n, _, squares = rows.target
    variance = float(coef @ rows.gram @ coef - 2 * coef @ rows.xy + squares) / n
    # An estimate that seems without error is one from too few tokens; a tenth of the target's spread is a lot to know.
    error = float(np.sqrt(max(variance, squares / n / 100))) if coef.any() else np.inf
    return _TAttention(coef, model.center_, error, word_sn_ratios(sums)[1].sum(axis=1))


def word_sums(encoder: "SentenceTransformer", texts: Texts, y: Array, folds: Folds, n_folds: int) -> list[_TokenSums]:
    """Return the sums of each fold without those over token states: the encoder does not run.

    Parameters
    ----------
    encoder, texts, y, folds, n_folds
        As in `token_sums`.
    """
    n_vocabulary = vocabulary_size(encoder)
    targets = distances(y, float(y.min()), float(y.max()))
    frequency, totals = np.zeros((n_folds, n_vocabulary)), np.zeros((n_folds, n_vocabulary, targets.shape[1]))
    for row, ids in enumerate(each_text(encoder, texts)):
        frequency[folds[row], ids] += 1
        totals[folds[row], ids] += targets[row]
    return _sums([0] * n_folds, frequency, totals, targets, folds)


def _sums(
    moments: list[TMoments | int], frequency: Array, totals: Array, targets: Array, folds: Folds
) -> list[_TokenSums]:
    return [
        _TokenSums(
            moments[fold],
            int((folds == fold).sum()),
            frequency[fold],
            totals[fold],
            targets[folds == fold].sum(axis=0),
            (targets[folds == fold] ** 2).sum(axis=0),
        )
        for fold in range(len(moments))
    ]


def word_sn_ratios(sums: _TokenSums) -> tuple[Array, Array]:
    r"""Return by how much the texts that have a word differ, and the S/N ratio of that difference.

    With the mean :math:`\bar M` and variance V of a target over all n texts and the sum T over the df texts
    that have the word,

    .. math:: d = \frac{T - df \bar M}{df + 10},\quad
              \eta = \frac{\max(d^2 - V_e, 0)}{V},\quad V_e = \frac{df}{(df + 10)^2} V

    with the error variance :math:`V_e`, the expected :math:`d^2` of a word that means nothing, subtracted from the
    signal. The 10 added to df shrinks the words of few texts. The targets are the `distances` of the stars from four
    points of their scale, since a word may mark the middle.

    Parameters
    ----------
    sums : _TokenSums

    Returns
    -------
    d : ndarray of shape (n_vocabulary, 4)
        In units of the target.
    eta : ndarray of shape (n_vocabulary, 4)
        Not in dB.
    """
    mean = sums.all_totals / sums.n_texts
    variance = sums.all_squares / sums.n_texts - mean**2
    df = sums.document_frequency[:, None]
    d = (sums.totals - df * mean) / (df + _PRIOR_TEXTS)
    signal = np.maximum(d**2 - variance * df / (df + _PRIOR_TEXTS) ** 2, 0)
    varies = variance > 1e-12 * (sums.all_squares / sums.n_texts)
    return d, signal / np.where(varies, variance, np.inf)


def word_pooling(sums: Sequence[_TokenSums], n_dimensions: int, n_heads: int, layer: int) -> QueryPooling:
    r"""Return the pooling by words alone, with one set of weights for each of several groups of texts.

    The heads attend to words that raise the target, to those that lower it, and to those that tell the middle of its
    scale from the ends: :math:`\sqrt{\eta} + 0.01` where d has the head's sign, else 0.01. There are no queries.
    """
    weights = []
    for each in sums:
        d, eta = word_sn_ratios(each)
        root = np.sqrt(eta)
        weights.append(np.stack([root[:, 0] * (d[:, 0] > 0), root[:, 0] * (d[:, 0] < 0), root[:, 2]], axis=1))
    logarithms = np.log(np.stack(weights)[:, :, :n_heads] + _LEAST_WEIGHT).astype(np.float32)
    return QueryPooling(np.zeros((len(sums), n_dimensions, n_heads), dtype=np.float32), logarithms, layer)


def pooling(attentions: Sequence[_TAttention], temperature: float | None, layer: int) -> QueryPooling:
    r"""Return the pooling with one set of queries for each of several folds.

    A token with the state h and the S/N ratio :math:`\eta` as a word has the scores
    :math:`\ln(\sqrt{\eta} + 0.01) \pm z / \tau` in the two heads, with the estimate z in units of its error and the
    temperature :math:`\tau`; without one there is a single head, :math:`\ln(\sqrt{\eta} + 0.01)`.
    """
    queries = np.stack([each.coef / each.error for each in attentions])[:, :, None]
    both = np.zeros_like(queries) if temperature is None else np.concatenate([queries, -queries], 2) / temperature
    weights = np.log(np.sqrt(np.stack([each.sn_ratio for each in attentions])) + _LEAST_WEIGHT)
    return QueryPooling(both.astype(np.float32), weights.astype(np.float32), layer)


def choose_temperature(
    encoder: "SentenceTransformer",
    texts: Texts,
    y: Array,
    folds: Folds,
    attentions: Sequence[_TAttention],
    layer: int,
    backend: Backend,
) -> float:
    """Return the temperature whose pooled states the T-method reads best, each fold with what the others taught.

    Parameters
    ----------
    encoder, texts, y, folds, layer, backend
        As in `token_sums`; of more than 2,000 texts so many are drawn.
    attentions : sequence of _TAttention
        One for each fold, learned without it.

    Returns
    -------
    float
        1, 2 or 4: the one with the least squared error; the highest where all are alike.
    """
    some = np.arange(len(texts)) if len(texts) <= _TEXTS_FOR_TEMPERATURE else _spread(len(texts))
    candidates = sorted(_TEMPERATURES, reverse=True)
    poolings = [
        replace(pooling(attentions, temperature, layer), query_set=folds[some].tolist()) for temperature in candidates
    ]
    drawn = texts[some] if isinstance(texts, TokenStates) else [texts[i] for i in some]
    columns = encode(encoder, drawn, poolings, backend=backend)
    return candidates[int(np.argmin([_squared_error(X, y[some], folds[some]) for X in columns]))]


def _spread(n: int) -> Folds:
    return np.random.default_rng(0).permutation(n)[:_TEXTS_FOR_TEMPERATURE]


def _squared_error(X: npt.NDArray[np.float32], y: Array, folds: Folds) -> float:
    """Return the cross-validated squared error of the T-method with a much shrunk covariance."""
    total = 0.0
    for fold in np.unique(folds):
        inside = folds == fold
        model = TMethodRegressor("all", "full", shrinkage=0.3, clip="range")
        if y[~inside].min() == y[~inside].max():
            continue
        total += float(((model.fit(X[~inside], y[~inside]).predict(X[inside]) - y[inside]) ** 2).sum())
    return total
