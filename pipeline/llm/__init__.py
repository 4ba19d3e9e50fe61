"""A language model on this machine or a server, asked how likely each value of a scale is to follow on a review."""

from pipeline.llm.answers import Answers, ask
from pipeline.llm.examples import balanced_examples, nearest_examples
from pipeline.llm.gguf_file import ModelFile, read_model_file
from pipeline.llm.models import LanguageModel, open_model
from pipeline.llm.prompts import Prompt, Wording
from pipeline.llm.value_probabilities import value_probabilities, written_probabilities

__all__ = ["Answers", "LanguageModel", "ModelFile", "Prompt", "Wording", "ask", "balanced_examples", "nearest_examples"]
__all__ += ["open_model", "read_model_file", "value_probabilities", "written_probabilities"]
