"""T-method vs attention on review texts: features, regressors and their comparison."""
