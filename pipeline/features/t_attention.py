"""T-attention: a query and the weights of words from sums over tokens, by the T-method and without a gradient."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from operator import add
from typing import TYPE_CHECKING, NamedTuple, Union

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from pipeline.encoder import Backend, Texts, TokenStates, batches_of, encode
from pipeline.features.out_of_fold import Array, Folds
from pipeline.features.token_weights import QueryPooling, each_text, vocabulary_size
from pipeline.features.word_sums import distances
from pipeline.taguchi import TMethodRegressor, TMoments, t_moments

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

# States, position of the text and token id of some tokens.
_Tokens = tuple[npt.NDArray[np.float32], npt.NDArray[np.intp], npt.NDArray[np.intp]]

# The tokens of a text are no independent rows, so that a rule which counts rows would hardly shrink at all.
_SHRINKAGE = 0.03
# Texts with a word at which its difference is shrunk by half.
_PRIOR_TEXTS = 10
# Weight of a word without signal; one whose S/N ratio is 1 has 1 more.
_LEAST_WEIGHT = 0.01
_TEMPERATURES = (1.0, 2.0, 4.0)
_TEXTS_FOR_TEMPERATURE = 2000
_TOKENS_AT_ONCE = 16_000


@dataclass(eq=False)
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
        return _TokenSums(*map(add, vars(self).values(), vars(other).values()))

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
    encoder: "SentenceTransformer", texts: Texts, y: Array, folds: Folds, n_folds: int, layer: int, backend: Backend
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
    sums, targets = _without_words(encoder, y, folds, n_folds)
    n_vocabulary = vocabulary_size(encoder)
    for states, text, ids in _tokens(encoder, texts, layer, backend):
        rows, words = np.divmod(np.unique(text * n_vocabulary + ids), n_vocabulary)
        for fold in np.unique(folds[text]):
            of_fold, tokens, distinct = sums[fold], folds[text] == fold, folds[rows] == fold
            of_fold.moments += t_moments(states[tokens], y[text[tokens]], gram=True)
            np.add.at(of_fold.document_frequency, words[distinct], 1)
            np.add.at(of_fold.totals, words[distinct], targets[rows[distinct]])
    return sums


def _tokens(encoder: "SentenceTransformer", texts: Texts, layer: int, backend: Backend) -> Iterator[_Tokens]:
    """Yield some 16,000 tokens at a time, never half a text."""
    waiting: list[_Tokens] = []
    for batch in batches_of(encoder, texts, layer, backend):
        real = batch.mask.bool()
        text = np.repeat(batch.rows, real.sum(dim=1).cpu().numpy())
        waiting.append((batch.states[layer][real].float().cpu().numpy(), text, batch.ids[real].cpu().numpy()))
        if sum(len(text) for _, text, _ in waiting) >= _TOKENS_AT_ONCE:
            yield _together(waiting)
            waiting = []
    if waiting:
        yield _together(waiting)


def _together(parts: list[_Tokens]) -> _Tokens:
    states, text, ids = (np.concatenate(each) for each in zip(*parts, strict=True))
    return states, text, ids


@threadpool_limits.wrap(limits=1, user_api="blas")
def learn(sums: _TokenSums) -> _TAttention:
    """Return query and S/N ratios: no row is looked at again, nothing is iterated."""
    assert isinstance(sums.moments, TMoments)  # noqa: S101 - for mypy
    rows, (lowest, highest) = sums.moments.all, sums.moments.target_range
    sn_ratio = word_sn_ratios(sums)[1].sum(axis=1)
    assert rows.gram is not None  # noqa: S101 - for mypy
    if lowest == highest:
        # The texts of the other folds may be alike where those of all folds are not.
        return _TAttention(np.zeros_like(rows.x_mean), rows.x_mean, np.inf, sn_ratio)
    model = TMethodRegressor("all", "full", shrinkage=_SHRINKAGE).fit_moments(sums.moments)
    coef = model.coef_
    n, _, squares = rows.target
    variance = float(coef @ rows.gram @ coef - 2 * coef @ rows.xy + squares) / n
    # An estimate that seems without error is one from too few tokens; a tenth of the target's spread is a lot to know.
    error = float(np.sqrt(max(variance, squares / n / 100))) if coef.any() else np.inf
    return _TAttention(coef, model.center_, error, sn_ratio)


def word_sums(encoder: "SentenceTransformer", texts: Texts, y: Array, folds: Folds, n_folds: int) -> list[_TokenSums]:
    """Return the sums of each fold without those over token states: the encoder does not run.

    Parameters
    ----------
    encoder, texts, y, folds, n_folds
        As in `token_sums`.
    """
    sums, targets = _without_words(encoder, y, folds, n_folds)
    for row, ids in enumerate(each_text(encoder, texts)):
        of_fold = sums[folds[row]]
        of_fold.document_frequency[ids] += 1
        of_fold.totals[ids] += targets[row]
    return sums


def _without_words(
    encoder: "SentenceTransformer", y: Array, folds: Folds, n_folds: int
) -> tuple[list[_TokenSums], Array]:
    """Return the sums of each fold before any token is counted, and the target's distances."""
    n, targets = vocabulary_size(encoder), distances(y, float(y.min()), float(y.max()))
    sums = []
    for group in (targets[folds == fold] for fold in range(n_folds)):
        zeros = np.zeros(n), np.zeros((n, targets.shape[1]))
        sums.append(_TokenSums(0, len(group), *zeros, group.sum(axis=0), (group**2).sum(axis=0)))
    return sums, targets


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
    n = len(texts)
    many = n > _TEXTS_FOR_TEMPERATURE
    some = np.random.default_rng(0).permutation(n)[:_TEXTS_FOR_TEMPERATURE] if many else np.arange(n)
    candidates = sorted(_TEMPERATURES, reverse=True)
    made = [pooling(attentions, temperature, layer) for temperature in candidates]
    poolings = [replace(each, query_set=folds[some].tolist()) for each in made]
    drawn = texts[some] if isinstance(texts, TokenStates) else [texts[i] for i in some]
    columns = encode(encoder, drawn, poolings, backend=backend)
    return candidates[int(np.argmin([_squared_error(X, y[some], folds[some]) for X in columns]))]


# The eigenvectors of some hundred dimensions: threads would wait for each other longer than they compute.
@threadpool_limits.wrap(limits=1, user_api="blas")
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
