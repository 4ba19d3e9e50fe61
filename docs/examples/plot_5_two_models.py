"""
Two models compared honestly
============================

One model has a smaller error than another one. Is it better, or was it lucky with these rows? ``pipeline.evaluation``
answers for any models: it takes their predictions, not the models.

*For those who know scikit-learn:* ``compare`` stands where two scores are usually put side by side,
``learning_curve`` where ``sklearn.model_selection.learning_curve`` draws curves without saying which differences
are real.

*For those who know the T-method:* the question is that of a confirmation run. The held-out rows are a sample; other
rows would have given other errors. How much other is found by drawing rows again and again from those that are
there (the *bootstrap*).

*To run it:* ``pip install "t-method-vs-attention[workbench]"``

The data
--------

The diabetes data of scikit-learn: ten readings of 442 patients, and how far the disease progressed in a year. Half of
them are held out.
"""

import textwrap

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import RidgeCV
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pipeline.evaluation import compare, learning_curve
from pipeline.taguchi import TMethodRegressor

X, y = load_diabetes(return_X_y=True, scaled=False)
X, X_test, y, y_test = train_test_split(X, y, test_size=0.5, random_state=0)

models = {
    "Ta": TMethodRegressor("all", recalibrate=True),
    "Ridge": make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 3, 11))),
    "forest": RandomForestRegressor(random_state=0),
}
predictions = {name: model.fit(X, y).predict(X_test) for name, model in models.items()}
for name, predicted in predictions.items():
    print(f"{name}: mean absolute error {mean_absolute_error(y_test, predicted):.2f}")

# %%
# Two models
# ----------
#
# ``compare`` draws the held-out patients 2,000 times with replacement, and each time takes the difference of the two
# models **on the same patients**: a patient who is hard to predict is hard for both, and drops out of the difference.
# From the scatter of these differences follow a 95% interval and a p-value. A model is called ahead only where the
# p-value is below 0.05.
two = compare(y_test, {name: predictions[name] for name in ("Ta", "Ridge")}, metric="mae")
print(textwrap.fill(f"{two.verdict} {two.how}", 80))
two.differences.round(3)

# %%
# Three models
# ------------
#
# Who compares many pairs finds a difference by luck sooner or later. With three models there are three pairs, and the
# p-values are adjusted by Holm's method (``p_holm``), so that the chance of any false claim stays at 5%. What two
# models alone seemed to show is no longer shown when it is one of three questions asked of these 221 patients, although
# its interval, which stands for one question, leaves out 0.
three = compare(y_test, predictions, metric="mae")
print(textwrap.fill(three.verdict, 80))
three.differences.round(3)

# %%
# Any measure will do, given as a function: here the share of patients who are predicted within 40 points.


def within_40(y, predicted):
    return np.mean(np.abs(y - predicted) <= 40)


share = compare(y_test, predictions, metric=within_40, greater_is_better=True)
print(textwrap.fill(share.verdict, 80))

# %%
# At which number of rows?
# ------------------------
#
# Which model is ahead depends on how many rows there are to learn from, and a clear answer needs many held-out rows.
# So this part has a model of its own: a target between 0 and 10, and 30 items that follow it with slope 1, an error of
# their own (standard deviation 4) and one that they share in different degrees.
#
# ``learning_curve`` fits each model on ten draws of each size. All models get the same rows, and a small draw is part
# of the larger one. The bands are intervals of 95%.
rng = np.random.default_rng(0)
degree = 4.5 * rng.normal(size=30)


def rows(n):
    y = rng.uniform(0, 10, size=n)
    return y[:, None] + 4 * rng.normal(size=(n, 30)) + rng.normal(size=(n, 1)) * degree, y


(X, y), (X_test, y_test) = rows(480), rows(1000)
models["forest"].set_params(n_estimators=50)
curve = learning_curve(
    models, X, y, X_test, y_test, sizes=(15, 30, 60, 120, 240), n_draws=10, metric="mae"
)
for sentence in curve.verdict.split(". "):
    print(textwrap.fill(sentence, 80))
_ = curve.plot()

# %%
# With 15 rows the curve of Ridge is the lowest, and with 30 that of Ta, but neither is shown: the draws differ too
# much. From 240 rows on Ridge is ahead, for it learns from the rows which items err together. Both are ahead of the
# forest at every size.
#
# The numbers behind it, with the standard deviation over the draws:
curve.scores.round(2)
