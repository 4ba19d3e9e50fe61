"""Taguchi's T-methods as scikit-learn estimators."""

from pipeline.taguchi.sn_ratio import sensitivity_and_sn_ratio
from pipeline.taguchi.t_method import TMethodRegressor

__all__ = ["TMethodRegressor", "sensitivity_and_sn_ratio"]
