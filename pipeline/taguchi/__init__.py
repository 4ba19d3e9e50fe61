"""The Mahalanobis-Taguchi family as scikit-learn estimators."""

from pipeline.taguchi.adjoint import adjugate
from pipeline.taguchi.class_moments import ClassMoments, class_moments
from pipeline.taguchi.contributions import Contributions
from pipeline.taguchi.decomposition import sensitivity_and_sn_ratio
from pipeline.taguchi.mahalanobis import MahalanobisTaguchi
from pipeline.taguchi.mean import MeanRegressor
from pipeline.taguchi.moments import TMoments
from pipeline.taguchi.msr import MSRRegressor
from pipeline.taguchi.mt_selection import MahalanobisTaguchiSelector
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

__all__ = ["MSRRegressor", "MeanRegressor", "TMethodRegressor", "TbRegressor"]
__all__ += ["MahalanobisTaguchi", "RTMethod", "UnitSpaceClassifier", "UnitSpaceClassifierCV"]
__all__ += ["UnitSpaceEstimates", "UnitSpaceItems"]
__all__ += ["MahalanobisTaguchiSelector", "OrthogonalArraySelector", "orthogonal_array", "standard_array"]
__all__ += ["ParameterDesign", "output_sn_ratio", "parameter_design", "sn_ratio", "sn_ratio_scorer"]
__all__ += ["ClassMoments", "TMoments", "class_moments", "t_moments"]
__all__ += ["Contributions", "adjugate", "sensitivity_and_sn_ratio"]
