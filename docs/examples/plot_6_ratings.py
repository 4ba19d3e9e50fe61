"""
Ratings with gaps
=================

Which film will a person like? Collaborative filtering answers from the ratings of other people. Here a T-method does
it: the films are the rows, **other people's ratings are the items**, and the person's rating is the target. Most
ratings are missing, and stay missing.

*For those who know scikit-learn:* an *item* is a feature. A T-method is a linear model: each item alone predicts the
target, and the average of these predictions is weighted by how well each item does. No equation system is solved, so a
missing value only takes one prediction out of the average.

*For those who know the T-method:* ``fit`` learns, ``predict`` estimates. An array has a row for each film and a column
for each item, and a gap is written as ``nan``.

*To run it:* ``pip install "t-method-vs-attention[workbench]"``

The data
--------

The ratings come from a model of latent factors. A film has a quality, a person a level (generous or strict), and both
have a place in two dimensions of taste (say: how serious, how fast)::

    rating = 3.2 + quality + level + 0.9 * (film's place . person's place) / sqrt(2) + noise

rounded to the stars 1 to 5. The noise has a standard deviation of 0.6 stars. Each person has rated about three films
in ten.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.linear_model import RidgeCV
from sklearn.metrics import mean_absolute_error
from sklearn.pipeline import make_pipeline

from pipeline.taguchi import TMethodRegressor

rng = np.random.default_rng(0)
n_films, n_people = 240, 150
people, films = rng.normal(size=(n_people, 2)), rng.normal(size=(n_films, 2))
quality, level = rng.normal(0, 0.4, size=n_films), rng.normal(0, 0.5, size=n_people)
taste = 0.9 * films @ people.T / np.sqrt(2)
stars = 3.2 + quality[:, None] + level + taste + rng.normal(0, 0.6, size=(n_films, n_people))
stars = stars.round().clip(1, 5)
ratings = np.where(rng.random(stars.shape) < 0.3, stars, np.nan)

print(f"{np.isnan(ratings).mean():.0%} of {ratings.size} ratings are missing.")
fig, ax = plt.subplots(figsize=(8, 4))
picture = ax.imshow(
    ratings[:60, :100], cmap=plt.get_cmap("RdYlGn", 5), vmin=0.5, vmax=5.5, aspect="auto"
)
ax.set(xlabel="person (item)", ylabel="film (row)", title="Ratings, white where there is none")
_ = fig.colorbar(picture, ax=ax, label="stars", ticks=range(1, 6))

# %%
# One person
# ----------
#
# Take the person with the most pronounced taste, and let 80 of their ratings be known. The items are the other people
# who rated at least five of these films: two points always lie on a line and look like perfect agreement.
#
# The *unit space* (単位空間, 单位空间) holds the rows from which everything is measured. With ``unit_space="all"``, the
# variant Ta, it is all of the person's films, so a strict person and a generous one count alike: only the
# ups and downs are compared. The *sensitivity* (感度, 灵敏度) ``beta_`` says how many stars another person goes up when
# this one goes up by one; it is negative for the opposite taste. The *S/N ratio* (SN比, 信噪比) ``eta_`` says
# how far this line stands above its scatter. It is the weight of the item.
one = np.argmax(np.linalg.norm(people, axis=1))
target, others = stars[:, one], np.delete(ratings, one, axis=1)
order = np.random.default_rng(0).permutation(n_films)
known, unseen = order[:80], order[140:]


def people_with_common_films(rows, at_least=5):
    return (~np.isnan(others[rows])).sum(axis=0) >= at_least


kept = people_with_common_films(known)
model = TMethodRegressor("all", clip="range").fit(others[known][:, kept], target[known])
predicted = model.predict(others[unseen][:, kept])
error = mean_absolute_error(target[unseen], predicted)
print(f"Mean error on {len(unseen)} unseen films: {error:.2f} stars.")
print(f"{kept.sum()} people are items.")

# The cosine of the two tastes, which no model has seen.
directions = people / np.linalg.norm(people, axis=1, keepdims=True)
likeness = np.delete(directions, one, axis=0) @ directions[one]
has_weight = model.eta_ > 0
same_sign = np.mean(np.sign(model.beta_[has_weight]) == np.sign(likeness[kept][has_weight]))
print(f"{has_weight.sum()} of them have a weight;")
print(f"{same_sign:.0%} of these have a sensitivity of the right sign.")

fig, (left, right) = plt.subplots(1, 2, figsize=(9.5, 4), layout="constrained")
left.scatter(
    likeness[kept], model.beta_, s=8 + 60 * np.sqrt(model.eta_ / model.eta_.max()), alpha=0.6
)
left.axhline(0, color="grey", lw=0.8)
left.axvline(0, color="grey", lw=0.8)
left.set(
    xlabel="likeness of taste (cosine)", ylabel="sensitivity", title="Other people; size: S/N ratio"
)
jitter = np.random.default_rng(0).uniform(-0.15, 0.15, size=len(unseen))
right.scatter(target[unseen] + jitter, predicted, s=14, alpha=0.6)
right.plot([1, 5], [1, 5], color="grey", lw=0.8)
_ = right.set(xlabel="stars of this person", ylabel="estimate", title="Unseen films")

# %%
# A new film that few people have rated needs no special treatment. Here only three of the items are there, and the
# estimate is the average of the three.
film = np.full((1, kept.sum()), np.nan)
strongest = np.argsort(-model.eta_)[:3]
film[0, strongest] = [3, 4, 3]
print(
    f"Sensitivities {model.beta_[strongest].round(2)}, estimate {model.predict(film)[0]:.1f} stars."
)

# %%
# Forty people, few films and many
# --------------------------------
#
# How many films must a person have rated? We repeat this for 40 people, and compare with three usual answers: the mean
# of the film over all others (which knows nothing of the person), that mean moved by the person's level, and a ridge
# regression, the standard linear model, with the film's missing ratings filled in by each column's mean.


def film_mean(rows, unseen, others, target):
    return np.nanmean(others[unseen], axis=1)


def film_mean_and_level(rows, unseen, others, target):
    means = np.nanmean(others, axis=1)
    return means[unseen] + np.mean(target[rows] - means[rows])


def ridge(rows, unseen, others, target):
    model = make_pipeline(SimpleImputer(keep_empty_features=True), RidgeCV(np.logspace(-1, 4, 12)))
    return model.fit(others[rows], target[rows]).predict(others[unseen])


def t_method(rows, unseen, others, target):
    kept = people_with_common_films(rows)
    model = TMethodRegressor("all", clip="range").fit(others[rows][:, kept], target[rows])
    return model.predict(others[unseen][:, kept])


answers = {
    "mean": film_mean,
    "mean + level": film_mean_and_level,
    "Ridge": ridge,
    "T-method": t_method,
}
errors = []
for person in range(40):
    target, others = stars[:, person], np.delete(ratings, person, axis=1)
    order = np.random.default_rng(person).permutation(n_films)
    unseen = order[140:]
    for n_known in (10, 20, 40, 80, 140):
        for name, answer in answers.items():
            predicted = answer(order[:n_known], unseen, others, target).clip(1, 5)
            errors.append((n_known, name, mean_absolute_error(target[unseen], predicted)))

table = pd.DataFrame(errors, columns=["films rated", "answer", "error"])
table = table.pivot_table(index="films rated", columns="answer", values="error")[list(answers)]
print(table.round(2).to_string())

fig, ax = plt.subplots(figsize=(9, 4), layout="constrained")
for name, style in zip(answers, ["C7:", "C7--", "C0o-", "C3o-"], strict=True):
    ax.plot(table.index, table[name], style, label=name)
ax.set(xscale="log", xlabel="films that the person has rated", ylabel="mean absolute error (stars)")
ax.set_xticks(table.index, table.index)
_ = ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))

# %%
# What to take from it
# --------------------
#
# - Means cannot know a taste: from 20 films on, both models have a smaller error.
# - With 40 films the T-method, which fills in nothing, has the smallest error of all.
# - With 10 films it is no better than the film's mean: a line through five common films says little.
# - With more films it gains nothing and Ridge is ahead. People of one taste err together, and the T-method counts
#   each of them as an independent witness; Ridge sees that they say the same.
for n, name in table.idxmin(axis=1).items():
    print(f"Smallest error with {n} films: {name}")
