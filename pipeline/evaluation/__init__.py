"""How good predicted stars are, and what may be claimed from them: arrays in, numbers out."""

from pipeline.evaluation.bootstrap import evaluate_clipped, holm, intervals, p_value, qwk_difference
from pipeline.evaluation.calibration import calibration_bins, calibration_statistics
from pipeline.evaluation.costs import cost_table
from pipeline.evaluation.draws import draw, draw_sizes
from pipeline.evaluation.metrics import clip_to_stars, evaluate, qwk, round_to_stars, spearman
from pipeline.evaluation.ordinal import ExpectedStarRegressor, MedianStarRegressor, OrdinalClassifier
from pipeline.evaluation.perturbations import CHANGES, change_all
from pipeline.evaluation.scores import Resamples, Scores, resample_reviews, score_lines
from pipeline.evaluation.sides import Side, last_change, side_of
from pipeline.evaluation.slices import review_slices
from pipeline.evaluation.verdict import three_sentences

__all__ = [
    "CHANGES",
    "ExpectedStarRegressor",
    "MedianStarRegressor",
    "OrdinalClassifier",
    "Resamples",
    "Scores",
    "Side",
    "calibration_bins",
    "calibration_statistics",
    "change_all",
    "clip_to_stars",
    "cost_table",
    "draw",
    "draw_sizes",
    "evaluate",
    "evaluate_clipped",
    "holm",
    "intervals",
    "last_change",
    "p_value",
    "qwk",
    "qwk_difference",
    "resample_reviews",
    "review_slices",
    "round_to_stars",
    "score_lines",
    "side_of",
    "spearman",
    "three_sentences",
]
