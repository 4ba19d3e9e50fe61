"""Shared by all test modules: a dozen reviews, an encoder that is small enough to be built on the spot, a browser."""

import os
import shutil
from collections.abc import Iterator
from typing import Any

# One thread and one process for each test, set before anything computes: the cores are shared by pytest's workers, and
# arithmetic on more threads than there are cores is many times slower.
os.environ |= {"OMP_NUM_THREADS": "1", "LOKY_MAX_CPU_COUNT": "1"}

import hypothesis
import pytest
from tiny_models import save_bert

# They hold no doctest, and all bear one name.
collect_ignore_glob = ["*conftest.py"]

# A busy machine is slow now and then; that is no failure.
hypothesis.settings.register_profile("project", deadline=None, max_examples=50)
hypothesis.settings.load_profile("project")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, so that no worker is left alone with one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow") or item.get_closest_marker("ray")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture
def reviews() -> list[dict[str, Any]]:
    """A dozen reviews: text and stars, every star at least twice."""
    rows = [
        (1, "Worst haircut ever. They never listened and charged me $85!"),
        (1, "The noodles were cold, the waiter was rude, and nobody said sorry."),
        (2, "Nice patio, but the food was bland and we waited an hour."),
        (2, "Overpriced. The mechanic didn't fix the brakes the first time."),
        (3, "It was okay. Good coffee, bad chairs."),
        (3, "Average pizza. I would not drive here for it, but it is fine if you are near."),
        (3, "Some dishes shine, some don't."),
        (4, "Really good tacos and friendly service. Parking is a pain."),
        (4, "Clean rooms, a quiet street, and a decent breakfast."),
        (5, "Best dentist in town!!! Painless and kind."),
        (5, "The ramen was superb. We will be back soon!"),
        (5, "I love this little bookshop, the owner knows every shelf."),
    ]
    return [{"text": text, "stars": stars} for stars, text in rows]


@pytest.fixture
def texts(reviews: list[dict[str, Any]]) -> list[str]:
    return [review["text"] for review in reviews]


@pytest.fixture
def stars(reviews: list[dict[str, Any]]) -> list[int]:
    return [review["stars"] for review in reviews]


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Directory of a BERT of 3 layers, 2 heads and 16 dimensions with random weights and mean pooling."""
    return save_bert(tmp_path_factory.mktemp("bert"), tmp_path_factory.mktemp("tiny_encoder"))


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """One browser for all tests, since its driver can be started only once in a process."""
    playwright = pytest.importorskip("playwright.sync_api")
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        pytest.skip(f"no browser on this machine: none of {', '.join(names)} is installed")
    with playwright.sync_playwright() as driver:
        # Without its sandbox it also starts as root in a container; it opens only pages that these tests have made.
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()
