"""The Python blocks of a page, and what the page says that they print."""

import io
import re
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any


def python_blocks(page: Path) -> list[tuple[str, str]]:
    """Return each Python block of a page with the text block that follows it, empty where none does."""
    text = page.read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```(?:\n\n```text\n(.*?)```)?", text, flags=re.DOTALL)


def check_blocks(page: Path) -> None:
    """Run the Python blocks of a page from top to bottom: each prints what stands below it, and no more."""
    blocks = python_blocks(page)
    assert blocks
    assert len(blocks) == page.read_text(encoding="utf-8").count("```python")
    names: dict[str, Any] = {}
    for code, shown in blocks:
        with redirect_stdout(io.StringIO()) as printed:
            exec(compile(code, page.name, "exec"), names)
        assert printed.getvalue() == shown, code
