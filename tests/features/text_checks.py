"""The checks of scikit-learn that a transformer of texts can take."""

from typing import Any

from sklearn.utils import estimator_checks


def check_text_transformer(transformer: Any) -> None:
    # Nearly all checks of scikit-learn feed numbers, which it knows not to do to a transformer of texts;
    # those that need no data are run by name.
    assert estimator_checks.check_estimator(transformer)
    for check in (
        estimator_checks.check_no_attributes_set_in_init,
        estimator_checks.check_parameters_default_constructible,
        estimator_checks.check_get_params_invariance,
        estimator_checks.check_set_params,
        estimator_checks.check_valid_tag_types,
        estimator_checks.check_mixin_order,
        estimator_checks.check_estimator_repr,
    ):
        check(type(transformer).__name__, transformer)
