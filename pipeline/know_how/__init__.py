"""Know-how: what reviews teach as a small file of sums, to read new reviews with and to add to reviews at hand."""

from pipeline.know_how.know_how import KnowHow, load_know_how, make_know_how
from pipeline.know_how.word_table import words_from_table

__all__ = ["KnowHow", "load_know_how", "make_know_how", "words_from_table"]
