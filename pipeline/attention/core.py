"""Attention in NumPy, every step of it in the open."""

from collections.abc import Callable, Iterator, Sequence
from numbers import Real
from typing import Literal, NamedTuple, overload

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.attention.checks import Bools, Floats, check_count, floats

Positions = npt.NDArray[np.intp]
MaskFunction = Callable[[Positions, Positions], Bools]
_Mask = npt.ArrayLike | MaskFunction | None
_Over = Literal["keys", "all"]
_MaskOfBlock = Callable[[slice, slice], Bools | None]


class Attention(NamedTuple):
    """Every step of attention. The leading axes ``...`` are those of the input: texts, then heads.

    Attributes
    ----------
    q : ndarray of shape (..., n_queries, d_k)
        Queries: what each token looks for.
    k : ndarray of shape (..., n_keys, d_k)
        Keys: what each token is found by.
    v : ndarray of shape (..., n_keys, d_v)
        Values: what each token hands over.
    scores : ndarray of shape (..., n_queries, n_keys)
        ``scale * q @ k.T``; -inf where the mask forbids.
    weights : ndarray of shape (..., n_queries, n_keys)
        Softmax of the scores.
    output : ndarray of shape (..., n_queries, d_v)
        ``weights @ v``. `SelfAttention` puts the heads side by side here: (..., n_tokens, n_heads * d_v).
    """

    q: Floats
    k: Floats
    v: Floats
    scores: Floats
    weights: Floats
    output: Floats

    def frames(self, tokens: Sequence[str], key_tokens: Sequence[str] | None = None) -> dict[str, pd.DataFrame]:
        """Return the steps of one text as labelled tables.

        Parameters
        ----------
        tokens : sequence of str of length n_queries
            The tokens that ask; one may occur twice.
        key_tokens : sequence of str of length n_keys, default=None
            The tokens that are asked; None: `tokens`.

        Returns
        -------
        dict of str to DataFrame
            "q", "k", "v", "scores", "weights" and "output", one row per token. The columns are the key tokens, or the
            dimensions 1, 2, ... With several heads the rows have two levels, the head (1, 2, ...) and the token:
            ``frames["weights"].loc[2]`` is head 2.

        Raises
        ------
        ValueError
            If the number of tokens is not that of the rows, or there is more than one text.

        Examples
        --------
        >>> q, k, v = [[1.0], [0.0]], [[9.0], [0.0]], [[5.0], [7.0]]
        >>> attention = scaled_dot_product_attention(q, k, v, intermediates=True)
        >>> attention.frames(["good", "food"])["weights"].round(2)  # doctest: +NORMALIZE_WHITESPACE
        key    good  food
        query
        good    1.0   0.0
        food    0.5   0.5
        """
        keys = tokens if key_tokens is None else key_tokens
        if max(array.ndim for array in self) > 3:
            raise ValueError(f"A table shows one text, got weights of shape {self.weights.shape}: attend to it alone.")
        n_queries, n_keys = self.weights.shape[-2:]
        if (len(tokens), len(keys)) != (n_queries, n_keys):
            raise ValueError(f"Got {len(tokens)} tokens for {n_queries} queries, and {len(keys)} for {n_keys} keys.")
        asking, asked = pd.Index(list(tokens), name="query"), pd.Index(list(keys), name="key")
        rows, columns = {"k": asked, "v": asked}, {"scores": asked, "weights": asked}
        steps = self._asdict().items()
        return {name: _frame(array, rows.get(name, asking), columns.get(name)) for name, array in steps}


def _frame(array: Floats, rows: pd.Index, columns: pd.Index | None = None) -> pd.DataFrame:
    if columns is None:
        columns = pd.RangeIndex(1, array.shape[-1] + 1, name="dimension")
    if array.ndim == 2:
        return pd.DataFrame(array, rows, columns, copy=True)
    heads = {head: _frame(part, rows, columns) for head, part in enumerate(array, start=1)}
    return pd.concat(heads, names=["head"]) if len(heads) > 1 else heads[1]


def causal_mask(queries: Positions, keys: Positions) -> Bools:
    """Allow a token to attend to itself and to those before it: ``key <= query``, for `scaled_dot_product_attention`.

    Examples
    --------
    >>> causal_mask(np.arange(3)[:, None], np.arange(3)).astype(int).tolist()
    [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    """
    return keys <= queries


def sliding_mask(window: int) -> MaskFunction:
    """Allow a token to attend to those less than `window` positions away, itself included, on both sides.

    A text that lies open is read in both directions, hence the symmetry (as in Longformer). Where only the past is
    known, join it with `causal_mask`: `window` tokens, the last of them the token itself (as in Mistral).

    Parameters
    ----------
    window : int
        1 or more; with 1 a token sees nothing but itself.

    Returns
    -------
    callable
        A mask function for `scaled_dot_product_attention`.

    Raises
    ------
    ValueError
        If `window` is not an integer of 1 or more.

    Examples
    --------
    >>> sliding_mask(2)(np.arange(3)[:, None], np.arange(3)).astype(int).tolist()
    [[1, 1, 0], [1, 1, 1], [0, 1, 1]]
    """
    check_count("window", window)
    return lambda queries, keys: np.abs(queries - keys) < window


@overload
def scaled_dot_product_attention(
    q: npt.ArrayLike,
    k: npt.ArrayLike,
    v: npt.ArrayLike,
    mask: _Mask = None,
    normalize: _Over = "keys",
    scale: float | None = None,
    *,
    intermediates: Literal[False] = False,
    block_size: int | None = None,
) -> Floats: ...
@overload
def scaled_dot_product_attention(
    q: npt.ArrayLike,
    k: npt.ArrayLike,
    v: npt.ArrayLike,
    mask: _Mask = None,
    normalize: _Over = "keys",
    scale: float | None = None,
    *,
    intermediates: Literal[True],
    block_size: int | None = None,
) -> Attention: ...
def scaled_dot_product_attention(
    q: npt.ArrayLike,
    k: npt.ArrayLike,
    v: npt.ArrayLike,
    mask: _Mask = None,
    normalize: _Over = "keys",
    scale: float | None = None,
    *,
    intermediates: bool = False,
    block_size: int | None = None,
) -> Floats | Attention:
    r"""Return for every query the mean of the values, weighted by how well their keys match the query.

    .. math:: \mathrm{output} = \mathrm{softmax}(Q K' / \sqrt{d_k})\, V, \quad
              \mathrm{softmax}(s)_j = e^{s_j} / \sum_l e^{s_l}

    Parameters
    ----------
    q : array-like of shape (..., n_queries, d_k)
        Queries. The leading axes of the three (texts, heads) broadcast.
    k : array-like of shape (..., n_keys, d_k)
        Keys.
    v : array-like of shape (..., n_keys, d_v)
        Values.
    mask : array-like of bool or callable, default=None
        True where attention is allowed, as in torch; it broadcasts to (..., n_queries, n_keys). A callable gets the
        positions of queries, shape (n, 1), and of keys, shape (1, m), both from 0, and returns that part of the mask:
        `causal_mask`, ``sliding_mask(3)`` or a function of yours.
    normalize : {"keys", "all"}, default="keys"
        Over what the weights sum to 1: over the keys of each query, which is the definition, or over all scores of
        the queries x keys matrix, as one published walk-through has it.
    scale : float, default=None
        Factor of the scores; None: ``1 / sqrt(d_k)``.
    intermediates : bool, default=False
        Whether to return every step.
    block_size : int, default=None
        How many queries meet how many keys at a time. The result differs by rounding only, and memory grows with the
        length, not with its square, if the mask is a callable or small.

    Returns
    -------
    output : ndarray of shape (..., n_queries, d_v)
        float32 stays float32, float16 too but is computed in float32; integers become float64. A query that may
        attend to no key gets zeros, as in torch.
    attention : Attention
        Instead, with `intermediates`.

    Raises
    ------
    ValueError
        If shapes do not fit, q, k or v holds anything but finite numbers, the mask is not bool, a score leaves the
        range of its dtype, or `intermediates`, which are as large as the whole matrix, meet `block_size`.

    References
    ----------
    A. Vaswani et al., "Attention Is All You Need", NeurIPS 2017. By blocks: M. Milakov, N. Gimelshein, "Online
    normalizer calculation for softmax", 2018; M. Rabe, C. Staats, "Self-attention Does Not Need O(n^2) Memory", 2021.

    Examples
    --------
    >>> q, k, v = [[1.0, 0.0]], [[4.0, 0.0], [0.0, 4.0]], [[10.0], [20.0]]
    >>> scaled_dot_product_attention(q, k, v).round(3)
    array([[10.558]])
    >>> scaled_dot_product_attention(q, k, v, mask=[[False, True]])
    array([[20.]])
    >>> scaled_dot_product_attention(q, k, v, intermediates=True).weights.round(3)
    array([[0.944, 0.056]])
    """
    _check_options(normalize, scale, intermediates, block_size)
    arrays = [floats(name, values) for name, values in (("q", q), ("k", k), ("v", v))]
    dtype = np.result_type(*arrays)
    Q, K, V = _aligned(*(array.astype(np.promote_types(dtype, np.float32), copy=False) for array in arrays))
    allowed = _mask_of_block(mask, (*Q.shape[:-1], K.shape[-2]))
    scale = 1 / float(np.sqrt(Q.shape[-1])) if scale is None else float(scale)
    if block_size is not None:
        return _blockwise(Q, K, V, allowed, normalize, scale, int(block_size)).astype(dtype, copy=False)
    scores = _scores(Q, K, allowed(slice(0, Q.shape[-2]), slice(0, K.shape[-2])), scale)
    weights = _softmax(scores, axes=(-1,) if normalize == "keys" else (-2, -1))
    output = (weights @ V).astype(dtype, copy=False)
    return Attention(Q, K, V, scores, weights, output) if intermediates else output


def _check_options(normalize: _Over, scale: float | None, intermediates: bool, block_size: int | None) -> None:
    if normalize not in ("keys", "all"):
        raise ValueError(f"normalize must be 'keys' or 'all', got {normalize!r}.")
    if scale is not None and not (isinstance(scale, Real) and np.isfinite(scale)):
        raise ValueError(f"scale must be a finite number, got {scale!r}.")
    if block_size is not None:
        check_count("block_size", block_size)
        if intermediates:
            raise ValueError("intermediates hold the whole matrix of scores: use them without block_size.")


def _aligned(q: Floats, k: Floats, v: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the three with the same leading axes, as views."""
    shapes = f"got q {q.shape}, k {k.shape} and v {v.shape}."
    if q.shape[-1] != k.shape[-1] or q.shape[-1] == 0:
        raise ValueError(f"The last axes of q and k must be equal and not empty, {shapes}")
    if k.shape[-2] != v.shape[-2]:
        raise ValueError(f"k and v must have the same number of rows, {shapes}")
    try:
        leading = np.broadcast_shapes(q.shape[:-2], k.shape[:-2], v.shape[:-2])
    except ValueError:
        raise ValueError(f"The leading axes of q, k and v must broadcast, {shapes}") from None
    Q, K, V = (np.broadcast_to(array, (*leading, *array.shape[-2:])) for array in (q, k, v))
    return Q, K, V


def _mask_of_block(mask: _Mask, shape: tuple[int, ...]) -> _MaskOfBlock:
    """Return a function of rows and columns that cuts their block out of the mask for `shape`."""
    if mask is None:
        return lambda rows, columns: None
    if callable(mask):
        return lambda rows, columns: _bools(
            mask(np.arange(rows.start, rows.stop)[:, None], np.arange(columns.start, columns.stop)[None, :]),
            (*shape[:-2], rows.stop - rows.start, columns.stop - columns.start),
        )
    whole = _bools(mask, shape)
    return lambda rows, columns: whole[..., rows, columns]


def _bools(mask: npt.ArrayLike, shape: tuple[int, ...]) -> Bools:
    array = np.asarray(mask)
    if array.dtype != np.bool_:
        raise ValueError(
            f"mask must be bool, True where attention is allowed, or a callable, got dtype {array.dtype}: "
            "compare it first (mask == 0 for an additive mask of 0 and -inf)."
        )
    try:
        return np.broadcast_to(array, shape)
    except ValueError:
        raise ValueError(f"mask must broadcast to (..., n_queries, n_keys) = {shape}, got {array.shape}.") from None


def _scores(q: Floats, k: Floats, allowed: Bools | None, scale: float) -> Floats:
    """Return the scaled scores, -inf where attention is not allowed."""
    with np.errstate(over="ignore", invalid="ignore"):
        scores: Floats = (q * scale) @ k.swapaxes(-1, -2)
    lost = ~np.isfinite(scores)
    if allowed is not None:
        lost &= allowed
        np.copyto(scores, -np.inf, where=~allowed)
    if lost.any():
        raise ValueError(f"A score leaves the range of {scores.dtype}: scale q or k down, or use a wider dtype.")
    return scores


def _softmax(scores: Floats, axes: tuple[int, ...]) -> Floats:
    """Return ``exp(scores)`` divided by its sum over `axes`; zeros where every score is -inf."""
    weights = _exp_below(scores, scores.max(axis=axes, keepdims=True, initial=-np.inf))
    weights /= _or_one(weights.sum(axis=axes, keepdims=True))
    return weights


def _exp_below(scores: Floats, top: Floats) -> Floats:
    """Return ``exp(scores - top)``, which does not overflow; 0 for -inf, whatever the top."""
    with np.errstate(over="ignore"):
        below: Floats = scores - np.where(np.isfinite(top), top, 0)
    return np.exp(below, out=below)


def _or_one(total: Floats) -> Floats:
    return np.where(total > 0, total, 1)


def _blockwise(
    q: Floats, k: Floats, v: Floats, allowed: _MaskOfBlock, normalize: _Over, scale: float, block_size: int
) -> Floats:
    """Return the output block by block: each query carries its mean so far, its highest score and its sum."""
    output = np.zeros((*q.shape[:-1], v.shape[-1]), q.dtype)
    top = np.full((*q.shape[:-1], 1), -np.inf, q.dtype)
    total = np.zeros_like(top)
    for rows in _slices(q.shape[-2], block_size):
        at = (..., rows, slice(None))
        for columns in _slices(k.shape[-2], block_size):
            mask = allowed(rows, columns)
            if mask is not None and not mask.any():
                continue
            scores = _scores(q[at], k[..., columns, :], mask, scale)
            highest = np.maximum(top[at], scores.max(axis=-1, keepdims=True))
            weights = _exp_below(scores, highest)
            before = total[at] * _exp_below(top[at], highest)
            total[at] = before + weights.sum(axis=-1, keepdims=True)
            # A mean, not a sum that is divided in the end: that could overflow where the mean does not.
            divisor = _or_one(total[at])
            output[at] = output[at] * (before / divisor) + (weights / divisor) @ v[..., columns, :]
            top[at] = highest
    if normalize == "all":
        share = total * _exp_below(top, top.max(axis=-2, keepdims=True, initial=-np.inf))
        output *= share / _or_one(share.sum(axis=-2, keepdims=True))
    return output


def _slices(n: int, size: int) -> Iterator[slice]:
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))
