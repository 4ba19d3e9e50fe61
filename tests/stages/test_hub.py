"""What comes from the hub, against a stand-in on loopback: the Yelp reviews and sentence encoders."""

import io
import json
import os
import pickle
import random
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hub import Hub, Repository, hub_environment
from project import ROOT

from pipeline import load_sample
from pipeline.features import TextStats
from pipeline.text import sentences

pytestmark = pytest.mark.slow

YELP = yaml.safe_load((ROOT / "conf/prepare.yaml").read_text(encoding="utf-8"))["yelp"]
SHA = "0123456789abcdef0123456789abcdef01234567"
N_TRAIN, N_TEST = 400, 120
README = f"""---
license: other
pretty_name: YelpReviewFull
dataset_info:
  config_name: yelp_review_full
  features:
  - name: label
    dtype:
      class_label:
        names:
          '0': 1 star
          '1': 2 star
          '2': 3 stars
          '3': 4 stars
          '4': 5 stars
  - name: text
    dtype: string
  splits:
  - name: train
    num_bytes: 1
    num_examples: {N_TRAIN}
  - name: test
    num_bytes: 1
    num_examples: {N_TEST}
  download_size: 1
  dataset_size: 2
configs:
- config_name: yelp_review_full
  data_files:
  - split: train
    path: yelp_review_full/train-*
  - split: test
    path: yelp_review_full/test-*
  default: true
---
"""


def reviews_of(split: str, n: int) -> pd.DataFrame:
    """Reviews whose first word names the split, and whose star can be told from the second."""
    rng = random.Random(split)
    labels = [rng.choice([0, 0, 0, 1, 2, 2, 3, 4, 4, 4, 4]) for _ in range(n)]
    words = [f"word{i}" for i in range(80)]
    texts = [f"{split}{i} label{label} {' '.join(rng.choices(words, k=15))}" for i, label in enumerate(labels)]
    return pd.DataFrame({"label": labels, "text": texts})


def parquet(table: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    return buffer.getvalue()


def yelp_repository(sha: str = YELP["revision"], readme: str = README, **files: bytes) -> Repository:
    content = {"train": parquet(reviews_of("train", N_TRAIN)), "test": parquet(reviews_of("test", N_TEST))} | files
    paths = {f"yelp_review_full/{name}-00000-of-00001.parquet": data for name, data in content.items() if data}
    return Repository("dataset", YELP["repository"], sha, {"README.md": readme.encode(), **paths})


@dataclass
class Project:
    """A directory with a copy of conf/, where the command line can run."""

    directory: Path

    def __post_init__(self) -> None:
        shutil.copytree(ROOT / "conf", self.directory / "conf")

    @property
    def home(self) -> Path:
        return self.directory / "hf"

    def start(self, endpoint: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "pipeline", "prepare", "--data", "yelp", "--limit", "200"],
            cwd=self.directory,
            env=hub_environment(endpoint, self.home, **environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def prepare(self, endpoint: str, **environment: str) -> tuple[int, str]:
        process = self.start(endpoint, **environment)
        _, stderr = process.communicate(timeout=120)
        return process.returncode, stderr

    def reviews(self) -> pd.DataFrame:
        return pd.read_parquet(self.directory / "data/prepared/yelp/reviews.parquet")

    def manifest(self) -> dict[str, Any]:
        return json.loads((self.directory / "data/prepared/yelp/manifest.json").read_text(encoding="utf-8"))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture(scope="module")
def closed_port() -> Iterator[str]:
    """An address that refuses every connection: bound, so that nobody else gets it, but not listening."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{unused.getsockname()[1]}"


# The hub's client tries again for half a minute, mostly asleep: the other tests run meanwhile.
@pytest.fixture(scope="module", autouse=True)
def without_hub(closed_port: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[str]]:
    process = Project(tmp_path_factory.mktemp("without_hub")).start(closed_port)
    yield process
    if process.poll() is None:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Hub]:
    """A project that has loaded the reviews from the stand-in, and the stand-in with its log."""
    project = Project(tmp_path_factory.mktemp("yelp"))
    with Hub(yelp_repository()) as hub:
        code, stderr = project.prepare(hub.url)
    assert code == 0, stderr
    return project, hub


def assert_one_line_names_the_other_sources(code: int, stderr: str) -> None:
    assert code == 2, stderr
    errors = [line for line in stderr.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert stderr.splitlines()[-1] == errors[0]
    assert YELP["repository"] in errors[0]
    assert "DATA=sample" in errors[0]
    assert "DATA=file" in errors[0]
    assert "Traceback" not in stderr


def test_only_the_pinned_revision_is_asked_for(prepared: tuple[Project, Hub]) -> None:
    project, hub = prepared
    asked = hub.asked(YELP["repository"])
    assert {revision for revision, _ in asked} == {YELP["revision"]}
    assert {file for _, file in asked if file.endswith(".parquet")} == {
        "yelp_review_full/train-00000-of-00001.parquet",
        "yelp_review_full/test-00000-of-00001.parquet",
    }
    assert all(YELP["revision"] in path for _, path in hub.requests if path.startswith("/api/"))
    assert project.manifest()["config"]["yelp"] == YELP


def test_labels_0_to_4_become_stars_1_to_5(prepared: tuple[Project, Hub]) -> None:
    reviews = prepared[0].reviews()
    label = reviews["text"].str.extract(r"label(\d)")[0].astype(int)
    assert (reviews["stars"] == label + 1).all()
    assert set(reviews["stars"]) == {1, 2, 3, 4, 5}


def test_each_split_comes_from_the_official_one(prepared: tuple[Project, Hub]) -> None:
    reviews = prepared[0].reviews()
    origin = reviews["text"].str.extract(r"^(train|test)")[0]
    assert (origin == reviews["split"]).all()


def test_the_limit_is_honoured_and_every_star_keeps_its_share(prepared: tuple[Project, Hub]) -> None:
    project, _ = prepared
    reviews, manifest = project.reviews(), project.manifest()
    n_test = round(manifest["config"]["test_size"] * 200)
    assert reviews["split"].value_counts().to_dict() == {"train": 200 - n_test, "test": n_test}
    for split, n in (("train", N_TRAIN), ("test", N_TEST)):
        offered = (reviews_of(split, n)["label"] + 1).value_counts(normalize=True).sort_index()
        drawn = reviews.loc[reviews["split"] == split, "stars"].value_counts().sort_index()
        assert (abs(drawn - offered * drawn.sum()) < 1).all()
    assert manifest["read"] == N_TRAIN + N_TEST
    assert manifest["not_drawn"] == N_TRAIN + N_TEST - 200 - manifest["rejected"]


def paragraphs(n: int) -> pd.DataFrame:
    """Reviews of the sample with line breaks between their sentences, and a quotation."""
    sample = load_sample().head(n)
    texts = [
        "\n\n".join(sentences(text)).replace(". ", ".\n") + f'\n"Never again", said table {i}. I don\'t.'
        for i, text in enumerate(sample["text"])
    ]
    return pd.DataFrame({"label": sample["stars"] - 1, "text": texts})


def test_escaped_texts_of_the_hub_are_read_as_they_were_written(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The card says that quotation marks and line breaks are escaped by a backslash."""
    written = paragraphs(N_TRAIN + N_TEST)
    escaped = written.assign(text=[text.replace('"', '\\"').replace("\n", "\\n") for text in written["text"]])
    prepared = []
    for table in (escaped, written):
        project = Project(tmp_path_factory.mktemp("escaped"))
        train, test = (parquet(part) for part in (table[:N_TRAIN], table[N_TRAIN:]))
        with Hub(yelp_repository(train=train, test=test)) as hub:
            code, stderr = project.prepare(hub.url)
        assert code == 0, stderr
        prepared.append((project.reviews(), project.manifest()["unescaped"], stderr))
    assert prepared[0][0]["text"].tolist() == prepared[1][0]["text"].tolist()
    np.testing.assert_array_equal(*(TextStats().fit_transform(reviews["text"]) for reviews, _, _ in prepared))
    assert prepared[0][1] == {"escaped line breaks": 200, "escaped quotes": 200}
    assert "undone what an export left in the texts: escaped line breaks in 200" in prepared[0][2]
    assert prepared[1][1] == {}


def test_what_was_loaded_once_needs_no_hub_again(
    prepared: tuple[Project, Hub], project: Project, closed_port: str
) -> None:
    first, _ = prepared
    shutil.copytree(first.home, project.home, symlinks=True)
    code, stderr = project.prepare(closed_port, HF_HUB_OFFLINE="1")
    assert code == 0, stderr
    pd.testing.assert_frame_equal(project.reviews(), first.reviews())


def test_offline_without_a_cache_ends_in_one_line(project: Project, closed_port: str) -> None:
    code, stderr = project.prepare(closed_port, HF_HUB_OFFLINE="1")
    assert_one_line_names_the_other_sources(code, stderr)
    assert [path.name for path in (project.directory / "data").rglob("*") if path.is_file()] == [".yelp.lock"]


def test_a_revision_that_the_hub_does_not_have_ends_in_one_line(project: Project) -> None:
    with Hub(yelp_repository(sha=SHA)) as hub:
        code, stderr = project.prepare(hub.url)
    assert_one_line_names_the_other_sources(code, stderr)
    assert YELP["revision"] in stderr


def test_a_data_set_without_a_test_split_ends_in_one_line(project: Project) -> None:
    readme = README.replace("  - split: test\n    path: yelp_review_full/test-*\n", "")
    readme = readme.replace(f"  - name: test\n    num_bytes: 1\n    num_examples: {N_TEST}\n", "")
    with Hub(yelp_repository(readme=readme, test=b"")) as hub:
        code, stderr = project.prepare(hub.url)
    assert_one_line_names_the_other_sources(code, stderr)


# Models ---------------------------------------------------------------------------------------------------------------

TEXTS = ["good ramen, kind staff.", "cold", "the fries were cold and the wait was long, never again."]
# One process for all models, as the hub's address is read once; what it asks before each one marks the hub's log.
ENCODE = """
import json, sys, urllib.error, urllib.request
from pipeline.features import SentenceEmbedding

endpoint, texts, cases = sys.argv[1], *map(json.loads, sys.argv[2:])
answers = []
for number, (model, revision) in enumerate(cases):
    try:
        urllib.request.urlopen(f"{endpoint}/case/{number}")
    except urllib.error.URLError:
        pass
    try:
        answers.append(SentenceEmbedding(model=model, revision=revision).fit_transform(texts).tolist())
    except (OSError, ValueError) as error:
        answers.append([type(error).__name__, str(error)])
print(json.dumps(answers))
"""


class Trap:
    """Unpickling it makes a directory."""

    def __init__(self, directory: Path):
        self.directory = directory

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.directory),)


@dataclass
class Answers:
    """What became of each model, and what was asked of the hub for it."""

    expected: np.ndarray
    trap: Path
    results: dict[str, Any]
    requests: dict[str, list[str]]
    hub: Hub


@pytest.fixture(scope="module")
def answers(tiny_encoder: str, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    from sentence_transformers import SentenceTransformer

    directory, saved = tmp_path_factory.mktemp("models"), Path(tiny_encoder)
    files = {path.relative_to(saved).as_posix(): path.read_bytes() for path in saved.rglob("*") if path.is_file()}

    trap = directory / "trap"
    code = f"import os\nos.mkdir({str(trap)!r})\n".encode()
    tiny = files | {"pytorch_model.bin": pickle.dumps(Trap(trap)), "evil.py": code}
    pickled = {path: content for path, content in tiny.items() if path != "model.safetensors"}
    modules = json.loads(files["modules.json"])
    modules[0]["type"] = "evil.Evil"
    coded = tiny | {"modules.json": json.dumps(modules).encode()}
    for name, content in (("pickled", pickled), ("coded", coded)):
        for path, data in content.items():
            (directory / name / path).parent.mkdir(parents=True, exist_ok=True)
            (directory / name / path).write_bytes(data)

    cases = {
        "pinned": ("org/tiny", SHA),
        "not pinned": ("org/tiny", None),
        "wrong revision": ("org/tiny", SHA[::-1]),
        "pickled": ("org/pickled", SHA),
        "coded": ("org/coded", SHA),
        "unknown": ("org/unknown", None),
        "no name": ("a/b/c", None),
        "local": (str(saved), None),
        "local pickled": (str(directory / "pickled"), None),
        "local coded": (str(directory / "coded"), None),
    }
    repositories = {"org/tiny": tiny, "org/pickled": pickled, "org/coded": coded}
    with Hub(*(Repository("model", name, SHA, content) for name, content in repositories.items())) as hub:
        done = subprocess.run(
            [sys.executable, "-c", ENCODE, hub.url, json.dumps(TEXTS), json.dumps(list(cases.values()))],
            cwd=directory,
            env=hub_environment(hub.url, directory / "hf"),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    requests: dict[str, list[str]] = {}
    for _, path in hub.requests:
        if path.startswith("/case/"):
            current = requests.setdefault(list(cases)[int(path.removeprefix("/case/"))], [])
        else:
            current.append(path)
    results = dict(zip(cases, json.loads(done.stdout.splitlines()[-1]), strict=True))
    expected = SentenceTransformer(tiny_encoder, device="cpu").encode(TEXTS)
    return Answers(expected, trap, results, requests, hub)


@pytest.mark.parametrize("case", ["pinned", "not pinned", "local"])
def test_an_encoder_from_the_hub_gives_the_embeddings_of_sentence_transformers(answers: Answers, case: str) -> None:
    # The encoder runs on what is fastest here, and so differs in rounding.
    np.testing.assert_allclose(answers.results[case], answers.expected, atol=1e-5)


def test_neither_pickled_weights_nor_code_are_asked_for(answers: Answers) -> None:
    asked = {file for name in ("org/tiny", "org/pickled", "org/coded") for _, file in answers.hub.asked(name)}
    assert "model.safetensors" in asked
    assert {Path(file).suffix for file in asked} <= {".json", ".txt", ".model", ".safetensors"}
    assert not answers.trap.exists()


def test_the_given_revision_of_an_encoder_is_asked_for(answers: Answers) -> None:
    assert {revision for revision, _ in answers.hub.asked("org/tiny")} == {SHA}
    assert answers.requests["pinned"]


def test_a_local_directory_needs_no_request(answers: Answers) -> None:
    assert answers.requests["local"] == []


def test_pickled_weights_only_are_refused(answers: Answers) -> None:
    kind, message = answers.results["pickled"]
    assert kind in ("OSError", "ValueError")
    assert "safetensors" in message
    kind, message = answers.results["local pickled"]
    assert kind == "ValueError"
    assert "pytorch_model.bin" in message
    assert "safetensors" in message


@pytest.mark.parametrize("case", ["coded", "local coded"])
def test_a_model_that_needs_its_own_code_is_refused(answers: Answers, case: str) -> None:
    kind, message = answers.results[case]
    assert kind == "ValueError"
    assert "code" in message
    assert "evil" in message
    assert not answers.trap.exists()


@pytest.mark.parametrize("case", ["unknown", "no name", "wrong revision"])
def test_an_unknown_model_gives_an_oserror_that_names_the_bundled_one(answers: Answers, case: str) -> None:
    kind, message = answers.results[case]
    name = {"unknown": "org/unknown", "no name": "a/b/c", "wrong revision": "org/tiny"}[case]
    assert kind == "OSError"
    assert name in message
    assert "bundled" in message
    assert "\n" not in message


# No network -----------------------------------------------------------------------------------------------------------


class _RefusingProxy(BaseHTTPRequestHandler):
    def do_CONNECT(self) -> None:
        self.send_error(403, "Not allowed here")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def refusing_proxy() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _RefusingProxy) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_proxy_that_refuses_the_hub_ends_in_one_line(project: Project, refusing_proxy: str) -> None:
    code, stderr = project.prepare("https://huggingface.co", HTTPS_PROXY=refusing_proxy)
    assert_one_line_names_the_other_sources(code, stderr)


def test_a_proxy_that_refuses_the_hub_names_the_bundled_encoder(tmp_path: Path, refusing_proxy: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from pipeline.encoder import load_encoder; load_encoder('org/tiny')"],
        env=hub_environment("https://huggingface.co", tmp_path, HTTPS_PROXY=refusing_proxy),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stderr.splitlines()[-1].startswith("OSError: The model 'org/tiny'")
    assert "bundled" in done.stderr.splitlines()[-1]


def test_a_hub_that_cannot_be_reached_ends_in_one_line(without_hub: subprocess.Popen[str]) -> None:
    _, stderr = without_hub.communicate(timeout=180)
    assert_one_line_names_the_other_sources(without_hub.returncode, stderr)
