"""Counts what passes an encoder."""

import pytest

from pipeline.encoder import forward


class ForwardPasses:
    """Counts the batches that an encoder runs while the block lasts, and their texts, whatever backend runs them."""

    def __init__(self):
        self.count = self.n_texts = 0

    def __enter__(self):
        self.patch = pytest.MonkeyPatch()
        make_forward = forward.make_forward
        self.patch.setattr(forward, "make_forward", lambda *arguments: self._counting(make_forward(*arguments)))
        return self

    def _counting(self, run):
        def counted(batches):
            for batch in batches:
                self.count += 1
                self.n_texts += len(batch["input_ids"])
                yield batch

        return lambda batches: run(counted(batches))

    def __exit__(self, *_):
        self.patch.undo()
