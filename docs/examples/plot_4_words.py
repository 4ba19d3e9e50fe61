"""
Words in place of embeddings
============================

How many stars does a review give? Usually a network, trained on millions of texts, turns each text into a vector (an
embedding). Here nothing is known beforehand: **each word is an item**, and its weight comes from the reviews at hand.

*For those who know scikit-learn:* a T-method is a linear model whose weights are written down, not searched for.
``TMetrics`` is a transformer, from texts to 17 numbers. Its ``fit_transform`` computes the training rows out of fold,
as ``TargetEncoder`` does.

*For those who know the T-method:* an item is "the word is in the text, or not", and the target is the star. ``fit``
learns from reviews with stars, ``transform`` and ``predict`` measure reviews without.

The data
--------

600 short reviews come with this package, written for it, 120 of each star. 200 are held out.
"""

import textwrap

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import RidgeCV
from sklearn.metrics import cohen_kappa_score, mean_absolute_error
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from pipeline import load_sample
from pipeline.experiment.explanation import explain
from pipeline.features import TMetrics
from pipeline.taguchi import TMethodRegressor

reviews = load_sample()
train, test = train_test_split(reviews, test_size=200, random_state=0, stratify=reviews.stars)
print(f"{len(train)} reviews to learn from, {len(test)} held out. One of them:")
print(textwrap.fill(train.text.iloc[0], 100), "->", train.stars.iloc[0], "stars")

# %%
# What a word says
# ----------------
#
# Each word and each pair of neighbours is measured alone. Its *sensitivity* (感度, 灵敏度) ``beta`` is how much more
# often it occurs as the target rises. Its *S/N ratio* (SN比, 信噪比) ``eta`` is how far that stands above chance. The
# reference point is one end of the scale, the *unit space* (単位空間, 单位空间) of the T(2) method.
# For each word the table tells how many texts have it, its value in stars (up or down) and its S/N ratio.
words = TMetrics().fit(train.text, train.stars)
everything = words.explain(" ".join(train.text))
everything = everything[everything.n_texts >= 8].sort_values("sn_db", ascending=False)
strongest = pd.concat(
    [everything[everything.value > 0].head(10), everything[everything.value < 0].head(10)[::-1]]
)
print(strongest[["item", "n_texts", "value", "sn_db"]].round(2).to_string(index=False))

fig, ax = plt.subplots(figsize=(6.5, 5), layout="constrained")
ax.barh(strongest["item"], strongest["value"], color=np.where(strongest["value"] > 0, "C2", "C3"))
ax.axvline(0, color="grey", lw=0.8)
ax.invert_yaxis()
_ = ax.set(
    xlabel="value in stars, from the middle of the scale",
    title="Words and pairs with the largest S/N ratios",
)

# %%
# From words to a star
# --------------------
#
# ``TMetrics`` adds the words of a text up in 17 ways (sums, means, the strongest up and down). A second T-method makes
# one estimate of these 17 items; ``unit_space="low"`` is T(2), which measures everything from the lowest stars.
model = make_pipeline(TMetrics(), TMethodRegressor("low", clip="range")).fit(
    train.text, train.stars
)
stars = model.predict(test.text)

fig, ax = plt.subplots(figsize=(6, 4))
ax.boxplot([stars[test.stars == star] for star in range(1, 6)], tick_labels=range(1, 6))
ax.plot(range(1, 6), range(1, 6), color="grey", lw=0.8)
ax.set(xlabel="stars given", ylabel="stars predicted", title="Held-out reviews")

error, kappa = (
    mean_absolute_error(test.stars, stars),
    cohen_kappa_score(test.stars, stars.round(), weights="quadratic"),
)
print(f"Mean absolute error {error:.2f} stars, quadratic weighted kappa {kappa:.2f}.")

# %%
# Why this star?
# --------------
#
# Both steps are sums, so a prediction can be told as words. ``explain`` takes it apart: the base, which is the same for
# every text, then the words with what each adds or takes away, in stars, and columns that are no sums, such as the
# strongest word up. Together they are the prediction.
text = "We waited an hour and the soup was cold, but the staff was friendly and the dessert perfect. Worth it!"
table = explain(model, text)
print(f"{text}\n-> {model.predict([text])[0]:.2f} stars")
print(f"{len(table)} parts sum up to {table.contribution.sum():.2f}; the first:")
print(table.head(12).round(2).to_string(index=False))

parts = table[1:].head(14).sort_values("contribution")
fig, ax = plt.subplots(figsize=(6.5, 4.5), layout="constrained")
ax.barh(parts["item"], parts["contribution"], color=np.where(parts["contribution"] > 0, "C2", "C3"))
ax.axvline(0, color="grey", lw=0.8)
_ = ax.set(xlabel="contribution (stars)", title="The strongest parts of one prediction")

# %%
# From nothing
# ------------
#
# How many reviews does it take? Beside it stands the usual answer without embeddings: TF-IDF weights of words and
# pairs, and a cross-validated ridge regression.
rivals = {
    "mean of the stars": None,
    "TF-IDF + Ridge": make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2)), RidgeCV(np.logspace(-2, 2, 9))
    ),
    "T(2) on words": model,
}
rows = []
for n in (30, 60, 100, 200, 400):
    part = train.groupby("stars").head(n // 5)
    for name, rival in rivals.items():
        if rival is None:
            predicted = np.full(len(test), part.stars.mean())
        else:
            predicted = rival.fit(part.text, part.stars).predict(test.text).clip(1, 5)
        kappa = cohen_kappa_score(test.stars, predicted.round(), weights="quadratic")
        rows.append((n, name, mean_absolute_error(test.stars, predicted), kappa))
curves = pd.DataFrame(rows, columns=["reviews", "model", "error", "kappa"])
errors, kappas = (
    curves.pivot_table(index="reviews", columns="model", values=value)
    for value in ("error", "kappa")
)
print("Mean absolute error in stars:", errors.round(2).to_string(), sep="\n")
print("Quadratic weighted kappa:", kappas.round(2).to_string(), sep="\n")

fig, axes = plt.subplots(1, 2, figsize=(9.5, 4), layout="constrained")
for ax, table, label in zip(
    axes, (errors, kappas), ("mean absolute error", "quadratic weighted kappa"), strict=True
):
    table[list(rivals)].plot(
        ax=ax, style=["C7:", "C0o-", "C3o-"], logx=True, ylabel=label, legend=ax is axes[1]
    )
    ax.minorticks_off()
    ax.set_xticks(table.index, table.index)

# %%
# What to take from it
# --------------------
#
# - With 30 reviews neither knows enough words: the error is hardly smaller than that of the mean.
# - From 60 reviews on, the T-method is ahead of TF-IDF and Ridge, on both measures.
# - It read each review once, and every weight is a word that can be looked up.
last = errors.iloc[-1]
print(
    f"{len(train)} reviews: {last['T(2) on words']:.2f} stars by T(2), {last['TF-IDF + Ridge']:.2f} by Ridge."
)
