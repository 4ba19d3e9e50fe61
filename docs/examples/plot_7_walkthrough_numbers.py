"""
Attention walk-throughs, number by number
=========================================

Introductions to attention in Japanese and Chinese print small examples, often with the numbers of others. This page
computes them anew, puts **their number beside ours**, and explains where the two differ. The maps of trained models
that such introductions draw are on :doc:`the page after it <plot_9_walkthrough_maps>`.

*For those who know scikit-learn:* attention is a weighted mean of rows. The weights are made from the rows themselves.

*For those who know the T-method:* the integrated estimate is a weighted mean, too. Its weights are S/N ratios; here
they are a softmax of scores.

The terms
---------

.. list-table::
   :header-rows: 1
   :widths: 24 30 18 28

   * - English
     - 日本語
     - 中文
     - in one clause
   * - attention
     - 注意機構
     - 注意力机制
     - a mean whose weights come from the data
   * - self-attention
     - 自己注意
     - 自注意力
     - the tokens of one text weigh each other
   * - token
     - トークン
     - 词元
     - a word or a piece of one
   * - embedding
     - 埋め込み
     - 嵌入
     - the row of numbers that stands for a token
   * - query
     - クエリ
     - 查询
     - what a token looks for
   * - key
     - キー
     - 键
     - what a token is found by
   * - value
     - バリュー
     - 值
     - what a token hands over
   * - score
     - スコア
     - 得分
     - query times key
   * - softmax
     - ソフトマックス
     - softmax
     - makes positive weights with sum 1 of scores
   * - weight
     - 重み
     - 权重
     - the share of a value in the mean
   * - scaled dot product
     - スケール化内積
     - 缩放点积
     - scores divided by the root of their length
   * - head
     - ヘッド
     - 头
     - one set of query, key and value matrices
   * - mask
     - マスク
     - 掩码
     - forbids some keys
   * - sliding window
     - スライディング窓
     - 滑动窗口
     - a mask that leaves the neighbours

Two functions serve the whole page: ``beside`` prints our number with as many digits as theirs, and ``softmax`` is the
definition.
"""

import time
import tracemalloc

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from pipeline.attention import SelfAttention, scaled_dot_product_attention, sliding_mask


def beside(*rows):
    """Put ours beside theirs: each row has a name, their printed text, our numbers and a remark."""
    lines = []
    for what, theirs, ours, remark in rows:
        digits = len(theirs.split()[0].partition(".")[2])
        printed = " ".join(f"{number:.{digits}f}" for number in np.ravel(ours))
        lines.append((what, theirs, printed, "equal" if printed == theirs else "differs", remark))
    table = pd.DataFrame(lines, columns=["number", "theirs", "ours", "", "remark"])
    return table.style.hide(axis="index")


def softmax(scores, axis=-1):
    powers = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


# %%
# Four words of three numbers
# ---------------------------
#
# The example that most pages go back to has four tokens of three numbers. Three matrices of 3 x 3 whole numbers from 0
# to 2 turn each token into a query, a key and a value. They are drawn by NumPy's legacy generator from the seed 42,
# which gives the same numbers in every version of NumPy.


def draw(n_rows):
    generator = np.random.RandomState(42)
    return [generator.randint(3, size=(n_rows, 3)) for _ in range(3)]


three = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 1]])
Q3, K3, V3 = (three @ matrix for matrix in draw(3))
output3 = scaled_dot_product_attention(Q3, K3, V3)

beside(
    ("output of word 1", "0.98522025 1.74174051 0.75652026", output3[0], ""),
    ("output of word 2", "0.90965265 1.40965265 0.50000000", output3[1], "NumPy prints 0.5"),
    ("output of word 3", "0.99851226 1.75849334 0.75998108", output3[2], ""),
    ("output of word 4", "0.99560386 1.90407309 0.90846923", output3[3], ""),
)

# %%
# Four words of four numbers
# --------------------------
#
# A later walk-through gives its words four numbers, and so its matrices four rows; they are drawn from seed 42 as
# well. But the Q, K and V that it prints are those of the 3 x 3 case.
words = np.array([[1, 0, 1, 0], [0, 1, 0, 1], [1, 1, 0, 0], [0, 0, 1, 0]])
W_Q, W_K, W_V = draw(4)
Q, K, V = words @ W_Q, words @ W_K, words @ W_V
print("W_Q, W_K and W_V, 4 x 3:")
print(np.hstack([W_Q, W_K, W_V]))


def as_text(matrix):
    return "  ".join(" ".join(map(str, row)) for row in matrix)


pd.DataFrame(
    [
        (name, as_text(theirs), as_text(ours), np.sum((theirs == ours).all(axis=1)))
        for name, theirs, ours in (("Q", Q3, Q), ("K", K3, K), ("V", V3, V))
    ],
    columns=["matrix", "theirs: 3 x 3 weights", "ours: 4 x 3 weights", "equal rows"],
).style.hide(axis="index")

# %%
# What is odd: two rows of Q are equal. The generator fills W_Q first and row by row, so its first three rows are the
# 3 x 3 matrix, and words 3 and 4 use no other. For W_K the generator has already handed out three numbers more, so
# that nothing of K and V agrees but by chance. Whoever compares Q only is easily misled.
#
# Softmax over all scores, and per query
# --------------------------------------
#
# With the 4 x 3 weights the scores are these. The same walk-through normalises over all sixteen of them at once, with
# ``softmax(scores / 3 ** 0.5)`` and no axis. The definition normalises the row of each query. ``normalize="all"`` does
# the first, the default the second.
steps = {
    over: scaled_dot_product_attention(Q, K, V, normalize=over, intermediates=True)
    for over in ("all", "keys")
}
print("scores Q K':")
print(Q @ K.T)
print("sums of the rows, over all:", steps["all"].weights.sum(axis=1).round(3))
print("sums of the rows, per query:", steps["keys"].weights.sum(axis=1).round(3))

beside(
    (
        "w1, over all scores",
        "0.18047950 0.10131829 0.18047950 0.00564921",
        steps["all"].weights[0],
        "sums to 0.468",
    ),
    (
        "w1, per query",
        "0.38570053 0.21652608 0.38570053 0.01207286",
        steps["keys"].weights[0],
        "sums to 1",
    ),
    (
        "output of w1, per query",
        "1.81875269 2.43305215 1.81875269",
        steps["keys"].output[0],
        "torch gives these, too",
    ),
)

# %%
# What is odd: over all scores, the four queries share one unit of attention. w1 and w2 have 0.468 and 0.465 of it,
# because their scores happen to be large; w3 has 0.020 left, so its output is nearly zero. With a longer text each
# query has less.
#
# "By machine learning or otherwise"
# ----------------------------------
#
# Where do the three matrices come from? The walk-throughs say that they are learned, "by machine learning or
# otherwise", and then draw them. Here are three answers for these words: **random** numbers, the **given** ones from
# above, and the **T-method** (T法, T方法). The last needs labels. So let the words occur in nine reviews with stars;
# each word is a row of signal data, and the stars of its review are the target. One pass of sums, no gradient.
reviews = [[0, 2], [0, 3], [1, 3], [1, 2], [0], [1], [2, 3], [0, 2, 3], [1, 3]]
stars = [5, 4, 2, 2, 5, 1, 3, 4, 1]
X = np.array([words[word] for review in reviews for word in review])
y = [star for review, star in zip(reviews, stars, strict=True) for _ in review]

learned = SelfAttention.t_method(X, y)
attentions = {
    "random": SelfAttention.random(d_model=4, n_heads=1, d_head=3, random_state=0),
    "given": SelfAttention(W_Q, W_K, W_V),
    "T-method": learned,
}
fig, axes = plt.subplots(1, 3, figsize=(8.5, 3.2), layout="constrained")
names = ["w1", "w2", "w3", "w4"]
for ax, (name, attention) in zip(axes, attentions.items(), strict=True):
    weights = attention(words, intermediates=True).weights[0]
    ax.imshow(weights, cmap="Blues", vmin=0, vmax=1)
    for (i, j), weight in np.ndenumerate(weights):
        ink = "white" if weight > 0.6 else "black"
        ax.text(j, i, f"{weight:.2f}", ha="center", va="center", color=ink)
    ax.set_xticks(range(4), names)
    ax.set_yticks(range(4), names)
    ax.set(title=name, xlabel="key", ylabel="query")

judged = learned(words, intermediates=True).q.ravel()
print("What the T-method thinks of each word, in units of its error:")
print(dict(zip(names, judged.round(2).tolist(), strict=True)))

# %%
# The random weights are fairly even and mean nothing. The given ones are sharp and mean nothing either: they follow
# from a seed. Those of the T-method can be read: w1 occurs in reviews of many stars, w2 in those of few, so w2
# attends to itself and not to w1.
#
# Word length as weights
# ----------------------
#
# One walk-through has no query at all: a word's weight is its number of letters over the letters of the sentence.
text = "Awareness is power in a world where knowledge is everywhere"
sentence = text.split()
lengths = np.array([len(word) for word in sentence])
by_length = lengths / lengths.sum()

beside(
    (
        "weights of the ten words",
        "0.180 0.040 0.100 0.040 0.020 0.100 0.100 0.180 0.040 0.200",
        by_length,
        "50 letters in all",
    )
)

# %%
# The walk-through then simulates embeddings, and its list of them ends in 10.1. We do not know how it made them; one
# construction that ends so is the position, counted from 1, plus 0.1. If it is written as a dictionary (辞書, 字典)
# with the word as its key, the second "is" takes the place of the first. Nine embeddings are left of ten, yet the
# last one is still 10.1, for the positions were counted before. Lists keep all ten.
embeddings = [position + 0.1 for position in range(1, 11)]
as_dict = dict(zip(sentence, embeddings, strict=True))
weight_of = dict(zip(sentence, by_length, strict=True))
print("list:", *(f"{number:.1f}" for number in embeddings))
print("dict:", *(f"{number:.1f}" for number in as_dict.values()))

from_lists = by_length @ embeddings
from_dicts = sum(weight * as_dict[word] for word, weight in weight_of.items())
pd.DataFrame(
    {
        "entries": [len(embeddings), len(as_dict)],
        "last": [embeddings[-1], as_dict["everywhere"]],
        "embedding of the first is": [embeddings[1], as_dict["is"]],
        "sum of the weights": [by_length.sum(), sum(weight_of.values())],
        "weighted sum": [from_lists, from_dicts],
    },
    index=["lists", "dictionaries"],
).round(3)

# %%
# A weighted sum whose weights do not sum to 1 is no mean: that is how the mistake can be found. A dictionary cannot
# hold a text in which a word occurs twice; a list or a table can.
#
# Softmax of three numbers
# ------------------------
#
# The usual first example, and what becomes of it with large numbers: ``exp(1000)`` is beyond the largest number of 64
# bits, so that infinity is divided by infinity. The stable softmax subtracts the largest score first. That changes
# nothing else, because the factor ``exp(-max)`` stands above and below the line.


def unstable(scores):
    return np.exp(scores) / np.exp(scores).sum()


large = np.array([1000.0, 999.0, 998.1])
with np.errstate(over="ignore", invalid="ignore"):
    print("unstable:", unstable(large))
print("stable:  ", softmax(large).round(3))
print("largest x with a finite exp(x):", np.log(np.finfo(float).max).round(1))

beside(
    ("softmax([2, 1, 0.1])", "0.659 0.242 0.099", softmax(np.array([2, 1, 0.1])), ""),
    ("the same plus 998", "0.659 0.242 0.099", softmax(large), "stable only"),
)

# %%
# Ten tokens of sixteen numbers
# -----------------------------
#
# Scaled dot-product attention of random numbers. Such pages print shapes only, since nobody can check random numbers
# without a seed; ours is 0.
rng = np.random.default_rng(0)
Q10, K10, V10 = rng.normal(size=(3, 10, 16))
ten = scaled_dot_product_attention(Q10, K10, V10, intermediates=True)
unscaled = scaled_dot_product_attention(Q10, K10, V10, scale=1, intermediates=True)
print("weights:", ten.weights.shape, " output:", ten.output.shape)
print("first row of weights:", ten.weights[0].round(3))
print(
    f"largest weight of a query, on average: {ten.weights.max(axis=1).mean():.2f}; "
    f"without the scale: {unscaled.weights.max(axis=1).mean():.2f}"
)

# %%
# That is what the scale is for. A score of 16 products has a standard deviation of 4; without the division one key
# takes nearly all.
#
# Several heads
# -------------
#
# Four heads of four numbers: each attends on its part of the columns, and their outputs are put side by side.
# "Multi-head attention" (マルチヘッド注意, 多头注意力) is nothing but that.
heads = SelfAttention.random(d_model=16, n_heads=4, d_head=4, random_state=0)
tokens = rng.normal(size=(10, 16))
projected = [tokens @ matrix for matrix in (heads.w_q, heads.w_k, heads.w_v)]
by_hand = [
    softmax(q @ k.T / 4**0.5) @ v
    for q, k, v in zip(*(np.split(each, 4, axis=1) for each in projected), strict=True)
]
print("output:", heads(tokens).shape)
print("equal to four heads by hand:", np.allclose(heads(tokens), np.hstack(by_hand)))

# %%
# Sliding window
# --------------
#
# A token sees those less than three positions away. What the mask forbids gets the score minus infinity and so the
# weight 0; the others sum to 1 again.
window = scaled_dot_product_attention(Q10, K10, V10, sliding_mask(3), intermediates=True)
print("scores that are needed:", np.isfinite(window.scores).sum(), "of", window.scores.size)

fig, axes = plt.subplots(1, 2, figsize=(7.5, 3.6), layout="constrained")
for ax, (name, each) in zip(axes, {"all keys": ten, "sliding window": window}.items(), strict=True):
    shown = ax.imshow(each.weights, cmap="Blues", vmin=0, vmax=window.weights.max())
    ax.set(title=name, xlabel="key", ylabel="query")
_ = fig.colorbar(shown, ax=axes, label="weight")

# %%
# Block by block
# --------------
#
# The weights of 2,048 tokens are a matrix of 4,194,304 numbers. But the output can be had without it. Each query
# meets a block of keys at a time and remembers its highest score, the sum of its powers and its mean so far; if a
# later block has a higher score, what was there before is scaled down. The output is equal, except for rounding, and
# the memory grows with the length of the text and not with its square. (Flash attention does this on graphics cards.)
Q2, K2, V2 = rng.normal(size=(3, 2048, 16))
outputs, rows = [], []
for block_size in (None, 128):
    tracemalloc.start()
    start = time.perf_counter()
    outputs.append(scaled_dot_product_attention(Q2, K2, V2, block_size=block_size))
    seconds = time.perf_counter() - start
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    rows.append(("whole" if block_size is None else f"blocks of {block_size}", peak, seconds))
print(f"largest difference: {np.abs(outputs[0] - outputs[1]).max():.0e}")
pd.DataFrame(rows, columns=["how", "peak memory, MiB", "seconds"]).set_index("how").round(2)

# %%
# What to take from it
# --------------------
#
# - Every number that the walk-throughs print and that has a seed or an input comes out here to the last digit.
# - Two things in them are not attention as defined: Q, K and V of other weights than those shown, and a softmax over
#   all scores.
# - Weights that sum to 1 are worth a look: rows that do not give away both the softmax over all scores and the
#   dictionary that lost a word.
