"""The library where only the core is installed: what works there, and the one line where an extra is missing."""

import json
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions, requires

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from project import ROOT

pytestmark = pytest.mark.slow

CORE = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]

HIDE = """
import sys

class Hide:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in ALLOWED or top in sys.stdlib_module_names or top.startswith("_"):
            return None
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Hide())
"""

# Estimators and maps, made without any extra.
PREPARE = """
from pathlib import Path
import numpy as np
from pipeline.attention.maps import AttentionMap, attention_map
from pipeline.attention.view import attend, fonts, page, plots, terminal
from pipeline.encoder import Pooling, encode, load_encoder, record
from pipeline.features import AttentionPooling, LocalLLM, RTMetrics, SentenceEmbedding, transform_together
from pipeline.peers import FineTunedRegressor, SetFitClassifier
from pipeline.taguchi import parameter_design
from pipeline.taguchi.plots import EstimateDisplay
texts, stars = ["good food", "good wine", "bad food", "bad wine"], [5, 4, 1, 2]
halves = np.full((1, 1, 2, 2), 0.5, dtype=np.float32)
attention = AttentionMap("Hot dogs", ["Hot", "dogs"], [(0, 3), (4, 8)], halves, "a toy")
class Mine(AttentionPooling): pass
design = parameter_design(lambda settings, _: [settings["a"]], {"a": [1.0, 2.0]}, sn="larger")
"""

# Each call with the name of what needs an extra, the package that is missed first, and the extra.
CALLS = [
    ("AttentionPooling().fit(texts)", "AttentionPooling", "torch", "encoder"),
    ("AttentionPooling('t-method').fit(texts, stars)", "AttentionPooling", "torch", "encoder"),
    ("AttentionPooling(backend='openvino').fit(texts)", "AttentionPooling", "torch", "encoder"),
    ("Mine().fit_transform(texts)", "Mine", "torch", "encoder"),
    ("SentenceEmbedding().fit(texts)", "SentenceEmbedding", "torch", "encoder"),
    ("RTMetrics(cv=2).fit(texts, stars)", "RTMetrics", "torch", "encoder"),
    ("LocalLLM('model.gguf').fit(texts)", "LocalLLM", "xllamacpp", "llm"),
    ("SetFitClassifier().fit(texts, stars)", "SetFitClassifier", "torch", "setfit"),
    ("FineTunedRegressor().fit(texts, stars)", "FineTunedRegressor", "torch", "setfit"),
    ("load_encoder()", "load_encoder", "torch", "encoder"),
    ("encode(None, texts, [Pooling('uniform')])", "encode", "torch", "encoder"),
    ("record(None, texts, 1, Path('.'))", "record", "torch", "encoder"),
    ("attention_map('Hot dogs')", "attention_map", "torch", "encoder"),
    ("attend.run('Hot dogs', 'bundled')", "attention_map", "torch", "encoder"),
    ("plots.heat_map(attention)", "heat_map", "matplotlib", "maps"),
    ("plots.word_by_layer(attention, 'dogs')", "word_by_layer", "matplotlib", "maps"),
    ("EstimateDisplay.from_predictions([1, 2], [1, 2])", "EstimateDisplay.plot", "matplotlib", "workbench"),
    ("design.effect_chart()", "effect_chart", "matplotlib", "workbench"),
    ("page.render(attention)", "page.render", "jinja2", "maps"),
    ("terminal.show(attention)", "terminal.show", "wcwidth", "maps"),
    ("terminal.show_word(attention, 'dogs')", "terminal.show_word", "wcwidth", "maps"),
]


def distributions(requirements: list[str]) -> set[str]:
    """Return the names of these distributions and of all that they require."""
    found: set[str] = set()
    for requirement in map(Requirement, requirements):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            found |= {canonicalize_name(requirement.name), *distributions(requires(requirement.name) or [])}
    return found


@pytest.fixture(scope="module")
def allowed() -> set[str]:
    """Packages that may be imported: the project's, and those of the core with all that it is made of."""
    core = distributions(CORE)
    names = {name for name, owners in packages_distributions().items() if core & set(map(canonicalize_name, owners))}
    assert not names & {"torch", "transformers", "matplotlib", "jinja2", "pyarrow", "pydantic"}
    return {"pipeline", *names}


def alone(allowed: set[str], program: str) -> subprocess.CompletedProcess[str]:
    """Run a program in an interpreter that finds nothing but the core."""
    code = f"ALLOWED = {allowed!r}\n{HIDE}\n{program}"
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)


def test_text_features_and_the_mechanism_of_attention_work(allowed: set[str]) -> None:
    done = alone(
        allowed,
        f"""{PREPARE}
from pipeline.attention import SelfAttention, scaled_dot_product_attention, sliding_mask
from pipeline.features import TextStats, TMetrics
from pipeline.know_how import load_know_how
print(len(load_know_how("sample").pipeline().fit(texts, stars).predict(texts)))
print(TextStats().fit_transform(texts).shape, TMetrics(cv=2).fit_transform(texts, stars).shape)
q, k, v = [[1.0, 0.0]], [[4.0, 0.0], [0.0, 4.0]], [[10.0], [20.0]]
print(scaled_dot_product_attention(q, k, v, mask=[[False, True]]).tolist())
print(SelfAttention.random(2, 3, 4, mask="causal")(np.eye(2)).shape)
print(SelfAttention.t_method(np.eye(4)[:, :2] + 1, [5, 4, 2, 1])(np.eye(2)).shape)
print({{name: array.shape for name, array in transform_together({{"stats": TextStats().fit(texts)}}, texts).items()}})
print(attention.frame().shape, attention.by_layer("dogs").shape)
print(sorted({{"torch", "matplotlib", "pyarrow"}} & set(sys.modules)))
""",
    )
    assert done.stdout.splitlines() == [
        "4",
        "(4, 39) (4, 17)",
        "[[20.0]]",
        "(2, 12)",
        "(2, 2)",
        "{'stats': (4, 39)}",
        "(2, 2) (1, 2)",
        "[]",
    ], done.stderr


@pytest.fixture(scope="module")
def messages(allowed: set[str]) -> dict[str, str]:
    """What each call ends in."""
    attempts = "".join(
        f"try: {call}\nexcept Exception as e: messages[{call!r}] = f'{{type(e).__name__}}: {{e}}'\n"
        for call, *_ in CALLS
    )
    done = alone(allowed, f"{PREPARE}\nimport json\nmessages = {{}}\n{attempts}\nprint(json.dumps(messages))")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(("call", "what", "package", "extra"), CALLS)
def test_what_needs_an_extra_says_so_in_one_line(
    messages: dict[str, str], call: str, what: str, package: str, extra: str
) -> None:
    kind = "PipelineError" if call.startswith("attend.run") else "ImportError"
    assert messages[call] == f'{kind}: {what} needs {package}: pip install "t-method-vs-attention[{extra}]"'
