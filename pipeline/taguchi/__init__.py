"""The Mahalanobis-Taguchi family as scikit-learn estimators."""

from pipeline.taguchi.class_moments import ClassMoments, class_moments
from pipeline.taguchi.contributions import Contributions
from pipeline.taguchi.decomposition import sensitivity_and_sn_ratio
from pipeline.taguchi.mahalanobis import MahalanobisTaguchi, adjugate
from pipeline.taguchi.mean import MeanRegressor
from pipeline.taguchi.moments import TMoments
from pipeline.taguchi.msr import MSRRegressor
from pipeline.taguchi.orthogonal_arrays import orthogonal_array, standard_array
from pipeline.taguchi.output_sn_ratio import output_sn_ratio
from pipeline.taguchi.parameter_design import ParameterDesign, parameter_design
from pipeline.taguchi.rt import RTMethod
from pipeline.taguchi.scoring import sn_ratio, sn_ratio_scorer
from pipeline.taguchi.selection import OrthogonalArraySelector
from pipeline.taguchi.summation import t_moments
from pipeline.taguchi.t_method import TMethodRegressor
from pipeline.taguchi.tb import TbRegressor
from pipeline.taguchi.unit_space import UnitSpaceClassifier
from pipeline.taguchi.unit_space_cv import UnitSpaceClassifierCV
from pipeline.taguchi.unit_space_estimates import UnitSpaceEstimates
from pipeline.taguchi.unit_space_items import UnitSpaceItems

__all__ = ["MSRRegressor", "TMethodRegressor", "TMoments", "TbRegressor", "sensitivity_and_sn_ratio", "t_moments"]
__all__ += ["ClassMoments", "class_moments"]
__all__ += [
    "Contributions",
    "MahalanobisTaguchi",
    "MeanRegressor",
    "RTMethod",
    "UnitSpaceClassifier",
    "UnitSpaceClassifierCV",
    "UnitSpaceItems",
    "adjugate",
]
__all__ += ["OrthogonalArraySelector", "adjugate", "orthogonal_array", "sn_ratio", "sn_ratio_scorer"]
__all__ += ["ParameterDesign", "output_sn_ratio", "parameter_design", "standard_array"]
__all__ += ["UnitSpaceEstimates"]
