"""Self-attention: a text's tokens are projected to queries, keys and values and attend to each other, head by head."""

from functools import reduce
from operator import and_
from typing import Literal, Self, overload

import numpy as np
from numpy.typing import ArrayLike

from pipeline.attention.checks import Bools, Floats, check_count, floats
from pipeline.attention.core import Attention, MaskFunction, causal_mask, scaled_dot_product_attention, sliding_mask
from pipeline.taguchi import TMethodRegressor
from pipeline.taguchi.target import as_numbers

_Mask = Literal["causal", "sliding"] | None
_Padding = ArrayLike | None
_Size = int | None

# An error below this share of the target's spread is rounding.
_ROUNDING = 1e-10


class SelfAttention:
    r"""Attention of a text's tokens to each other: project to queries, keys and values, then attend, head by head.

    .. math:: Q = X W_Q + b_Q,\; K = X W_K + b_K,\; V = X W_V + b_V, \quad
              \mathrm{head}_h = \mathrm{softmax}(Q_h K_h' / \sqrt{d_k})\, V_h

    and the output is the heads side by side, times :math:`W_O` if there is one. The first d_k columns of W_Q and W_K
    and the first d_v of W_V belong to the first head, and so on.

    Parameters
    ----------
    w_q, w_k : array-like of shape (d_model, n_heads * d_k)
        Projections to queries and keys. Those of `torch.nn` are stored the other way round: transpose them.
    w_v : array-like of shape (d_model, n_heads * d_v)
        Projection to values.
    n_heads : int, default=1
        Number of heads.
    mask : None, "causal" or "sliding", default=None
        Whether a token attends to all tokens, to itself and those before it, or to those less than `window` positions
        away on both sides.
    window : int, default=None
        For "sliding", see `sliding_mask`; with "causal" it leaves the last `window` tokens, the last being the token
        itself.
    w_o : array-like of shape (n_heads * d_v, d_out), default=None
        Output projection.
    b_q, b_k, b_v : array-like of shape (n_columns,), default=None
        Offsets of the projections; None: 0.

    Raises
    ------
    ValueError
        If shapes do not fit, values are not finite, the number of columns is no multiple of `n_heads`, or mask and
        window do not go together.

    Examples
    --------
    >>> tokens, X = ["good", "food"], [[1.0, 0.0], [0.0, 1.0]]
    >>> attention = SelfAttention(w_q=[[2.0], [0.0]], w_k=[[1.0], [0.0]], w_v=[[5.0], [7.0]])
    >>> attention(X).round(3).tolist()
    [[5.238], [6.0]]
    >>> attention(X, intermediates=True).frames(tokens)["weights"].loc["good"].round(3).to_dict()
    {'good': 0.881, 'food': 0.119}
    >>> SelfAttention.random(d_model=2, n_heads=3, d_head=4, random_state=0, mask="causal")(X).shape
    (2, 12)
    """

    def __init__(
        self,
        w_q: ArrayLike,
        w_k: ArrayLike,
        w_v: ArrayLike,
        n_heads: int = 1,
        mask: _Mask = None,
        window: int | None = None,
        *,
        w_o: ArrayLike | None = None,
        b_q: ArrayLike | None = None,
        b_k: ArrayLike | None = None,
        b_v: ArrayLike | None = None,
    ):
        check_count("n_heads", n_heads)
        _check_mask(mask, window)
        self.n_heads, self.mask, self.window = n_heads, mask, window
        self.w_q, self.w_k, self.w_v = _matrix("w_q", w_q), _matrix("w_k", w_k), _matrix("w_v", w_v)
        self.w_o = None if w_o is None else _matrix("w_o", w_o)
        self._check_shapes()
        self.b_q = _offset("b_q", b_q, self.w_q)
        self.b_k = _offset("b_k", b_k, self.w_k)
        self.b_v = _offset("b_v", b_v, self.w_v)

    @classmethod
    def random(
        cls,
        d_model: int,
        n_heads: int,
        d_head: int,
        random_state: int | np.random.Generator | None = None,
        mask: _Mask = None,
        window: int | None = None,
    ) -> Self:
        """Make random projections, normal with the variance ``1 / d_model``: what attention does before any training.

        Parameters
        ----------
        d_model : int
            Dimensions of a token.
        n_heads : int
            Number of heads.
        d_head : int
            d_k and d_v of each.
        random_state : int or Generator, default=None
            Seed: the same gives the same projections.
        mask, window
            As in `SelfAttention`.

        Returns
        -------
        SelfAttention

        Raises
        ------
        ValueError
            If a count is not an integer of 1 or more.
        """
        for name, count in (("d_model", d_model), ("n_heads", n_heads), ("d_head", d_head)):
            check_count(name, count)
        rng = np.random.default_rng(random_state)
        w_q, w_k, w_v = rng.normal(scale=d_model**-0.5, size=(3, d_model, n_heads * d_head))
        return cls(w_q, w_k, w_v, n_heads, mask, window)

    @classmethod
    def t_method(
        cls, X: ArrayLike, y: ArrayLike, w_v: ArrayLike | None = None, mask: _Mask = None, window: int | None = None
    ) -> Self:
        r"""Make the projections by the T-method: one pass of sums over labelled tokens, no back-propagation.

        One head per target. A `TMethodRegressor` (Ta, full covariance) gives every token an estimate
        :math:`\hat M` of the target, measured from the mean of the training tokens, with errors of variance
        :math:`\sigma^2` in the training data. Query and key of a token are both :math:`\hat M / \sigma`, so that

        .. math:: \mathrm{score}(i, j) = \hat M_i \hat M_j / \sigma^2 =
                  \ln \frac{p(\hat M_j \mid M = \hat M_i)}{p(\hat M_j \mid M = 0)} + \frac{\hat M_i^2}{2 \sigma^2}

        for normal errors. The last term is equal for all keys and leaves the softmax: a token attends to those that
        judge as it does, in proportion to how much likelier they are if its judgement holds than if nothing is known.
        A token without judgement attends to all alike.

        Parameters
        ----------
        X : array-like of shape (n_tokens, d_model)
            The tokens of all training texts, one below the other, without padding.
        y : array-like of shape (n_tokens,) or (n_tokens, n_targets)
            What each of them is to estimate, for instance the stars of its review.
        w_v : array-like of shape (d_model, n_targets * d_v), default=None
            Projection to values; None: every head hands the tokens over as they are.
        mask, window
            As in `SelfAttention`.

        Returns
        -------
        SelfAttention
            With one head per target and d_k = 1.

        Raises
        ------
        ValueError
            As `TMethodRegressor.fit`, or if a target is estimated without any error.

        Examples
        --------
        >>> X, stars = np.array([[2.0, 0.0], [1.0, 0.5], [0.0, 1.0], [0.5, 2.0]]), [5, 4, 2, 1]
        >>> steps = SelfAttention.t_method(X, stars)(X, intermediates=True)
        >>> steps.frames(["superb", "good", "bad", "awful"])["weights"].idxmax(axis=1).to_dict()
        {'superb': 'superb', 'good': 'superb', 'bad': 'awful', 'awful': 'awful'}
        """
        X, y = np.asarray(X), as_numbers(y, "SelfAttention.t_method")
        model = TMethodRegressor("all", covariance="full").fit(X, y)
        coef, center = np.atleast_2d(model.coef_).astype(np.float64), np.atleast_2d(model.center_)
        target = np.asarray(y, dtype=np.float64).reshape(len(X), -1)
        sigma = np.sqrt(np.mean((target - model.predict(X).reshape(target.shape)) ** 2, axis=0))
        exact = np.flatnonzero(sigma <= _ROUNDING * target.std(axis=0))
        if len(exact):
            raise ValueError(f"Target {exact[0]} is estimated without error, the unit of the scores: add tokens.")
        w = coef.T / sigma
        b = -(center * coef).sum(axis=1) / sigma
        n_targets = len(coef)
        values = np.tile(np.eye(X.shape[1]), n_targets) if w_v is None else w_v
        return cls(w, w, values, n_targets, mask, window, b_q=b, b_k=b)

    @overload
    def __call__(
        self, X: ArrayLike, padding: _Padding = ..., *, intermediates: Literal[False] = ..., block_size: _Size = ...
    ) -> Floats: ...
    @overload
    def __call__(
        self, X: ArrayLike, padding: _Padding = ..., *, intermediates: Literal[True], block_size: _Size = ...
    ) -> Attention: ...
    def __call__(
        self, X: ArrayLike, padding: _Padding = None, *, intermediates: bool = False, block_size: _Size = None
    ) -> Floats | Attention:
        """Return every token's new vector.

        Parameters
        ----------
        X : array-like of shape (..., n_tokens, d_model)
            Token vectors of one text, or of several that are padded to one length.
        padding : array-like of bool of shape (..., n_tokens), default=None
            True where a token is real: nobody attends to the others. (That is transformers' `attention_mask` and the
            opposite of torch's `key_padding_mask`.) What comes out in the place of padding means nothing.
        intermediates, block_size
            As in `scaled_dot_product_attention`.

        Returns
        -------
        output : ndarray of shape (..., n_tokens, n_heads * d_v) or (..., n_tokens, d_out)
            In the wider dtype of X and the projections, float32 at least.
        attention : Attention
            Instead, with `intermediates`. Its q, k, v, scores and weights have the axis of heads in front of the
            tokens, also where there is only one head.

        Raises
        ------
        ValueError
            As `scaled_dot_product_attention`, or if the padding is not bool or has another shape.
        """
        X = floats("X", X)
        if X.shape[-1] != len(self.w_q):
            raise ValueError(f"X must have the {len(self.w_q)} columns that w_q has rows, got the shape {X.shape}.")
        X = X.astype(np.promote_types(X.dtype, np.float32), copy=False)
        projections = ((self.w_q, self.b_q), (self.w_k, self.b_k), (self.w_v, self.b_v))
        Q, K, V = (self._by_head(X @ weight + offset) for weight, offset in projections)
        mask = self._mask(None if padding is None else _padding(padding, X.shape[:-1]))
        if intermediates:
            steps = scaled_dot_product_attention(Q, K, V, mask, intermediates=True, block_size=block_size)
            return steps._replace(output=self._joined(steps.output))
        return self._joined(scaled_dot_product_attention(Q, K, V, mask, block_size=block_size))

    def _check_shapes(self) -> None:
        if self.w_q.shape != self.w_k.shape or len(self.w_v) != len(self.w_q):
            shapes = f"{self.w_q.shape}, {self.w_k.shape} and {self.w_v.shape}"
            raise ValueError(f"w_q and w_k must have one shape, and w_v as many rows, got {shapes}.")
        for name, n_columns in (("w_q", self.w_q.shape[1]), ("w_v", self.w_v.shape[1])):
            if n_columns % self.n_heads:
                raise ValueError(f"The {n_columns} columns of {name} cannot be dealt to n_heads={self.n_heads} heads.")
        if self.w_o is not None and len(self.w_o) != self.w_v.shape[1]:
            raise ValueError(f"w_o must have the {self.w_v.shape[1]} rows that w_v has columns, got {len(self.w_o)}.")

    def _by_head(self, projected: Floats) -> Floats:
        *leading, n_columns = projected.shape
        return projected.reshape(*leading, self.n_heads, n_columns // self.n_heads).swapaxes(-2, -3)

    def _joined(self, output: Floats) -> Floats:
        *leading, n_heads, n_tokens, d_v = output.shape
        joined = output.swapaxes(-2, -3).reshape(*leading, n_tokens, n_heads * d_v)
        return joined if self.w_o is None else floats("The output", joined @ self.w_o)

    def _mask(self, padding: Bools | None) -> MaskFunction | None:
        """Return a function and no matrix: blocks need parts of it only."""
        parts: list[MaskFunction] = []
        if self.mask == "causal":
            parts.append(causal_mask)
        if self.window is not None:
            parts.append(sliding_mask(self.window))
        if padding is not None:
            of_heads = padding[..., None, :]
            parts.append(lambda queries, keys: of_heads[..., keys])
        return (lambda queries, keys: reduce(and_, (part(queries, keys) for part in parts))) if parts else None


def _check_mask(mask: _Mask, window: int | None) -> None:
    if not (mask is None or (isinstance(mask, str) and mask in ("causal", "sliding"))):
        got = repr(mask) if isinstance(mask, str) else type(mask).__name__
        raise ValueError(f"mask must be None, 'causal' or 'sliding', got {got}; padding is told when it is called.")
    if (mask == "sliding" and window is None) or (mask is None and window is not None):
        raise ValueError(f"'sliding' needs a window, and no mask has none: got mask={mask!r}, window={window!r}.")
    if window is not None:
        check_count("window", window)


def _matrix(name: str, values: ArrayLike) -> Floats:
    array = floats(name, values)
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"{name} must be a matrix with rows and columns, got the shape {array.shape}.")
    return array


def _offset(name: str, values: ArrayLike | None, weight: Floats) -> Floats:
    if values is None:
        return np.zeros(weight.shape[1], weight.dtype)
    array = floats(name, values, n_axes=1)
    if array.shape != weight.shape[1:]:
        raise ValueError(f"{name} must have the shape {weight.shape[1:]}, got {array.shape}.")
    return array


def _padding(values: ArrayLike, shape: tuple[int, ...]) -> Bools:
    real = np.asarray(values)
    if real.dtype != np.bool_:
        raise ValueError(f"padding must be bool, True where a token is real, got dtype {real.dtype}: use padding == 1.")
    if real.shape != shape:
        raise ValueError(f"padding must have the shape {shape} of the tokens, got {real.shape}.")
    return real
