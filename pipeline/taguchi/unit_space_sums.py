"""Unit spaces of classes from sums, without the rows."""

import numpy as np

from pipeline.taguchi.base import AnyArray, Array
from pipeline.taguchi.class_moments import ClassMoments, class_moments
from pipeline.taguchi.constant_items import ConstantItems
from pipeline.taguchi.unit_space_rows import ClassRows, ClassSpaces, spaces_from_scatter


def sums_of(data: ClassRows, classes: AnyArray) -> ClassMoments:
    """Return the sums of rows; `classes` holds the class of each code."""
    return class_moments(data.X[data.rows], classes[data.codes], data.weight)


def spaces_of(sums: ClassMoments) -> tuple[ClassSpaces, Array]:
    """Return the unit spaces, and the centred sums of products of the items within all classes."""
    within = sums.grams.sum(axis=0)
    return spaces_from_scatter(sums.weight, sums.means, within), within


def constant_items(sums: ClassMoments, spaces: ClassSpaces) -> ConstantItems:
    """Return the constant items of these unit spaces, which vary by rounding at the most.

    No row of weight 1 deviates from the mean of its class by more than the root of the sum of squares.
    """
    items = np.flatnonzero(~spaces.carries)
    squares = np.array([part.xx[items] for part in sums.moments]).sum(axis=0)
    between = np.abs(spaces.means[:, items] - spaces.center[items]).max(axis=0)
    return ConstantItems(items, spaces.center[items], between + np.sqrt(squares), sums.eps)
