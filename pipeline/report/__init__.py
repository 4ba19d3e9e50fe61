"""One reader of results, and a module for each section of the report."""

from pipeline.report.results import Results

__all__ = ["Results"]
