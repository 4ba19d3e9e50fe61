"""
A factory table
===============

A line paints steel panels. The thickness of the dry paint is measured later, on a few panels, and costs the panel.
Eleven readings are there for each panel anyway. Which of them tell the thickness, and how well?

*For those who know scikit-learn:* an *item* is a feature. A T-method is a linear model with one weight per item, from
sums over the rows: each item alone predicts the target, and the average of these predictions is weighted by how well
each item does. Nothing is searched for or inverted.

*For those who know the T-method:* a table is a pandas ``DataFrame``, a row for each panel and a column for each item.
``fit(X, y)`` computes sensitivities and S/N ratios, ``predict(X)`` gives the integrated estimates. What was learned is
kept in attributes that end in an underscore. Panels that had no part in ``fit`` tell how good the estimates are.

The data
--------

The paint is sprayed at a *flow* (ml/min) on a belt that is 1 m wide and runs at a *speed* (m/min). The part of it that
stays is its *solids*. So the thickness in micrometres is ``solids * flow / speed``, about 45. Speed and solids are not
known; the belt's current and the paint's viscosity tell of them. Weight, capacitance, gloss and the oven's power
follow from the thickness. A warm room disturbs viscosity, gloss, oven and humidity together. Tank level, air pressure
and shift have nothing to do with it.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from pipeline.taguchi import OrthogonalArraySelector, TMethodRegressor
from pipeline.taguchi.plots import (
    ContributionsDisplay,
    EffectChartDisplay,
    EstimateDisplay,
    ItemsDisplay,
)


def panels(n, rng):
    flow, speed, solids = rng.normal(200, 8, n), rng.normal(2, 0.06, n), rng.normal(0.45, 0.012, n)
    thickness, warm = solids * flow / speed, rng.normal(0, 3, n)
    items = {
        "flow": flow + rng.normal(0, 2, n),
        "belt current": 4 + 3 * speed + rng.normal(0, 0.1, n),
        "viscosity": 30 + 200 * (solids - 0.45) - 0.6 * warm + rng.normal(0, 1, n),
        "wet gloss": 60 + 0.6 * (thickness - 45) - 0.7 * warm + rng.normal(0, 0.5, n),
        "oven power": 18 + 0.15 * (thickness - 45) - 0.2 * warm + rng.normal(0, 0.15, n),
        "panel weight": 1200 + 1.1 * thickness + rng.normal(0, 2.5, n),
        "capacitance": 4000 / thickness + rng.normal(0, 3, n),
        "humidity": 55 - 2 * warm + rng.normal(0, 5, n),
        "tank level": rng.uniform(20, 100, n),
        "air pressure": rng.normal(4, 0.1, n),
        "shift": rng.integers(1, 4, n),
    }
    return pd.DataFrame(items), thickness + rng.normal(0, 0.3, n)


rng = np.random.default_rng(0)
X, thickness = panels(60, rng)
X_new, thickness_new = panels(300, rng)
X.assign(thickness=thickness).head().round(2)

# %%
# T(1), the two-sided T-method
# ----------------------------
#
# T(1) measures everything from a *unit space* (単位空間, 单位空间), the panels in the middle of the range of the
# thickness. The others are the signal. For each item the table tells
#
# - ``beta``, the *sensitivity* (感度, 灵敏度): units of the item per micrometre,
# - ``eta``, the *S/N ratio* (SN比, 信噪比): how far the line stands above its scatter, also in decibels (dB); an item
#   that tells nothing has 0, which is minus infinity dB,
# - ``weight``, the item's share in the estimate.
everything = TMethodRegressor("middle").fit(X, thickness)
everything.items_table().round(3)

# %%
# Eleven items on L12
# -------------------
#
# More items are not better in themselves: those that a warm room disturbs err together. Trying all 2,047 sets of items
# would take long and find one that is best by luck. An *orthogonal array* (直交表, 正交表) takes twelve sets. In
# L12 each item is used in six runs (level 1) and not used in the six others (level 2), and in each half all other
# items come equally often. Each run gets the S/N ratio of its estimate, for rows held out by cross-validation.
# The difference between the halves is the item's *gain*.
#
# The *factorial effect chart* (要因効果図) shows both means of each item. A line that falls from left to right is a
# gain. Gains near 0 are chance, so we keep items that gain more than half a decibel.
selector = OrthogonalArraySelector(threshold=0.5).fit(X, thickness)
print(
    f"{selector.orthogonal_array_.shape[0]} runs; kept: {', '.join(selector.get_feature_names_out())}"
)
EffectChartDisplay.from_estimator(selector)

# %%
# The selection and the T-method make one model, a *pipeline*: what ``fit`` and ``predict`` get goes through both. Its
# S/N ratios and gains side by side:
chosen = make_pipeline(
    OrthogonalArraySelector(threshold=0.5), TMethodRegressor("middle", interval="sn_ratio")
)
chosen.fit(X, thickness)
print(f"Gain of wet gloss: {selector.items_table().gain_db['wet gloss']:.2f} dB")
ItemsDisplay.from_estimator(chosen)

# %%
# Wet gloss has a gain below 0 although it tells of the thickness. It errs together with others, and an average counts
# each of them as an independent witness.
#
# The estimate and its interval
# -----------------------------
#
# 300 other panels are measured for the test. With ``interval="sn_ratio"`` the estimate's own S/N ratio gives the width
# of an interval; 90% of the panels should lie in theirs. The slope says how much of a real change the estimate shows.
estimate, interval = chosen.predict(X_new, return_interval=True, confidence=0.9)
inside = np.mean((interval[:, 0] <= thickness_new) & (thickness_new <= interval[:, 1]))
width = np.mean(interval[:, 1] - interval[:, 0])
print(f"{inside:.0%} of the new panels lie in their interval of {width:.1f} micrometres.")
EstimateDisplay.from_estimator(chosen, X_new, thickness_new, confidence=0.9)

# %%
# Was it worth it? Root mean squared errors on the new panels, beside least squares on all items:
errors = {
    "always the mean": root_mean_squared_error(thickness_new, np.full(300, thickness.mean())),
    "T(1), 11 items": root_mean_squared_error(thickness_new, everything.predict(X_new)),
    f"T(1), {selector.get_support().sum()} items": root_mean_squared_error(thickness_new, estimate),
    "least squares, 11 items": root_mean_squared_error(
        thickness_new, LinearRegression().fit(X, thickness).predict(X_new)
    ),
}
print(pd.Series(errors, name="error (micrometres)").round(2).to_string())

# %%
# The items that were kept tell almost as much as all eleven, and the instruments of the others can be saved. Least
# squares is a little better here: it knows that a warm room moves gloss, oven and humidity together, and corrects for
# it.
#
# One panel, item by item: the estimate starts at the unit space's mean, and each item adds its part.
row = int(np.argmax(estimate))
print(f"Estimate {estimate[row]:.1f}, measured {thickness_new[row]:.1f} micrometres.")
ContributionsDisplay.from_estimator(chosen, X_new, row=row)

# %%
# A real table, in the same way
# -----------------------------
#
# Ten readings of 442 diabetes patients (age, sex, body mass index, blood pressure, six blood values), and how far the
# disease progressed in the year after. Half of the patients are held out. ``recalibrate=True`` adds a least-squares
# line behind the estimate: where the items tell little, a T-method spreads too far.
X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
X, X_new, y, y_new = train_test_split(X, y, test_size=0.5, random_state=0)
model = make_pipeline(
    OrthogonalArraySelector(threshold=0.5),
    TMethodRegressor("middle", recalibrate=True, interval="sn_ratio"),
)
model.fit(X, y)
model[-1].items_table(model[0]).round(3)

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(12, 4.8), layout="constrained")
EffectChartDisplay.from_estimator(model[0], ax=left)
EstimateDisplay.from_estimator(model, X_new, y_new, confidence=0.9, ax=right)

# %%
estimate, interval = model.predict(X_new, return_interval=True, confidence=0.9)
inside = np.mean((interval[:, 0] <= y_new) & (y_new <= interval[:, 1]))
plain = LinearRegression().fit(X, y).predict(X_new)
print(f"{inside:.0%} of the held-out patients lie in their interval of 90%.")
print("Root mean squared errors on the held-out patients:")
print(
    f"T-method, {model[0].get_support().sum()} items: {root_mean_squared_error(y_new, estimate):.1f}"
)
print(f"least squares, 10 items: {root_mean_squared_error(y_new, plain):.1f}")
print(f"always the mean: {root_mean_squared_error(y_new, np.full(len(y_new), y.mean())):.1f}")
