"""Small data rests on few rows, and most of the tests are not about saying so."""

from pathlib import Path

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            for beginning in ("The unit space", "A row with the target", "[0-9]+ of [0-9]+ rows differ", "Of star"):
                item.add_marker(pytest.mark.filterwarnings(f"ignore:{beginning}:UserWarning"))
