"""T-method vs attention on review texts: features, regressors and their comparison."""

from pipeline.shipped import load_sample

__all__ = ["__version__", "load_sample"]

__version__ = "0.2.0"
