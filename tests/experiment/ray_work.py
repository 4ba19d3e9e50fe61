"""What the tests let the workers of a Ray cluster do: they find this module, but not those beside it."""

import os
import signal
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.encoder import TokenBatch, TokenPooling, weighted_mean
from pipeline.errors import PipelineError


@dataclass(frozen=True, eq=False)
class Counted(TokenPooling):
    """The mean of all token states; a file tells which process has pooled how many texts."""

    log: str
    layer: int = 1

    def pool(self, batch: TokenBatch) -> Any:
        with Path(self.log).open("a") as file:
            file.write(f"{os.getpid()} {len(batch.rows)}\n")
        # Long enough for something to happen in the middle of a block.
        time.sleep(0.05)
        return weighted_mean(batch.states[self.layer], batch.mask.float())


def encoded_by(log: Path) -> Counter[int]:
    """How many texts each process has encoded."""
    counts: Counter[int] = Counter()
    for line in log.read_text().splitlines() if log.exists() else ():
        process, n = map(int, line.split())
        counts[process] += n
    return counts


def fail(item: int) -> int:
    if item == 3:
        raise PipelineError("the third is no good")
    return item


def die(item: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return item
