"""What a practitioner would pick for a few dozen reviews: an encoder fine-tuned by SetFit, or as a whole."""

from pipeline.peers.finetuned import FineTunedRegressor
from pipeline.peers.setfit import SetFitClassifier

__all__ = ["FineTunedRegressor", "SetFitClassifier"]
