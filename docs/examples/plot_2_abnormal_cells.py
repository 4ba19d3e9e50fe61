"""
Abnormal cells
==============

Which rows are not like the ordinary ones, how sure is that, and why? The Mahalanobis-Taguchi method (MT) learns from
ordinary rows alone. Here they are benign tumours, and malignant ones are what it has to find.

*For those who know scikit-learn:* ``MahalanobisTaguchi`` is an outlier detector, like ``IsolationForest``. ``fit``
takes ordinary rows alone and ignores ``y``; ``predict`` returns 1 for an ordinary row and -1 for an outlier. Its score
is a Mahalanobis distance: how many standard deviations a row is away, where correlated items do not count twice.

*For those who know MT:* ``fit(X)`` takes the rows of the unit space, and ``distance(X)`` gives D, the root of the MD.
``diagnosis(X)`` shows both, as ``distance`` and ``md``. The standard deviations divide by n - 1, so the mean MD of the
unit space is (n - 1)/n. In books that divide by n it is exactly 1: multiply the MD by n/(n - 1).

The data
--------

569 tumours, 30 *items* (features): ten properties of the cell nuclei in a picture, each as mean, error and worst value.
Half of the benign rows are the *unit space* (単位空間, 单位空间), the group from which all is measured. Half of the
malignant ones are known, too. The other halves are *held out* (検証用に残したデータ) until the end.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

from pipeline.taguchi import MahalanobisTaguchi, MahalanobisTaguchiSelector
from pipeline.taguchi.plots import (
    ContributionsDisplay,
    DistanceDisplay,
    EffectChartDisplay,
    OperatingCharacteristicDisplay,
)

X, label = load_breast_cancer(return_X_y=True, as_frame=True)
malignant = (label == 0).astype(int)
X, X_new, y, y_new = train_test_split(
    X, malignant, test_size=0.5, random_state=0, stratify=malignant
)
unit_space, known = X[y == 0], X[y == 1]
benign_new, malignant_new = X_new[y_new == 0], X_new[y_new == 1]
print(f"Unit space: {len(unit_space)} benign rows; known: {len(known)} malignant rows;")
print(f"held out: {len(benign_new)} benign and {len(malignant_new)} malignant rows.")

# %%
# The threshold
# -------------
#
# How far is too far? The default 4.0 is on D; where your book says MD > 4, write ``threshold=2.0``, the root. There are
# three other ways to choose (しきい値の決め方).
#
# - ``"quantile"``: the distance that a new benign row exceeds with a given probability, here 5%. Each row of the unit
#   space is measured without itself, since a row looks nearer to a group that it belongs to.
# - ``"f"``: the distance that is exceeded with this probability if the items are normally distributed.
# - ``"roc"``: the largest detection rate less false alarm rate, from the rows that are known to be abnormal.
#
# Only "roc" needs ``abnormal=``. With any other threshold these rows change nothing but the table of the *operating
# characteristic* below.
#
# A *false alarm* is a benign row beyond the threshold, a *detection* a malignant one. Both are counted on the held-out
# rows.
settings = {
    "D = 4": 4.0,
    "D = 2 (MD = 4)": 2.0,
    '"quantile"': "quantile",
    '"f"': "f",
    '"roc"': "roc",
}
rates = []
for name, threshold in settings.items():
    model = MahalanobisTaguchi(threshold=threshold, false_alarm_rate=0.05).fit(
        unit_space, abnormal=known
    )
    alarms, found = (np.mean(model.predict(rows) == -1) for rows in (benign_new, malignant_new))
    rates.append((name, model.threshold_, alarms, found))
rates = pd.DataFrame(rates, columns=["threshold", "D", "false alarms", "detected"])
print(rates.round(2).to_string(index=False))

# %%
# A fixed threshold promises no rate. "quantile" keeps its 5% of false alarms whatever the items look like, "f" does
# not, for these items are skewed. The operating characteristic shows what all thresholds give, left for the rows of the
# fit (each benign one measured without itself), right for the held-out ones.
model = MahalanobisTaguchi(threshold="quantile", false_alarm_rate=0.05).fit(
    unit_space, abnormal=known
)

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4.8), layout="constrained")
OperatingCharacteristicDisplay.from_estimator(model, ax=left)
left.set_title("Rows of the fit")
OperatingCharacteristicDisplay.from_estimator(model, benign_new, malignant_new, ax=right)
_ = right.set_title("Held-out rows")

# %%
# The distances behind it:
DistanceDisplay.from_estimator(model, benign_new, malignant_new)

# %%
# Diagnosis of one row
# --------------------
#
# Why is a row abnormal? ``explain`` gives the terms that D² is made of; one is negative where an item only makes up
# for what others say twice. ``contributions(..., by="leaving_out")`` answers another question: what would D² lose
# without the item?
row = int(np.argsort(model.distance(malignant_new))[len(malignant_new) // 2])
one = malignant_new.iloc[[row]]
print(model.diagnosis(one).round(2).to_string())
ContributionsDisplay.from_estimator(model, malignant_new, row=row)

# %%
# Radius, perimeter and area say nearly one thing, so their terms are large and cancel: look at them together. Leaving
# one item out tells what no other item can replace. With correlated items the two differ.
terms = model.explain(one)
md = model.diagnosis(one).md.iloc[0]
print(f"The terms sum up to {terms.to_numpy().sum():.2f}, the MD is {md:.2f}.")
table = terms.T.set_axis(["term"], axis=1)
table["leaving out"] = model.contributions(one, by="leaving_out")[0]
table.sort_values("term", key=abs, ascending=False).head(8).round(2)

# %%
# Fewer items
# -----------
#
# Each item costs a measurement. ``MahalanobisTaguchiSelector`` lays the items on an *orthogonal array* (直交表,
# 正交表): each of its runs uses half of them, and its *S/N ratio* (SN比, 信噪比), larger-the-better, says how far the
# malignant rows are then away. The *gain* (利得) of an item is the mean with it less the mean without it. The factorial
# effect chart (要因効果図) shows both means.
#
# Rows are held out by *cross-validation* (交差検証: five times a fifth of them), and the S/N ratio has a second term,
# which punishes items that bring held-out benign rows far away as well; books use the first term only.
#
# The selector takes all rows, and 0 (normal) or 1 (abnormal) for each. From two tables:
both = pd.concat([unit_space, known])
selector = MahalanobisTaguchiSelector().fit(both, [0] * len(unit_space) + [1] * len(known))
kept = selector.get_feature_names_out()
print(f"{len(selector.orthogonal_array_)} runs; {len(kept)} of {X.shape[1]} items are kept.")
EffectChartDisplay.from_estimator(selector)

# %%
# The held-out rows say whether that was a good choice; they had no part in the selection or the threshold. The area
# under the curve is the probability that a malignant row is farther away than a benign one.
smaller = MahalanobisTaguchi(threshold="quantile", false_alarm_rate=0.05).fit(
    unit_space[kept], abnormal=known[kept]
)
comparison = []
for name, each, items in (("all", model, X.columns), ("kept", smaller, kept)):
    ordinary, far = each.distance(benign_new[items]), each.distance(malignant_new[items])
    area = np.mean(ordinary[:, None] < far) + np.mean(ordinary[:, None] == far) / 2
    alarms, found = np.mean(ordinary > each.threshold_), np.mean(far > each.threshold_)
    comparison.append((name, len(items), each.threshold_, alarms, found, area))
columns = ["items", "number", "D", "false alarms", "detected", "area under the curve"]
comparison = pd.DataFrame(comparison, columns=columns)
print(comparison.round(2).to_string(index=False))

# %%
# What to take from it
# --------------------
#
# - A threshold of D = 4 misses half of the malignant rows. Take one that promises a rate of false alarms.
# - Fewer items find more: an item that tells nothing still adds its noise to every distance.
# - MT learns from benign rows alone, so it also finds what nobody has seen before. The known malignant rows chose the
#   items, and would set the threshold of "roc"; that of "quantile" they do not touch.
#
# The items that were kept:
print(
    selector.items_table()
    .query("kept")
    .sort_values("gain_db", ascending=False)
    .round(2)
    .to_string()
)
