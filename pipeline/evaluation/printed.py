"""Results as they are printed: words and tables, as text and as HTML."""

import math
from abc import ABC, abstractmethod
from html import escape
from typing import Any

import pandas as pd

from pipeline.evaluation.verdict import ENOUGH
from pipeline.format import number, p_text


class Printed(ABC):
    """A result with a verdict, a sentence on how it was measured, differences, and tables to print."""

    verdict: str
    how: str
    differences: pd.DataFrame

    @abstractmethod
    def _tables(self) -> list[pd.DataFrame]:
        """Return the tables to print."""

    def __str__(self) -> str:
        tables = [as_text(table, shown_digits(self.differences)) for table in self._tables()]
        return "\n\n".join([f"{self.verdict}\n{self.how}", *tables])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        tables = [table.to_html(index=False, float_format="{:.4g}".format) for table in self._tables()]
        return "\n".join([f"<p>{escape(self.verdict)}</p><p>{escape(self.how)}</p>", *tables])


def shown_digits(differences: pd.DataFrame) -> int:
    """Return how many decimals give half the narrowest interval of a difference two digits."""
    widths = (differences["high"] - differences["low"]).to_numpy(dtype=float) / 2
    if not len(widths := widths[widths > 0]):
        return 3
    return max(0, 1 - math.floor(math.log10(widths.min())))


def as_text(table: pd.DataFrame, digits: int) -> str:
    """Return a table as it is printed: numbers with so many decimals, small p-values without."""
    shown: dict[Any, Any] = dict.fromkeys(("p", "p_holm"), p_text)
    shown |= {key: lambda value: number(value, digits) for key in ("score", "low", "high", "sd")}
    shown["difference"] = lambda value: number(value, digits, sign=True)
    table = table.assign(ahead=table["ahead"].fillna("")) if "ahead" in table else table
    return table.to_string(index=False, na_rep="–", formatters={key: shown[key] for key in shown if key in table})


def too_few(n_units: int, n_rows: int) -> str:
    """Say that nothing is claimed, where there are few rows or groups, else nothing."""
    if n_units >= ENOUGH:
        return ""
    unit = "rows" if n_units == n_rows else "groups"
    return f"{n_units} {unit} are too few to tell models apart: nothing is claimed with fewer than {ENOUGH}."
