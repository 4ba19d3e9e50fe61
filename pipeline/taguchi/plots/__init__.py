"""The charts of Taguchi's text books as displays like scikit-learn's: numbers in, matplotlib axes out.

Each display has `from_estimator` or another `from_...` that collects the numbers and draws them, `plot(ax=None)` that
draws them again, `frame()` that returns them, and after drawing `ax_` and `figure_`. Without axes a figure of
`matplotlib.pyplot` is made, as scikit-learn does, so that notebooks and galleries show it; with axes nothing global is
touched. Drawing needs matplotlib (the extra `workbench`); Japanese and Chinese names are drawn where the machine has a
font for them, ``pip install matplotlib-fontja`` brings one.
"""

from pipeline.taguchi.plots.contributions import ContributionsDisplay
from pipeline.taguchi.plots.distance import DistanceDisplay
from pipeline.taguchi.plots.effect_chart import EffectChartDisplay
from pipeline.taguchi.plots.estimate import EstimateDisplay
from pipeline.taguchi.plots.items import ItemsDisplay
from pipeline.taguchi.plots.operating_characteristic import OperatingCharacteristicDisplay

__all__ = [
    "ContributionsDisplay",
    "DistanceDisplay",
    "EffectChartDisplay",
    "EstimateDisplay",
    "ItemsDisplay",
    "OperatingCharacteristicDisplay",
]
