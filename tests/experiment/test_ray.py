"""The same numbers on Ray, on a real cluster of two nodes, whatever is killed in the middle."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from project import ROOT, make_project, run_cli
from ray_work import Counted, die, encoded_by, fail

from pipeline import load_sample
from pipeline.errors import PipelineError
from pipeline.experiment import engine
from pipeline.experiment.near_identical import near_identical_groups
from pipeline.features import SentenceEmbedding, TextStats
from pipeline.features.encoded import encode_together

ray = pytest.importorskip("ray", reason="the extra ray is not installed")
from ray.cluster_utils import Cluster  # noqa: E402

from pipeline.experiment import near_identical_minhash, ray_encoders, ray_tasks, text_columns  # noqa: E402

pytestmark = [pytest.mark.ray, pytest.mark.slow]

SCORE = {
    "seed": 1,
    "n_resamples": 200,
    "feature_sets": {"stats": ["text_stats"], "words": ["t_metrics"]},
    "models": ["T(1)", "Ridge"],
    "baselines": ["mean"],
}
CURVES = {
    "seed": 1,
    "n_resamples": 200,
    "sizes": {10: 6, 20: 4},
    "feature_sets": ["stats", "words"],
    "sides": {
        "T": {"feature_sets": ["words"], "models": ["T(1)"]},
        "R": {"feature_sets": ["stats"], "models": ["Ridge"]},
    },
    "contrasts": [["T", "R"]],
}
TIMINGS = ["fit_seconds", "predict_seconds", "peak_mb"]
SMALL_NODE: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 100 * 2**20}
N_TEXTS = 5 * 1024
SHARD = 1024


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A node that the tests themselves are on; each of them adds what it needs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(Path(__file__).parent)]))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        nodes = Cluster(initialize_head=True, head_node_args={**SMALL_NODE, "include_dashboard": False})
        patch.setenv("RAY_ADDRESS", nodes.address)
        ray_tasks.join_cluster()
        yield nodes
        ray.shutdown()
        nodes.shutdown()


@pytest.fixture
def second(cluster: Cluster) -> Iterator[Any]:
    node = cluster.add_node(**SMALL_NODE)
    yield node
    if node in cluster.worker_nodes:
        cluster.remove_node(node)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with its curves, made by one process."""
    project = make_project(tmp_path_factory.mktemp("ray"), n_per_star=8)
    (project / "conf/score.yaml").write_text(yaml.safe_dump(SCORE))
    (project / "conf/curves.yaml").write_text(yaml.safe_dump(CURVES))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        patch.setenv("LOKY_MAX_CPU_COUNT", "1")
        assert run_cli(patch, "all", "--until", "curves") == 0
    return project


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Its prepared reviews and features, without results."""
    for name in ("conf", "data"):
        (tmp_path / name).symlink_to(made / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def results(project: Path) -> dict[str, pd.DataFrame]:
    """All tables of results, less the timings."""
    found = {path.name: pd.read_csv(path) for path in (project / "reports/sample").rglob("*.csv")}
    found["predictions"] = pd.read_parquet(project / "reports/sample/predictions.parquet")
    return {name: table.drop(columns=TIMINGS, errors="ignore") for name, table in found.items()}


def check_same(project: Path, made: Path) -> None:
    expected, found = results(made), results(project)
    assert found.keys() == expected.keys()
    for name, table in expected.items():
        pd.testing.assert_frame_equal(found[name], table, check_exact=True, obj=name)


def draws(project: Path) -> dict[str, int]:
    """The finished pieces, with when they were written."""
    return {path.name: path.stat().st_mtime_ns for path in (project / "reports/sample/draws").glob("[!.]*.parquet")}


def once(condition: Callable[[], bool], act: Callable[[], Any]) -> threading.Thread:
    """Act as soon as a condition holds, beside what the test does."""

    def watch() -> None:
        while not condition():
            time.sleep(0.01)
        act()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


def on_ray(monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    assert run_cli(monkeypatch, stage, "--engine", "ray") == 0


def test_without_the_engine_nothing_of_ray_is_imported_and_a_missing_extra_is_one_line() -> None:
    program = """
import sys
from importlib import import_module
from pipeline.__main__ import main
from pipeline.project.fingerprint import STAGES
for stage in STAGES:
    import_module(f"pipeline.stages.{stage}")
print(sorted({"ray", "datasketch"} & set(sys.modules)))
sys.modules["ray"] = None
sys.argv = ["pipeline", "score", "--engine", "ray"]
main()
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "[]\n"
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last == 'error: --engine ray (ENGINE=ray) needs ray: pip install "t-method-vs-attention[ray]"'


def test_an_address_where_nothing_listens_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(PipelineError, match=r"^no Ray cluster to be had from RAY_ADDRESS=127\.0\.0\.1:9 \(.*\): start"):
        ray_tasks.join_cluster()


def test_leaderboard_and_curves_are_those_of_one_process_with_one_two_and_four_workers(
    cluster: Cluster, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = []
    for n_workers in (1, 2, 4):
        if n_workers > 1:
            nodes.append(cluster.add_node(**{**SMALL_NODE, "num_cpus": n_workers // 2}))
        assert ray_tasks.n_workers() == n_workers
        project = tmp_path / str(n_workers)
        project.mkdir()
        for name in ("conf", "data"):
            (project / name).symlink_to(made / name)
        monkeypatch.chdir(project)
        on_ray(monkeypatch, "score")
        on_ray(monkeypatch, "curves")
        check_same(project, made)
        before = draws(project)
        on_ray(monkeypatch, "curves")
        assert draws(project) == before
    for node in nodes:
        cluster.remove_node(node)


def test_a_node_is_removed_in_the_middle(
    cluster: Cluster, second: Any, made: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_ray(monkeypatch, "score")
    n = len(draws(project))
    removal = once(lambda: len(draws(project)) > n + 2, lambda: cluster.remove_node(second, allow_graceful=False))
    on_ray(monkeypatch, "curves")
    removal.join()
    check_same(project, made)


def test_the_driver_is_killed_and_started_again(
    cluster: Cluster, made: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_ray(monkeypatch, "score")
    n = len(draws(project))
    driver = subprocess.Popen([sys.executable, "-m", "pipeline", "curves", "--engine", "ray"], cwd=project)
    while len(draws(project)) < n + 3:
        assert driver.poll() is None
        time.sleep(0.01)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    kept = draws(project)
    assert n + 3 <= len(kept) < len(list((made / "reports/sample/draws").iterdir()))
    on_ray(monkeypatch, "curves")
    check_same(project, made)
    assert kept.items() <= draws(project).items()


def test_errors_are_one_line(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    with engine.using("ray"):
        with pytest.raises(PipelineError, match=r"^the third is no good$"):
            list(engine.in_parallel(fail, range(5)))
        monkeypatch.setattr(ray_tasks, "_RETRIES", 0)
        with pytest.raises(
            PipelineError, match=r"^a worker of Ray was lost 1 times, .* \(.*\): what is finished is kept"
        ):
            list(engine.in_parallel(die, [1]))
        with pytest.raises(PipelineError, match=r"^a worker of Ray cannot do its work \(.*No module named 'project'\)"):
            list(engine.in_parallel(once, [1]))


@pytest.fixture
def texts() -> list[str]:
    words = ["good", "bad", "food", "service", "never"]
    return [f"the {words[i % 5]} {words[i // 5 % 5]} was {i}" for i in range(N_TEXTS)]


def embedding(tiny_encoder: str) -> dict[str, SentenceEmbedding]:
    return {"counted": SentenceEmbedding(model=tiny_encoder).fit(["good"])}


def test_an_actor_is_killed_and_no_more_than_its_block_is_encoded_twice(
    cluster: Cluster, second: Any, tiny_encoder: str, texts: list[str], tmp_path: Path
) -> None:
    log, transformers = tmp_path / "log", embedding(tiny_encoder)
    records = {(tiny_encoder, None, transformers["counted"].make_backend()): {2: tmp_path / "states"}}
    work = transformers, {"counted": Counted(str(log))}, texts, tmp_path / "cache", records

    def kill() -> None:
        os.kill(next(iter(encoded_by(log))), signal.SIGKILL)

    killing = once(lambda: encoded_by(log).total() > SHARD, kill)
    ray_encoders.fill_shards(*work)
    killing.join()
    counts = encoded_by(log)
    assert len(counts) >= 2
    assert N_TEXTS <= counts.total() <= N_TEXTS + SHARD
    found = encode_together(*work)["counted"]
    assert encoded_by(log) == counts
    expected = encode_together(transformers, {"counted": Counted(str(tmp_path / "other"))}, texts)["counted"]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert (tmp_path / "states/states.npy").exists()


ENCODE = """
import sys
from ray_work import Counted
from pathlib import Path
from pipeline.features import SentenceEmbedding
from pipeline.experiment.ray_encoders import fill_shards
model, log, cache, texts = sys.argv[1:]
transformers = {"counted": SentenceEmbedding(model=model).fit(["good"])}
fill_shards(transformers, {"counted": Counted(log)}, Path(texts).read_text().splitlines(), Path(cache), {})
"""


def test_the_driver_is_killed_while_texts_are_encoded(
    cluster: Cluster, tiny_encoder: str, texts: list[str], tmp_path: Path
) -> None:
    log, cache = tmp_path / "log", tmp_path / "cache"
    (tmp_path / "texts").write_text("\n".join(texts))
    arguments = [tiny_encoder, str(log), str(cache), str(tmp_path / "texts")]
    driver = subprocess.Popen([sys.executable, "-c", ENCODE, *arguments])
    while len(list(cache.rglob("[!.]*.safetensors"))) < 2:
        assert driver.poll() is None
        time.sleep(0.01)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    transformers, poolings = embedding(tiny_encoder), {"counted": Counted(str(log))}
    with engine.using("ray"):
        found = engine.encode_together(transformers, poolings, texts, cache, {})["counted"]
    assert N_TEXTS <= encoded_by(log).total() <= N_TEXTS + SHARD
    expected = encode_together(transformers, {"counted": Counted(str(tmp_path / "other"))}, texts)["counted"]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_where_there_is_a_gpu_its_actor_encodes_by_torch_for_nodes_without_one(
    cluster: Cluster, tiny_encoder: str, texts: list[str], tmp_path: Path
) -> None:
    # Ray counts what a node says it has; torch finds no GPU there, and takes the processor.
    node = cluster.add_node(**{**SMALL_NODE, "num_gpus": 1})
    transformers, poolings = embedding(tiny_encoder), {"counted": Counted(str(tmp_path / "log"))}
    with engine.using("ray"):
        here = {name: engine.pinned(each) for name, each in transformers.items()}
        assert here["counted"].make_backend().name == "torch"
        vectors = engine.encode_together(here, poolings, texts[:300], tmp_path / "cache", {})["counted"]
    cluster.remove_node(node)
    ((process, n),) = encoded_by(tmp_path / "log").items()
    assert n == len(vectors) == 300
    assert process != os.getpid()
    assert transformers["counted"].backend == "auto"


def test_columns_of_texts_are_made_block_by_block(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    reviews = load_sample()[::10]
    monkeypatch.setattr(text_columns, "_AT_ONCE", 25)
    work = (
        {"stats": TextStats()},
        reviews.text.to_numpy(dtype=object),
        reviews.stars.to_numpy(),
        np.ones(60, dtype=bool),
    )
    with engine.using("ray"):
        made = text_columns.text_columns(*work)["stats"]
    np.testing.assert_array_equal(made.columns, TextStats().fit_transform(reviews.text))


def test_near_identical_texts_are_found_block_by_block(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = load_sample().text.tolist()[:60]
    texts += [text.replace("the", "a") for text in texts]
    monkeypatch.setattr(near_identical_minhash, "_TEXTS_OF_A_BLOCK", 50)
    monkeypatch.setattr(engine, "_JOINED_AT_EASE", 100)
    with engine.using("ray"):
        found = engine.find_near_identical(texts, 0.5)
    np.testing.assert_array_equal(found, near_identical_groups(texts, 0.5))
    assert len(np.unique(found)) < 100
