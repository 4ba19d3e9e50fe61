import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from pipeline.attention import SelfAttention
from pipeline.taguchi import TMethodRegressor


@pytest.mark.parametrize("n_heads", [1, 3])
@pytest.mark.parametrize("causal", [False, True])
def test_heads_offsets_padding_and_output_projection_are_those_of_torchs_layer(n_heads: int, causal: bool) -> None:
    rng = np.random.default_rng(1)
    d, n = 6, 5
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = torch.nn.MultiheadAttention(d, n_heads, batch_first=True, dtype=torch.float64)
        torch.nn.init.normal_(layer.in_proj_bias)
    X, padding = rng.normal(size=(3, n, d)), np.arange(n) < np.array([[5], [3], [1]])
    blocked = torch.triu(torch.ones(n, n, dtype=torch.bool), 1) if causal else None
    with torch.inference_mode():
        expected, weights = layer(
            *[torch.from_numpy(X)] * 3,
            key_padding_mask=torch.from_numpy(~padding),
            attn_mask=blocked,
            average_attn_weights=False,
        )
    w_q, w_k, w_v = layer.in_proj_weight.detach().numpy().reshape(3, d, d).swapaxes(1, 2)
    b_q, b_k, b_v = layer.in_proj_bias.detach().numpy().reshape(3, d)
    w_o, b_o = layer.out_proj.weight.detach().numpy().T, layer.out_proj.bias.detach().numpy()
    attention = SelfAttention(w_q, w_k, w_v, n_heads, "causal" if causal else None, w_o=w_o, b_q=b_q, b_k=b_k, b_v=b_v)
    steps = attention(X, padding, intermediates=True)
    assert steps.weights.shape == (3, n_heads, n, n)
    np.testing.assert_allclose(steps.weights, weights.numpy(), atol=1e-12)
    np.testing.assert_allclose(steps.output + b_o, expected.numpy(), atol=1e-12)
    np.testing.assert_allclose(attention(X, padding, block_size=2), steps.output, atol=1e-12)


def test_it_is_the_attention_inside_a_bert(tiny_encoder: str, texts: list[str]) -> None:
    from transformers import AutoTokenizer, BertModel

    model = BertModel.from_pretrained(tiny_encoder, attn_implementation="eager").eval()
    inputs = AutoTokenizer.from_pretrained(tiny_encoder)(texts, padding=True, truncation=True, return_tensors="pt")
    with torch.inference_mode():
        output = model(**inputs, output_attentions=True, output_hidden_states=True)
    layer = model.encoder.layer[1].attention.self
    weights = {f"w_{part[0]}": getattr(layer, part).weight.detach().numpy().T for part in ("query", "key", "value")}
    offsets = {f"b_{part[0]}": getattr(layer, part).bias.detach().numpy() for part in ("query", "key", "value")}
    attention = SelfAttention(**weights, **offsets, n_heads=2)
    steps = attention(output.hidden_states[1].numpy(), inputs["attention_mask"].numpy() == 1, intermediates=True)
    assert steps.weights.dtype == np.float32
    np.testing.assert_allclose(steps.weights, output.attentions[1].numpy(), atol=1e-5)


@given(st.integers(0, 2**32 - 1))
def test_without_a_mask_the_order_of_tokens_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    X, order = rng.normal(size=(6, 4)), rng.permutation(6)
    attention = SelfAttention.random(4, 2, 3, random_state=seed)
    np.testing.assert_allclose(attention(X[order]), attention(X)[order], atol=1e-12)


@pytest.mark.parametrize(
    ("mask", "window", "seen"),
    [
        (None, None, range(8)),
        ("causal", None, range(5)),
        ("causal", 2, range(3, 5)),
        ("sliding", 3, range(2, 7)),
        ("sliding", 1, [4]),
    ],
)
@pytest.mark.parametrize("block_size", [None, 3])
def test_a_token_depends_on_those_it_may_see_and_on_no_others(
    mask: Any, window: int | None, seen: Any, block_size: int | None
) -> None:
    rng = np.random.default_rng(6)
    X = rng.normal(size=(8, 4))
    attention = SelfAttention.random(4, 2, 3, random_state=0, mask=mask, window=window)
    before = attention(X, block_size=block_size)[4]
    for token in range(8):
        other = X.copy()
        other[token] += rng.normal(size=4)
        changed = not np.array_equal(attention(other, block_size=block_size)[4], before)
        assert changed == (token in seen), token


@pytest.mark.parametrize("mask", [None, "causal", "sliding"])
def test_padding_changes_nothing(mask: Any) -> None:
    rng = np.random.default_rng(7)
    attention = SelfAttention.random(4, 2, 3, random_state=0, mask=mask, window=3 if mask == "sliding" else None)
    texts = [rng.normal(size=(n, 4)) for n in (6, 2, 4)]
    batch, padding = 100 * rng.normal(size=(3, 6, 4)), np.zeros((3, 6), dtype=bool)
    for text, row, real in zip(texts, batch, padding, strict=True):
        row[: len(text)], real[: len(text)] = text, True
    for block_size in (None, 2):
        for text, output in zip(texts, attention(batch, padding, block_size=block_size), strict=True):
            np.testing.assert_allclose(output[: len(text)], attention(text), atol=1e-12)
    assert (attention(batch, np.zeros((3, 6), dtype=bool)) == 0).all()


def test_a_window_as_long_as_the_text_is_no_window() -> None:
    X = np.random.default_rng(8).normal(size=(5, 4))
    w = SelfAttention.random(4, 1, 3, random_state=0)
    for mask, window, same_as in ((None, None, ("sliding", 5)), ("causal", None, ("causal", 5))):
        one, other = (SelfAttention(w.w_q, w.w_k, w.w_v, 1, *options) for options in ((mask, window), same_as))
        np.testing.assert_array_equal(one(X), other(X))


def test_random_projections_follow_the_seed_and_keep_the_variance() -> None:
    X = np.random.default_rng(11).normal(size=(2000, 64))
    one, same, other = (SelfAttention.random(64, 2, 16, random_state=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one(X[:9]), same(X[:9]))
    assert not np.allclose(one(X[:9]), other(X[:9]))
    assert (X @ one.w_q).std() == pytest.approx(1, abs=0.1)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(one))(X[:9]), one(X[:9]))


def labelled_tokens(seed: int, n: int = 80, d: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Return tokens whose dimensions tell of the stars with errors that correlate."""
    rng = np.random.default_rng(seed)
    stars = rng.integers(1, 6, size=n).astype(float)
    return np.outer(stars, rng.normal(size=d)) + rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + 7, stars


@given(st.integers(0, 200))
def test_t_method_weights_are_likelihood_ratios_of_the_estimates(seed: int) -> None:
    X, stars = labelled_tokens(seed)
    model = TMethodRegressor("all", covariance="full").fit(X, stars)
    sigma = np.sqrt(np.mean((stars - model.predict(X)) ** 2))
    text = X[:6]
    estimate = model.predict(text) - model.target_center_
    gain = norm.logpdf(estimate[None, :], estimate[:, None], sigma) - norm.logpdf(estimate[None, :], 0, sigma)
    expected = np.exp(gain - gain.max(axis=1, keepdims=True))
    expected /= expected.sum(axis=1, keepdims=True)
    steps = SelfAttention.t_method(X, stars)(text, intermediates=True)
    np.testing.assert_allclose(steps.scores[0], np.outer(estimate, estimate) / sigma**2, rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(steps.weights[0], expected, atol=1e-8)
    np.testing.assert_allclose(steps.output, expected @ text, atol=1e-7)


def test_t_method_attention_does_not_depend_on_the_units_of_tokens_or_target() -> None:
    X, stars = labelled_tokens(1)
    weights = SelfAttention.t_method(X, stars)(X[:6], intermediates=True).weights
    units, shift = np.array([1e-3, 1, 10, 1e4, -2]), np.array([5, 0, -3, 1, 9])
    moved = X * units + shift
    other = SelfAttention.t_method(moved, 20 * stars - 7)(moved[:6], intermediates=True).weights
    np.testing.assert_allclose(other, weights, atol=1e-6)


def test_t_method_makes_one_head_per_target() -> None:
    X, stars = labelled_tokens(2)
    y = np.column_stack([stars, np.random.default_rng(0).permutation(stars)])
    values = np.ones((5, 4))
    both = SelfAttention.t_method(X, y, w_v=values, mask="causal")
    assert (both.n_heads, both.mask, both(X).shape) == (2, "causal", (80, 4))
    together = both(X[:6], intermediates=True)
    for head in (0, 1):
        alone = SelfAttention.t_method(X, y[:, head], mask="causal")(X[:6], intermediates=True)
        np.testing.assert_allclose(together.weights[head], alone.weights[0], atol=1e-12)
    assert SelfAttention.t_method(X, y)(X[:6]).shape == (6, 10)


def test_t_method_tokens_without_signal_attend_to_all_alike() -> None:
    X = np.array([[1.0], [-1.0], [1.0], [-1.0]])
    weights = SelfAttention.t_method(X, [1, 1, 5, 5])(X, intermediates=True).weights
    np.testing.assert_allclose(weights, 0.25)


def test_t_method_refuses_what_has_no_unit() -> None:
    X = np.arange(6.0).reshape(-1, 1)
    with pytest.raises(ValueError, match="Target 0 is estimated without error"):
        SelfAttention.t_method(X, X[:, 0] + 1)
    with pytest.raises(ValueError, match="y is constant"):
        SelfAttention.t_method(X, np.ones(6))


w, x = np.ones((2, 4)), np.ones((3, 2))
nan = np.array([[np.nan, 1.0]] * 3)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((w[0], w, w), {}, r"w_q must have 2 or more axes, got the shape \(4,\)"),
        ((w[None], w, w), {}, r"w_q must be a matrix with rows and columns, got the shape \(1, 2, 4\)"),
        ((w, w[:, :2], w), {}, "w_q and w_k must have one shape, and w_v as many rows"),
        ((w, w, np.ones((3, 4))), {}, "w_q and w_k must have one shape, and w_v as many rows"),
        ((w, w, w, 3), {}, "The 4 columns of w_q cannot be dealt to n_heads=3 heads"),
        ((w, w, w[:, :3], 2), {}, "The 3 columns of w_v cannot be dealt to n_heads=2 heads"),
        ((w, w, w, 0), {}, "n_heads must be an integer of 1 or more, got 0"),
        ((w, w, w, True), {}, "n_heads must be an integer of 1 or more, got True"),
        ((w, w, w), {"mask": "future"}, "mask must be None, 'causal' or 'sliding', got 'future'"),
        ((w, w, w), {"mask": np.ones((3, 3), dtype=bool)}, "mask must be None, 'causal' or 'sliding', got ndarray"),
        ((w, w, w), {"mask": "sliding"}, "'sliding' needs a window"),
        ((w, w, w), {"window": 3}, "no mask has none: got mask=None, window=3"),
        ((w, w, w), {"mask": "sliding", "window": 0}, "window must be an integer of 1 or more, got 0"),
        ((w, w, w), {"w_o": w}, "w_o must have the 4 rows that w_v has columns, got 2"),
        ((w, w, w), {"b_k": [1.0]}, r"b_k must have the shape \(4,\), got \(1,\)"),
        ((w, np.full((2, 4), np.nan), w), {}, "w_k holds NaN or infinite values"),
    ],
)
def test_errors_of_the_projections(arguments: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SelfAttention(*arguments, **options)


@pytest.mark.parametrize(
    ("X", "padding", "message"),
    [
        (np.ones((3, 4)), None, r"X must have the 2 columns that w_q has rows, got the shape \(3, 4\)"),
        (nan, None, "X holds NaN or infinite values"),
        (x, [1, 1, 0], "padding must be bool, True where a token is real, got dtype int64: use padding == 1"),
        (x, [True, False], r"padding must have the shape \(3,\) of the tokens, got \(2,\)"),
        (np.ones((2, 3, 2)), [True] * 3, r"padding must have the shape \(2, 3\) of the tokens, got \(3,\)"),
    ],
)
def test_errors_of_the_call(X: np.ndarray, padding: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SelfAttention(w, w, w)(X, padding)
    with pytest.raises(ValueError, match="d_head must be an integer of 1 or more"):
        SelfAttention.random(2, 1, 0)


def test_targets_that_are_an_order_are_numbers():
    X, stars = np.random.default_rng(0).normal(size=(30, 3)), np.tile([1, 2, 3, 4, 5], 6)
    expected = SelfAttention.t_method(X, stars)
    for labels in (
        stars.astype(str),
        stars[:, None],
        pd.Categorical(stars, ordered=True),
        pd.Series(stars, index=stars),
    ):
        np.testing.assert_array_equal(SelfAttention.t_method(X, labels).w_q, expected.w_q)
    with pytest.raises(ValueError, match=r"SelfAttention.t_method needs numbers as target y, got 'good' at position 0"):
        SelfAttention.t_method(X, ["good", "bad"] * 15)
