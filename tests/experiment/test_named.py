"""Dotted names of conf, and digests of what they make: the same in every process, and another for another setting."""

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from project import ROOT
from scipy.special import expit
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge
from sklearn.metrics import make_scorer, mean_absolute_error
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.preprocessing import FunctionTransformer

from pipeline.errors import PipelineError
from pipeline.experiment.line import Line
from pipeline.experiment.models import BASELINES, MODELS, make_model
from pipeline.experiment.named import estimator_digest, imported, packages

ODD: list[Callable[[], Any]] = [
    lambda: TfidfVectorizer(token_pattern=r"(?:\\w+): "),
    lambda: FunctionTransformer(partial(np.clip, a_min=0, a_max=1)),
    lambda: FunctionTransformer(expit),
    lambda: FunctionTransformer(str.split),
    lambda: GridSearchCV(Ridge(), {"alpha": [1.0]}, scoring=make_scorer(mean_absolute_error), cv=KFold(3)),
    lambda: KFold(3, shuffle=True, random_state=np.random.RandomState(0)),
    lambda: FunctionTransformer(lambda x: x),
]


@pytest.mark.parametrize("make", ODD)
def test_any_parameter_has_a_digest_and_the_same_twice(make: Callable[[], Any]) -> None:
    assert estimator_digest(make()) == estimator_digest(make())


def test_another_setting_is_another_digest() -> None:
    models = [Ridge(), Ridge(2.0), FunctionTransformer(np.exp), FunctionTransformer(np.log)]
    models += [GridSearchCV(Ridge(), {"alpha": [1.0]}, cv=KFold(n)) for n in (3, 4)]
    models += [FunctionTransformer(partial(np.clip, a_max=n)) for n in (1, 2)]
    assert len({estimator_digest(model) for model in models}) == len(models)


@pytest.mark.slow
def test_every_model_has_a_digest_of_its_own_which_another_process_finds_too() -> None:
    digests = {name: estimator_digest(make()) for name, make in {**MODELS, **BASELINES}.items()}
    assert len(set(digests.values())) == len(digests)
    code = "from pipeline.experiment.models import MODELS, BASELINES\n"
    code += "from pipeline.experiment.named import estimator_digest as digest\n"
    code += "print({name: digest(make()) for name, make in {**MODELS, **BASELINES}.items()})"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert eval(result.stdout) == digests


@pytest.mark.parametrize(
    ("source", "name", "message"),
    [
        ("def f(:", "mine_1.f", "mine_1.f cannot be imported"),
        ("x = 1 / 0", "mine_2.x", "cannot be imported (division by zero)"),
        ("", "mine_3.f", "cannot be imported (module 'mine_3' has no attribute 'f')"),
        ("", "nowhere_at_all.f", "cannot be imported (No module named 'nowhere_at_all')"),
        ("", "..x", "cannot be imported"),
        ("x = 3", "mine_4.x", "mine_4.x makes no model, got \"'int' object is not callable\""),
        ("def f(a): pass", "mine_5.f", 'makes no model, got "f() missing 1 required'),
        ("def f(): return 3", "mine_6.f", "makes no model, got '3'"),
    ],
)
def test_what_makes_no_model_is_told_in_one_line(
    source: str, name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"{name.partition('.')[0] or 'empty'}.py").write_text(source if not name.startswith("nowhere") else "")
    if name.startswith("nowhere"):
        (tmp_path / "nowhere_at_all.py").unlink()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PipelineError) as error:
        make_model(Line("text_stats", name))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_dotted_name_makes_any_model() -> None:
    assert isinstance(make_model(Line("text_stats", "sklearn.linear_model.Ridge")), Ridge)
    assert imported("sklearn.linear_model.Ridge", "here") is Ridge


def test_installed_packages_are_no_files_of_the_user() -> None:
    assert packages(["Ridge", "sklearn.linear_model.Ridge", "my_package.models.Mine"]) == ["my_package"]
