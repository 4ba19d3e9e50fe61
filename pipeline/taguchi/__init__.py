"""The Mahalanobis-Taguchi family as scikit-learn estimators."""

from pipeline.taguchi.decomposition import sensitivity_and_sn_ratio
from pipeline.taguchi.moments import TMoments, t_moments
from pipeline.taguchi.msr import MSRRegressor
from pipeline.taguchi.scoring import sn_ratio, sn_ratio_scorer
from pipeline.taguchi.t_method import TMethodRegressor
from pipeline.taguchi.tb import TbRegressor

__all__ = [
    "MSRRegressor",
    "TMethodRegressor",
    "TMoments",
    "TbRegressor",
    "sensitivity_and_sn_ratio",
    "sn_ratio",
    "sn_ratio_scorer",
    "t_moments",
]
