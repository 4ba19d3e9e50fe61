"""How good predictions are, and what may be claimed from them: arrays in, numbers out.

`compare`, `learning_curve`, `scores_by_slice` and the calibration take predictions of any model on any rows.
"""

from pipeline.evaluation.bootstrap import (
    evaluate_clipped,
    holm,
    intervals,
    p_value,
    percentile_interval,
    qwk_difference,
)
from pipeline.evaluation.calibration import calibration_bins, calibration_statistics
from pipeline.evaluation.comparison import Comparison, compare
from pipeline.evaluation.costs import cost_table
from pipeline.evaluation.draws import draw, draw_sizes
from pipeline.evaluation.learning_curves import LearningCurve, learning_curve
from pipeline.evaluation.metrics import clip_to_stars, evaluate, qwk, round_to_stars, spearman
from pipeline.evaluation.most_likely import MostLikelyStarRegressor
from pipeline.evaluation.ordinal import ExpectedStarRegressor, MedianStarRegressor, OrdinalClassifier
from pipeline.evaluation.perturbations import CHANGES, change_all
from pipeline.evaluation.scores import Resamples, Scores, resample_reviews, score_lines
from pipeline.evaluation.sides import Side, last_change, side_of
from pipeline.evaluation.slice_scores import scores_by_slice
from pipeline.evaluation.slices import review_slices
from pipeline.evaluation.verdict import three_sentences
from pipeline.evaluation.word_contributions import (
    WordContributions,
    word_contributions,
    word_contributions_of_texts,
)
from pipeline.scale import FIVE_STARS, Scale

__all__ = ["Comparison", "LearningCurve", "compare", "learning_curve", "scores_by_slice"]
__all__ += ["FIVE_STARS", "Scale"]
__all__ += ["clip_to_stars", "evaluate", "evaluate_clipped", "qwk", "round_to_stars", "spearman"]
__all__ += ["Resamples", "Scores", "holm", "intervals", "p_value", "percentile_interval", "qwk_difference"]
__all__ += ["resample_reviews", "score_lines"]
__all__ += ["Side", "draw", "draw_sizes", "last_change", "side_of", "three_sentences"]
__all__ += ["CHANGES", "calibration_bins", "calibration_statistics", "change_all", "cost_table", "review_slices"]
__all__ += ["ExpectedStarRegressor", "MedianStarRegressor", "MostLikelyStarRegressor", "OrdinalClassifier"]
__all__ += ["WordContributions", "word_contributions", "word_contributions_of_texts"]
