"""
RT in place of a CNN
====================

A convolutional network (CNN) learns to tell handwritten digits apart, in many passes over the data. The
recognition-Taguchi method (RT) needs one pass. It compares each picture with a mean picture, and keeps two numbers: how
much of the mean picture is in it, and what is left over.

*For those who know scikit-learn:* a *unit space* (単位空間, 单位空间) is a group of rows from which others are
measured, here the pictures of one digit. An *item* is a feature, here a pixel. ``RTMethod`` is a transformer that
turns 64 items into two variables and a distance.

*For those who know RT:* ``fit(X)`` takes the rows of the unit space, ``transform(X)`` gives Y1, Y2 and the distance of
any rows.

*To run it:* ``pip install "t-method-vs-attention[encoder,workbench]"``

The data
--------

The digits of scikit-learn: 1,797 pictures of 8 x 8 grey values. Half of them are held out.
"""

import time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from pipeline.taguchi import RTMethod, UnitSpaceClassifier, UnitSpaceItems

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, test_size=0.5, random_state=0, stratify=y)
print(f"{len(X)} pictures, and {len(X_test)} held out.")

# %%
# Ten unit spaces
# ---------------
#
# All that RT keeps of a digit's pictures is their mean, and how far they stray from it. These are the means:
spaces = [RTMethod().fit(X[y == digit]) for digit in range(10)]

fig, axes = plt.subplots(2, 5, figsize=(8, 3.6), layout="constrained")
for digit, (ax, space) in enumerate(zip(axes.flat, spaces, strict=True)):
    ax.imshow(space.center_.reshape(8, 8), cmap="gray_r")
    ax.set(xticks=[], yticks=[], title=f"unit space of {digit}")

# %%
# A picture *x* is compared with the mean *m* of a unit space. Y1 is the *sensitivity* (感度, 灵敏度): the factor by
# which *m* must be multiplied to come nearest to *x*. Y2 is the root of the error variance: what is left over, per
# pixel. ``Y1 = x.m / m.m`` and ``Y2 = sqrt((x.x - Y1 x.m) / (p - 1))`` with p = 64 pixels.
#
# In the unit space of 3, the held-out threes gather around Y1 = 1 with a small Y2. Eights resemble a three more than
# zeros do.
fig, ax = plt.subplots(figsize=(6, 4))
for digit, colour in ((0, "C0"), (8, "C1"), (3, "C3")):
    y1, y2, _ = spaces[3].transform(X_test[y_test == digit]).T
    ax.scatter(y1, y2, s=12, alpha=0.6, color=colour, label=f"{digit}")
ax.set(xlabel="Y1: how much of the mean three", ylabel="Y2: what is left over (grey values)")
_ = ax.legend(title="digit")
for digit in (0, 8, 3):
    print(f"mean Y1 of {digit}: {spaces[3].transform(X_test[y_test == digit])[:, 0].mean():.2f}")

# %%
# The nearest unit space
# ----------------------
#
# RT itself has a distance: the *Mahalanobis distance* of (Y1, Y2) from their mean over the unit space, which counts
# in standard deviations. The plain answer is the digit whose unit space is nearest. It is a poor one: a wide unit
# space makes everything look near.
distances = np.column_stack([space.distance(X_test) for space in spaces])
nearest = np.mean(distances.argmin(axis=1) == y_test)
print(f"The nearest unit space is right for {nearest:.2f} of the held-out pictures.")

# %%
# All twenty numbers together
# ---------------------------
#
# A picture has two numbers from each of ten unit spaces, and how near it is to a 5 also tells about a 6. So let these
# columns be items again: ``UnitSpaceItems`` computes them (with the distances, 30 columns), for the training
# pictures from unit spaces that were made without them. ``UnitSpaceClassifier`` makes one unit space per digit of
# these columns, with a covariance of its own (``"own"``) or one that all digits share (``"shrunk"``).
own = make_pipeline(UnitSpaceItems(RTMethod()), UnitSpaceClassifier("own"))
shared = make_pipeline(UnitSpaceItems(RTMethod()), UnitSpaceClassifier("shrunk"))
start = time.perf_counter()
own.fit(X, y)
seconds = time.perf_counter() - start
right_shared, right_own = shared.fit(X, y).score(X_test, y_test), own.score(X_test, y_test)
print(f"Right with a shared covariance: {right_shared:.2f};")
print(f"where each digit has its own: {right_own:.2f}.")

fig, ax = plt.subplots(figsize=(5.5, 5))
_ = ConfusionMatrixDisplay.from_estimator(own, X_test, y_test, ax=ax, cmap="Blues", colorbar=False)

# %%
# Beside a CNN
# ------------
#
# A small network with two convolutions, trained by gradient descent in 40 passes over the pictures. The same
# held-out half, and training sets of ten pictures a digit up to all of them (91 at most).


def cnn_accuracy(X, y):
    def as_pictures(X):
        return torch.tensor(X / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)

    torch.manual_seed(0)
    nn = torch.nn
    net = nn.Sequential(
        *(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(512, 10)),
    )
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    pictures, digits = as_pictures(X), torch.tensor(y)
    for _ in range(40):
        for batch in torch.randperm(len(X)).split(32):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(pictures[batch]), digits[batch]).backward()
            optimizer.step()
    return np.mean(net(as_pictures(X_test)).argmax(dim=1).numpy() == y_test)


rows = []
ranks = np.array([np.sum(y[:i] == y[i]) for i in range(len(y))])
for n in (10, 20, 40, 91):
    X_n, y_n = X[ranks < n], y[ranks < n]
    start = time.perf_counter()
    network = cnn_accuracy(X_n, y_n)
    network_seconds = time.perf_counter() - start
    rows.append(
        (
            n,
            shared.fit(X_n, y_n).score(X_test, y_test),
            own.fit(X_n, y_n).score(X_test, y_test),
            network,
        )
    )
columns = ["pictures a digit", "RT, shared", "RT, own", "CNN"]
table = pd.DataFrame(rows, columns=columns).set_index("pictures a digit")
print(table.round(2).to_string())
print(f"All pictures: {seconds:.2f} s for RT,")
print(f"{network_seconds:.2f} s for the CNN, on this machine.")

ax = table.plot(marker="o", figsize=(6.5, 4), logx=True, ylabel="right, of the held-out pictures")
_ = ax.set_xticks(table.index, table.index)

# %%
# What to take from it
# --------------------
#
# - Ten mean pictures and sums over a few numbers recognise most digits, in a small part of the network's time.
# - With ten pictures a digit they are as good as the network. With all of them they do not replace it: they make about
#   twice as many errors.
# - A covariance of its own for each digit needs pictures: with few the shared one is better, with many the other.
# - Nothing is searched for, so there is nothing to tune, and every number has a meaning. Here are those of one picture:
y1, y2, distance = np.stack([space.transform(X_test[:1])[0] for space in spaces], axis=1)
print(f"The first held-out picture is a {y_test[0]}.")
numbers = pd.DataFrame({"Y1": y1, "Y2": y2, "distance": distance}).rename_axis("unit space of")
print(numbers.round(2).to_string())
