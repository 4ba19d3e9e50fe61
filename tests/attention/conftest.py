"""Shared by the tests of attention maps: a tiny causal model, and a map of the bundled encoder."""

import pytest
from tiny_models import save_gpt2
from toy_maps import SENTENCE

from pipeline.attention.maps import AttentionMap, attention_map


@pytest.fixture(scope="session")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_gpt2(tmp_path_factory.mktemp("gpt2"))


@pytest.fixture(scope="session")
def bundled() -> AttentionMap:
    return attention_map(SENTENCE)
