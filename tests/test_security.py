"""Code that comes with a model is never run, whatever asks for it."""

import json
import shutil
from pathlib import Path

import pytest

from pipeline.attention.maps import attention_map
from pipeline.encoder import load_encoder

pytestmark = pytest.mark.slow

CODE = "from pathlib import Path\n\nPath({marker!r}).touch()\n\n\nclass Mine:\n    pass\n"


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """A file that the code of a model makes when it runs."""
    return tmp_path / "it_ran"


@pytest.fixture
def model(tiny_encoder: str, tmp_path: Path, marker: Path) -> Path:
    """An encoder with a module of Python code beside its weights."""
    directory = Path(shutil.copytree(tiny_encoder, tmp_path / "model"))
    (directory / "mine.py").write_text(CODE.format(marker=str(marker)))
    return directory


def test_a_module_of_a_sentence_encoder_that_is_code_of_the_model_is_refused(model: Path, marker: Path) -> None:
    modules = json.loads((model / "modules.json").read_text())
    modules[-1]["type"] = "mine.Mine"
    (model / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ValueError, match="code of its own is never run"):
        load_encoder(str(model))
    assert not marker.exists()


def test_a_network_that_is_code_of_the_model_is_refused(model: Path, marker: Path) -> None:
    config = model / "config.json"
    names = dict.fromkeys(["AutoConfig", "AutoModel", "AutoModelForCausalLM"], "mine.Mine")
    config.write_text(json.dumps(json.loads(config.read_text()) | {"model_type": "mine", "auto_map": names}))
    with pytest.raises(ValueError, match="code of its own is never run"):
        load_encoder(str(model))
    with pytest.raises(ValueError, match="code of its own is never run"):
        attention_map("A text.", str(model))
    assert not marker.exists()
