"""
Words in place of embeddings
============================

How many stars does a review give? Usually a network, trained on millions of texts, turns each text into a vector (an
embedding). Here nothing is known beforehand: **each word is an item**, and its weight comes from the reviews at hand.

*For those who know scikit-learn:* a T-method is a linear model whose weights are written down, not searched for.
``TMetrics`` is a transformer, from texts to 17 numbers. Its ``fit_transform`` computes the training rows out of fold,
as ``TargetEncoder`` does.

*For those who know the T-method:* an item is "the word is in the text, or not", and the target is the star. There are
two steps. In step 1 each word is measured alone, and the results of a text's words are summed into 17 numbers. In step
2 these 17 are the items of a second T-method, T(2). ``fit`` learns from reviews with stars, ``transform`` and
``predict`` measure reviews without.

The data
--------

600 short reviews come with this package, written for it in English, 120 of each star. 200 are *held out*
(検証用に残したデータ): they have no part in ``fit``.
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

# For your own texts change three things: the table with its columns `text` and `stars` (any grades),
reviews = load_sample()
# the number of held-out rows,
n_test = 200
# and the text that is taken apart below.
text = (
    "We waited an hour and the soup was cold, "
    "but the staff was friendly and the dessert perfect. Worth it!"
)
grades = sorted(reviews.stars.unique())
train, test = train_test_split(reviews, test_size=n_test, random_state=0, stratify=reviews.stars)
print(f"{len(train)} reviews to learn from, {len(test)} held out. One of them:")
print(textwrap.fill(train.text.iloc[0], 100), "->", train.stars.iloc[0], "stars")

# %%
# Step 1: what a word says
# ------------------------
#
# Each word and each pair of neighbours is measured alone. Its *sensitivity* (感度, 灵敏度) ``beta`` is how much more
# often it occurs as the target rises. Its *S/N ratio* (SN比, 信噪比) is ``eta`` = S_β/S_e, the part of its variation
# that the target explains over the part that it does not; so a rare word has little. The ``value`` of a word is the
# mean of the stars of the reviews that have it, less the mean of those that do not. Only words of a fiftieth of the
# texts are shown.
words = TMetrics().fit(train.text, train.stars)
everything = words.explain(" ".join(train.text))
everything = everything[everything.n_texts >= max(2, len(train) // 50)].sort_values(
    "sn_db", ascending=False
)
strongest = pd.concat(
    [everything[everything.value > 0].head(10), everything[everything.value < 0].head(10)[::-1]]
)
columns = ["item", "n_texts", "value", "sn_db"]
print(strongest[columns].astype({"n_texts": int}).round(2).to_string(index=False))

fig, ax = plt.subplots(figsize=(6.5, 5), layout="constrained")
ax.barh(strongest["item"], strongest["value"], color=np.where(strongest["value"] > 0, "C2", "C3"))
ax.axvline(0, color="grey", lw=0.8)
ax.invert_yaxis()
_ = ax.set(
    xlabel="mean stars with the word less mean stars without",
    title="Words and pairs with the largest S/N ratios",
)

# %%
# Step 2: from words to a star
# ----------------------------
#
# ``TMetrics`` adds the words of a text up in 17 ways (sums, means, the strongest up and down). These are the items of
# T(2), the one-sided T-method, ``unit_space="low"``: the *unit space* (単位空間, 单位空间) are the reviews of one star,
# all others are the signal. Both steps together are a *pipeline*, which is fitted and used as one model.
model = make_pipeline(TMetrics(), TMethodRegressor("low", clip="range")).fit(
    train.text, train.stars
)
stars = model.predict(test.text)

fig, ax = plt.subplots(figsize=(6, 4))
places = range(1, len(grades) + 1)
ax.boxplot([stars[test.stars == grade] for grade in grades], positions=places, tick_labels=grades)
ax.plot(places, grades, color="grey", lw=0.8)
ax.set(xlabel="stars given", ylabel="stars predicted", title="Held-out reviews")

error, kappa = (
    mean_absolute_error(test.stars, stars),
    cohen_kappa_score(test.stars, stars.round(), weights="quadratic"),
)
print(f"Unit space: {model[-1].n_unit_space_:.0f} of {len(train)} reviews.")
print(f"Mean absolute error {error:.2f} stars, quadratic weighted kappa {kappa:.2f}.")

# %%
# Why this star?
# --------------
#
# Both steps are sums, so a prediction can be told as words. ``explain`` takes it apart: the base, which is the same for
# every text, then the words with what each adds or takes away, in stars, and columns that are no sums, such as the
# strongest word up. Together they are the prediction; where ``clip`` cuts one off at an end of the scale, the last row,
# ``limit``, says how much.
table = explain(model, text)
print(f"{text}\n-> {model.predict([text])[0]:.2f} stars")
print(f"{len(table)} parts sum up to {table.contribution.sum():.2f}; the first:")
print(table[["item", "contribution"]].head(12).round(2).to_string(index=False))

parts = table[1:].head(14).sort_values("contribution")
fig, ax = plt.subplots(figsize=(6.5, 4.5), layout="constrained")
ax.barh(parts["item"], parts["contribution"], color=np.where(parts["contribution"] > 0, "C2", "C3"))
ax.axvline(0, color="grey", lw=0.8)
_ = ax.set(xlabel="contribution (stars)", title="The strongest parts of one prediction")

# %%
# All is measured from a text of one star. Against that, neutral words add stars, and so does a column that is 0:
# compare words with each other, not with 0. A text without any known word is not in the middle of the scale. With
# ``unit_space="all"`` the base is the mean of all reviews, and the error is hardly larger.
centred = make_pipeline(TMetrics(), TMethodRegressor("all", clip="range")).fit(
    train.text, train.stars
)
for name, each in (("low", model), ("all", centred)):
    error = mean_absolute_error(test.stars, each.predict(test.text))
    base, unknown = explain(each, text).contribution[0], each.predict(["xyz"])[0]
    print(
        f'"{name}": base {base:.2f}, no known word {unknown:.2f}, mean absolute error {error:.2f}'
    )

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
for n in sorted({min(n, len(train)) for n in (30, 60, 100, 200, 400)}):
    part = train.groupby("stars").head(n // len(grades))
    for name, rival in rivals.items():
        if rival is None:
            predicted = np.full(len(test), part.stars.mean())
        else:
            predicted = (
                rival.fit(part.text, part.stars).predict(test.text).clip(grades[0], grades[-1])
            )
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
# - No weight is searched for: sums over the reviews give them all (for the training rows out of fold), and every weight
#   is a word that can be looked up.
last = errors.iloc[-1]
print(f"{len(train)} reviews: {last['T(2) on words']:.2f} stars by T(2),")
print(f"{last['TF-IDF + Ridge']:.2f} by Ridge.")
