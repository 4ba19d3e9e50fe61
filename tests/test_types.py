"""A user's program, read by mypy: fitted attributes and results have types, and a misspelt word is an error."""

import re
import subprocess
import sys

import pytest
from project import ROOT

pytestmark = pytest.mark.slow

ARRAY = r"numpy\.ndarray\[.*float64"
FLOATING = r"numpy\.ndarray\[.*numpy\.floating"
IMPORTS = """
import numpy as np
from pipeline.attention import scaled_dot_product_attention
from pipeline.taguchi import (
    MahalanobisTaguchi, MahalanobisTaguchiSelector, MSRRegressor, OrthogonalArraySelector, RTMethod, TbRegressor,
    TMethodRegressor, UnitSpaceClassifier, UnitSpaceClassifierCV, UnitSpaceItems,
)

X, y = np.arange(10.0).reshape(5, 2) ** 2, np.array([1.0, 2.0, 3.0, 4.0, 5.0])
q = k = v = X
"""
REVEALED = {
    "TMethodRegressor('middle', 'full', clip='range').fit(X, y)": "TMethodRegressor",
    "TMethodRegressor().eta_": FLOATING,
    "TMethodRegressor().beta_": FLOATING,
    "TMethodRegressor().coef_": FLOATING,
    "TMethodRegressor().sn_ratio_": FLOATING,
    "TMethodRegressor().center_": ARRAY,
    "TMethodRegressor().item_target_center_": ARRAY,
    "TMethodRegressor().target_center_": rf"float \| {ARRAY}",
    "TMethodRegressor().shrinkage_": rf"float \| {ARRAY}",
    "TMethodRegressor().recalibration_": ARRAY,
    "TMethodRegressor().unit_space_interval_": ARRAY,
    "TMethodRegressor().moments_": r"TMoments \| .*list\[.*TMoments",
    "TMethodRegressor((1, 3)).n_unit_space_": rf"float \| {ARRAY}",
    "TMethodRegressor().n_features_in_": "int",
    "TMethodRegressor().predict(X)": FLOATING,
    "TMethodRegressor(interval='sn_ratio').predict(X, return_interval=True)": rf"tuple\[{FLOATING}.*, {FLOATING}",
    "TMethodRegressor().intercept_": rf"float \| {ARRAY}",
    "TMethodRegressor().items_table()": "pandas.*DataFrame",
    "MSRRegressor(interval='conformal').predict(X)": FLOATING,
    "MSRRegressor().intercept_": "float",
    "TbRegressor().origin_": r"numpy\.ndarray\[.*int64|numpy\.ndarray\[.*signedinteger",
    "TbRegressor().eta_": FLOATING,
    "MSRRegressor().coef_": FLOATING,
    "MSRRegressor().target_center_": "float",
    "MahalanobisTaguchi('mta').root_": ARRAY,
    "MahalanobisTaguchi().offset_": "float",
    "MahalanobisTaguchi(shrinkage='auto').constant_items_": r"numpy\.ndarray\[",
    "MahalanobisTaguchi().diagnosis(X)": "DataFrame",
    "MahalanobisTaguchi(threshold='quantile', groups=['all', ['a', 1]]).threshold_": "float",
    "MahalanobisTaguchi(groups='items').fit(X, abnormal=X).operating_characteristic_": r"[\w.]*DataFrame \| None",
    "MahalanobisTaguchi().contributions(X, by='leaving_out')": ARRAY,
    "RTMethod(matrix='adjoint').center_": ARRAY,
    "OrthogonalArraySelector('low').item_gains_": ARRAY,
    "MahalanobisTaguchiSelector(sn='dynamic').item_gains_": ARRAY,
    "MahalanobisTaguchiSelector().items_table()": "DataFrame",
    "UnitSpaceClassifier('own').means_": ARRAY,
    "UnitSpaceClassifier().shrinkage_": ARRAY,
    "UnitSpaceClassifierCV().shrinkage_": "float",
    "UnitSpaceClassifierCV().root_": ARRAY,
    "UnitSpaceClassifierCV().distance(X)": FLOATING,
    "UnitSpaceItems(RTMethod()).detectors_": r"list\[",
    "scaled_dot_product_attention(q, k, v)": r"numpy\.ndarray\[",
    "scaled_dot_product_attention(q, k, v, intermediates=True)": r"tuple\[.*fallback=[\w.]*Attention\]",
}
WRONG = [
    "TMethodRegressor('midle')",
    "TMethodRegressor(covariance='spherical')",
    "TMethodRegressor(shrinkage='oas')",
    "TMethodRegressor(clip='stars')",
    "TMethodRegressor(interval='quantile')",
    "MSRRegressor(interval='sn_ratio')",
    "OrthogonalArraySelector('midle')",
    "MahalanobisTaguchiSelector(sn='nominal')",
    "MahalanobisTaguchi('mahalanobis')",
    "MahalanobisTaguchi(threshold='chi2')",
    "RTMethod(matrix='inverted')",
    "UnitSpaceClassifier('full')",
    "UnitSpaceClassifier(shrinkage='oas')",
    "UnitSpaceClassifier(prior='equal')",
]


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """Return what mypy says of each expression of the program."""
    folder = tmp_path_factory.mktemp("user")
    expressions = [*REVEALED, *WRONG]
    lines = [f"reveal_type({each})" if each in REVEALED else each for each in expressions]
    (folder / "program.py").write_text(IMPORTS + "\n".join(lines) + "\n", encoding="utf-8")
    # With the settings and the cache of make lint, which has just read the same libraries.
    project = ["--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(ROOT / ".mypy_cache")]
    run = subprocess.run(
        [sys.executable, "-m", "mypy", *project, "program.py"],
        cwd=folder,
        env={"MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    first = IMPORTS.count("\n") + 1
    found = re.findall(r"^program\.py:(\d+): (.*)$", run.stdout, re.MULTILINE)
    assert found, run.stdout + run.stderr
    return {expressions[int(line) - first]: message for line, message in found}


@pytest.mark.parametrize("expression", REVEALED)
def test_it_reveals_the_type(said, expression):
    assert re.search(rf'Revealed type is "[\w.]*{REVEALED[expression]}', said[expression])


@pytest.mark.parametrize("expression", WRONG)
def test_it_refuses_the_word(said, expression):
    assert re.match(r"error: Argument .* has incompatible type .*expected .*Literal\[", said[expression])


def test_it_says_nothing_else(said):
    assert set(said) == {*REVEALED, *WRONG}
