import tracemalloc
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.attention import Attention, SelfAttention, causal_mask, scaled_dot_product_attention, sliding_mask

# "Attention, a worked example": four tokens, rectangular projections.
WORDS = np.array([[1, 0, 1, 0], [0, 1, 0, 1], [1, 1, 0, 0], [0, 0, 1, 0]])
W_Q = np.array([[2, 0, 2], [2, 0, 0], [2, 1, 2], [2, 2, 2]])
W_K = np.array([[0, 2, 1], [0, 1, 1], [1, 1, 0], [0, 1, 1]])
W_V = np.array([[0, 0, 0], [2, 2, 2], [1, 2, 1], [1, 2, 1]])
SCORES = [[11, 10, 11, 5], [12, 8, 10, 6], [6, 4, 4, 4], [7, 6, 7, 3]]
TOKENS = ["the", "dog", "the", "cat"]

TOLERANCE = {np.float16: 2e-3, np.float32: 2e-5, np.float64: 1e-11}
seeds = st.integers(0, 2**32 - 1)
lengths = st.integers(1, 7)


def qkv(
    rng: np.random.Generator, n_queries: int = 5, n_keys: int = 6, d_k: int = 4, d_v: int = 3, leading: Any = ()
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return (
        rng.normal(size=(*leading, n_queries, d_k)),
        rng.normal(size=(*leading, n_keys, d_k)),
        rng.normal(size=(*leading, n_keys, d_v)),
    )


def of_torch(q: np.ndarray, k: np.ndarray, v: np.ndarray, **options: Any) -> np.ndarray:
    tensors = (torch.from_numpy(array) for array in (q, k, v))
    return torch.nn.functional.scaled_dot_product_attention(*tensors, **options).numpy()


def test_the_worked_example() -> None:
    steps = scaled_dot_product_attention(WORDS @ W_Q, WORDS @ W_K, WORDS @ W_V, intermediates=True)
    assert steps.q.tolist() == (WORDS @ W_Q).tolist()
    np.testing.assert_allclose(steps.scores, np.array(SCORES) / np.sqrt(3), rtol=1e-14)
    np.testing.assert_allclose(steps.weights[0], [0.38570053, 0.21652608, 0.38570053, 0.01207286], atol=1e-8)
    np.testing.assert_allclose(steps.output[0], [1.81875269, 2.43305215, 1.81875269], atol=1e-8)
    np.testing.assert_array_equal(SelfAttention(W_Q, W_K, W_V)(WORDS), steps.output)


@pytest.mark.parametrize("block_size", [None, 3])
def test_the_worked_example_with_the_softmax_over_all_scores(block_size: int | None) -> None:
    q, k, v = WORDS @ W_Q, WORDS @ W_K, WORDS @ W_V
    steps = scaled_dot_product_attention(q, k, v, normalize="all", intermediates=True)
    np.testing.assert_allclose(steps.weights[0], [0.18047950, 0.10131829, 0.18047950, 0.00564921], atol=1e-8)
    assert steps.weights.sum() == pytest.approx(1)
    output = scaled_dot_product_attention(q, k, v, normalize="all", block_size=block_size)
    np.testing.assert_allclose(output, steps.weights @ v, rtol=1e-13)


@given(seeds, lengths, lengths, lengths, lengths, st.sampled_from([np.float16, np.float32, np.float64]), st.booleans())
def test_it_is_what_torch_computes(
    seed: int, n_queries: int, n_keys: int, d_k: int, d_v: int, dtype: type, masked: bool
) -> None:
    rng = np.random.default_rng(seed)
    q, k, v = (array.astype(dtype) for array in qkv(rng, n_queries, n_keys, d_k, d_v, leading=(2, 3)))
    # One mask per text, for all its heads; some rows allow nothing.
    mask = rng.random((2, 1, n_queries, n_keys)) < rng.random((2, 1, n_queries, 1)) if masked else None
    scale = float(rng.choice([0.3, 2.0])) if seed % 2 else None
    expected = of_torch(q, k, v, attn_mask=None if mask is None else torch.from_numpy(mask), scale=scale)
    output = scaled_dot_product_attention(q, k, v, mask, scale=scale)
    assert output.dtype == dtype
    np.testing.assert_allclose(output, expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@given(seeds, lengths, lengths)
def test_the_causal_mask_is_torchs(seed: int, n_queries: int, n_keys: int) -> None:
    q, k, v = qkv(np.random.default_rng(seed), n_queries, n_keys)
    output = scaled_dot_product_attention(q, k, v, causal_mask)
    np.testing.assert_allclose(output, of_torch(q, k, v, is_causal=True), atol=1e-12)


def test_leading_axes_broadcast() -> None:
    rng = np.random.default_rng(0)
    q, k, v = rng.normal(size=(2, 1, 5, 4)), rng.normal(size=(3, 6, 4)), rng.normal(size=(6, 2))
    for block_size in (None, 4):
        output = scaled_dot_product_attention(q, k, v, rng.random(6) < 0.8, block_size=block_size)
        assert output.shape == (2, 3, 5, 2)
    one = scaled_dot_product_attention(q[1, 0], k[2], v)
    np.testing.assert_allclose(scaled_dot_product_attention(q, k, v)[1, 2], one, rtol=1e-12)


def window_and_future(queries: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Return a mask as a user writes one, with rows that allow nothing."""
    return (keys > queries) & (keys < queries + 3)


MASKS = {
    "none": None,
    "causal": causal_mask,
    "sliding": sliding_mask(2),
    "function": window_and_future,
    "padding": np.array([True] * 4 + [False] * 5),
    "array": np.random.default_rng(3).random((2, 1, 8, 9)) < 0.4,
    "nothing": np.zeros((8, 9), dtype=bool),
}


@pytest.mark.parametrize("name", MASKS)
@given(seed=seeds, block_size=st.integers(1, 12), normalize=st.sampled_from(["keys", "all"]), large=st.booleans())
def test_blocks_give_the_same(name: str, seed: int, block_size: int, normalize: Any, large: bool) -> None:
    q, k, v = qkv(np.random.default_rng(seed), 8, 9, leading=(2, 3))
    q *= 1e4 if large else 1
    plain = scaled_dot_product_attention(q, k, v, MASKS[name], normalize)
    by_block = scaled_dot_product_attention(q, k, v, MASKS[name], normalize, block_size=block_size)
    np.testing.assert_allclose(by_block, plain, atol=1e-8 if large else 1e-12)


def test_a_callable_is_the_mask_that_it_returns() -> None:
    q, k, v = qkv(np.random.default_rng(4), 8, 9)
    i, j = np.indices((8, 9))
    for function, mask in (
        (causal_mask, j <= i),
        (sliding_mask(3), np.abs(i - j) < 3),
        (window_and_future, (i < j) & (j < i + 3)),
    ):
        np.testing.assert_array_equal(
            scaled_dot_product_attention(q, k, v, function), scaled_dot_product_attention(q, k, v, mask)
        )


@pytest.mark.parametrize("normalize", ["keys", "all"])
@pytest.mark.parametrize("mask", [None, "causal", "sliding"])
def test_memory_by_block_does_not_grow_with_the_square_of_the_length(normalize: Any, mask: Any) -> None:
    n = 4096
    X, window = np.random.default_rng(5).normal(size=(n, 8)), 100 if mask == "sliding" else None
    attention = SelfAttention(*[np.eye(8)] * 3, mask=mask, window=window)
    function = {None: None, "causal": causal_mask, "sliding": sliding_mask(100)}[mask]
    tracemalloc.start()
    scaled_dot_product_attention(X, X, X, function, normalize, block_size=128)
    attention(X, np.arange(n) < 4000, block_size=128)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < n * n * 8 / 20


@given(seeds, st.sampled_from(["keys", "all"]))
def test_weights_sum_to_one_or_to_zero_where_nothing_is_allowed(seed: int, normalize: Any) -> None:
    rng = np.random.default_rng(seed)
    q, k, v = qkv(rng, leading=(2,))
    mask = rng.random((2, 5, 6)) < 0.3
    steps = scaled_dot_product_attention(q, k, v, mask, normalize, intermediates=True)
    assert (steps.weights >= 0).all()
    assert (steps.weights[~mask] == 0).all()
    assert np.isneginf(steps.scores[~mask]).all()
    if normalize == "keys":
        np.testing.assert_allclose(steps.weights.sum(axis=-1), mask.any(axis=-1), rtol=1e-12)
        assert (steps.output[~mask.any(axis=-1)] == 0).all()
    else:
        np.testing.assert_allclose(steps.weights.sum(axis=(-1, -2)), mask.any(axis=(-1, -2)), rtol=1e-12)


@given(seeds)
def test_moving_all_keys_alike_changes_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    q, k, v = qkv(rng)
    moved = scaled_dot_product_attention(q, k + 10 * rng.normal(size=4), v)
    np.testing.assert_allclose(moved, scaled_dot_product_attention(q, k, v), atol=1e-10)


@pytest.mark.parametrize("size", [1e4, 1e38])
@pytest.mark.parametrize("block_size", [None, 1])
def test_huge_scores_and_values_are_stable(size: float, block_size: int | None) -> None:
    v = np.array([[3e38], [3e38], [-3e38]], dtype=np.float32)
    k = np.array([[size], [size], [-size]], dtype=np.float32)
    q = np.array([[1.0], [-1.0], [0.0]], dtype=np.float32)
    output = scaled_dot_product_attention(q, k, v, block_size=block_size)
    assert output.dtype == np.float32
    np.testing.assert_allclose(output, np.array([[3e38], [-3e38], [1e38]]), rtol=1e-5)


@pytest.mark.parametrize("block_size", [None, 2])
def test_a_score_beyond_the_range_of_its_dtype_is_an_error_unless_it_is_masked(block_size: int | None) -> None:
    q, v = np.full((3, 2), 1e20, dtype=np.float32), np.ones((3, 1), dtype=np.float32)
    with pytest.raises(ValueError, match="A score leaves the range of float32: scale q or k down"):
        scaled_dot_product_attention(q, q, v, block_size=block_size)
    mask = np.zeros((3, 3), dtype=bool)
    assert (scaled_dot_product_attention(q, q, v, mask, block_size=block_size) == 0).all()
    assert (scaled_dot_product_attention(q.astype(np.float64), q, v, block_size=block_size) == 1).all()


@pytest.mark.parametrize(
    ("given_dtype", "returned"),
    [
        (np.int64, np.float64),
        (np.int8, np.float64),
        (np.bool_, np.float64),
        (np.float16, np.float16),
        (np.float32, np.float32),
        (np.float64, np.float64),
    ],
)
@pytest.mark.parametrize("block_size", [None, 2])
def test_dtypes(given_dtype: type, returned: type, block_size: int | None) -> None:
    x = np.eye(3, dtype=given_dtype)
    assert scaled_dot_product_attention(x, x, x, scale=np.float64(0.5), block_size=block_size).dtype == returned


def test_float16_scores_are_float32_and_do_not_overflow() -> None:
    x = np.full((2, 2), 300, dtype=np.float16)
    steps = scaled_dot_product_attention(x, x, x, intermediates=True)
    assert steps.scores.dtype == np.float32
    assert steps.output.tolist() == x.tolist()


@pytest.mark.parametrize("block_size", [None, 2])
@pytest.mark.parametrize("normalize", ["keys", "all"])
def test_no_keys_and_no_queries(block_size: int | None, normalize: Any) -> None:
    some, none, v = np.ones((3, 2)), np.ones((0, 2)), np.ones((0, 5))
    assert scaled_dot_product_attention(some, none, v, None, normalize, block_size=block_size).tolist() == [[0] * 5] * 3
    assert scaled_dot_product_attention(none, some, some, None, normalize, block_size=block_size).shape == (0, 2)


def test_inputs_are_left_alone() -> None:
    arrays = [*qkv(np.random.default_rng(9)), np.array([[True, False, True, True, False, True]])]
    copies = [array.copy() for array in arrays]
    for options in ({}, {"block_size": 2}, {"intermediates": True}):
        scaled_dot_product_attention(*arrays, **options)
    for array, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_frames_label_every_step_also_where_a_token_occurs_twice() -> None:
    steps = SelfAttention(W_Q, W_K, W_V)(WORDS, intermediates=True)
    assert isinstance(steps, Attention)
    frames = steps.frames(TOKENS)
    assert list(frames) == ["q", "k", "v", "scores", "weights", "output"]
    for name, frame in frames.items():
        assert frame.index.tolist() == TOKENS
        np.testing.assert_array_equal(frame.to_numpy(), np.squeeze(getattr(steps, name)))
    assert frames["weights"].columns.tolist() == TOKENS
    assert frames["weights"].loc["the"].shape == (2, 4)
    assert frames["output"].columns.tolist() == [1, 2, 3]
    frames["weights"].iloc[0, 0] = 7
    assert steps.weights.max() <= 1


def test_frames_have_a_level_for_the_heads() -> None:
    steps = SelfAttention.random(4, 3, 2, random_state=0)(WORDS, intermediates=True)
    frames = steps.frames(TOKENS)
    assert frames["weights"].index.names == ["head", "query"]
    assert frames["k"].index.names == ["head", "key"]
    for head in (1, 2, 3):
        pd.testing.assert_frame_equal(
            frames["weights"].loc[head],
            pd.DataFrame(steps.weights[head - 1], pd.Index(TOKENS, name="query"), pd.Index(TOKENS, name="key")),
        )
    assert frames["output"].shape == (4, 6)


def test_frames_of_queries_to_other_keys() -> None:
    steps = scaled_dot_product_attention(*qkv(np.random.default_rng(10), 2, 3), intermediates=True)
    frames = steps.frames(["a", "b"], ["x", "y", "z"])
    assert frames["scores"].loc["b", "z"] == steps.scores[1, 2]
    assert frames["v"].index.tolist() == ["x", "y", "z"]
    with pytest.raises(ValueError, match="Got 2 tokens for 2 queries, and 2 for 3 keys"):
        steps.frames(["a", "b"])
    several = SelfAttention.random(4, 2, 3, random_state=0)(np.ones((2, 5, 4)), intermediates=True)
    with pytest.raises(ValueError, match="A table shows one text"):
        several.frames(list("abcde"))


x = np.ones((3, 2))
nan = np.array([[np.nan, 1.0]] * 3)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((x[0], x, x), {}, r"q must have 2 or more axes, got the shape \(2,\)"),
        ((x, x[:, :1], x), {}, "The last axes of q and k must be equal and not empty"),
        ((x[:, :0], x[:, :0], x), {}, "The last axes of q and k must be equal and not empty"),
        ((x, x, x[:2]), {}, r"k and v must have the same number of rows, got q \(3, 2\), k \(3, 2\) and v \(2, 2\)"),
        ((np.ones((2, 3, 2)), np.ones((4, 3, 2)), x), {}, "leading axes of q, k and v must broadcast"),
        ((nan, x, x), {}, "q holds NaN or infinite values"),
        ((x, x, np.where(np.isnan(nan), np.inf, 1)), {"block_size": 1}, "v holds NaN or infinite values"),
        ((x, x + 1j, x), {}, "k must hold real numbers, got dtype complex128"),
        ((x, x, [["a", "b"]] * 3), {}, "v must hold real numbers, got dtype <U1"),
        ((x, x, x, np.zeros((3, 3))), {}, "mask must be bool, True where attention is allowed"),
        ((x, x, x, np.ones((3, 3), dtype=int)), {"block_size": 2}, "mask must be bool.*got dtype int64"),
        ((x, x, x, "causal"), {}, "mask must be bool.*or a callable"),
        ((x, x, x, lambda i, j: i + j), {}, "mask must be bool.*got dtype int64"),
        ((x, x, x, np.ones((2, 3), dtype=bool)), {}, r"mask must broadcast to .* = \(3, 3\), got \(2, 3\)"),
        ((x, x, x, np.ones((2, 3, 3), dtype=bool)), {}, r"mask must broadcast to .* = \(3, 3\), got \(2, 3, 3\)"),
        ((x, x, x), {"normalize": "rows"}, "normalize must be 'keys' or 'all', got 'rows'"),
        ((x, x, x), {"scale": np.nan}, "scale must be a finite number, got nan"),
        ((x, x, x), {"scale": "1"}, "scale must be a finite number, got '1'"),
        ((x, x, x), {"block_size": 0}, "block_size must be an integer of 1 or more, got 0"),
        ((x, x, x), {"block_size": 2.0}, "block_size must be an integer of 1 or more, got 2.0"),
        ((x, x, x), {"block_size": 2, "intermediates": True}, "use them without block_size"),
    ],
)
def test_errors_of_the_function(arguments: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        scaled_dot_product_attention(*arguments, **options)
