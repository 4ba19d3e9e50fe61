"""The command attend: it prints, writes files whole, and ends in one line where something is not there."""

import csv
import re
import subprocess
import sys
from pathlib import Path

import matplotlib
import pandas as pd
import pytest
from hub import Hub, Repository, hub_environment
from project import run_cli
from toy_maps import SENTENCE

from pipeline.attention.maps import AttentionMap


class TestCommand:
    def test_prints_a_table(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        assert run_cli(monkeypatch, "attend", SENTENCE, "--layer", "3", "--head", "5") == 0
        out, err = capsys.readouterr()
        assert "bundled · layer 3, head 5" in out
        assert "chased" in out
        assert "error" not in err

    def test_prints_a_word_by_layer(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        assert run_cli(monkeypatch, "attend", SENTENCE, "--word", "cat") == 0
        assert "moved" in capsys.readouterr().out

    def test_reads_a_local_model(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], gpt2: str
    ) -> None:
        assert run_cli(monkeypatch, "attend", "the dog", "--model", gpt2) == 0
        assert re.search(r"^the  1\.00  0\.00$", capsys.readouterr().out.replace("  the", "the"), re.MULTILINE)

    @pytest.mark.slow
    def test_reads_a_model_of_the_hub_at_a_commit(self, tmp_path: Path, gpt2: str) -> None:
        files = {path.name: path.read_bytes() for path in Path(gpt2).iterdir()}
        commit = "0123456789abcdef0123456789abcdef01234567"
        with Hub(Repository("model", "someone/tiny-gpt2", commit, files)) as hub:
            done = subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "pipeline",
                    "attend",
                    "the dog",
                    "--model",
                    "someone/tiny-gpt2",
                    "--revision",
                    commit,
                ],
                cwd=tmp_path,
                env=hub_environment(hub.url, tmp_path / "home"),
                capture_output=True,
                text=True,
                check=False,
            )
        assert done.returncode == 0, done.stderr
        assert "someone/tiny-gpt2 · mean of 2 layers, mean of 3 heads" in done.stdout
        assert "LOAD REPORT" not in done.stderr

    @pytest.mark.parametrize(
        ("name", "start"),
        [("a.png", b"\x89PNG"), ("a.svg", b"<?xml"), ("deep/a.HTML", b"<!doctype html>"), ("a.csv", b"query,")],
    )
    def test_writes_a_file_whole_and_prints_its_path(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        name: str,
        start: bytes,
    ) -> None:
        assert run_cli(monkeypatch, "attend", SENTENCE, "--out", str(tmp_path / name)) == 0
        path = Path(capsys.readouterr().out.strip())
        assert path == (tmp_path / name).resolve()
        assert path.read_bytes().startswith(start)
        assert [file.name for file in path.parent.iterdir()] == [path.name]

    def test_csv_holds_the_weights(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bundled: AttentionMap
    ) -> None:
        path = tmp_path / "a.csv"
        assert run_cli(monkeypatch, "attend", SENTENCE, "--layer", "2", "--out", str(path)) == 0
        pd.testing.assert_frame_equal(
            pd.read_csv(path, index_col="query"),
            bundled.frame(2).rename_axis(columns=None),
            atol=1e-6,
            check_dtype=False,
        )
        assert run_cli(monkeypatch, "attend", SENTENCE, "--word", "cat", "--out", str(path)) == 0
        with path.open(encoding="utf-8", newline="") as file:
            assert next(csv.reader(file)) == ["layer", *bundled.labels]

    def test_svg_needs_no_font(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "a.svg"
        with matplotlib.rc_context({"svg.fonttype": "none"}):
            assert run_cli(monkeypatch, "attend", "犬が猫を追う", "--out", str(path)) == 0
        assert "<text" not in path.read_text(encoding="utf-8")

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ([" "], "give at least one word"),
            ([SENTENCE, "--layer", "9"], "has the layers 1 to 6"),
            ([SENTENCE, "--head", "0"], "has the heads 1 to 12"),
            ([SENTENCE, "--word", "zebra"], "'zebra', which is not in the text"),
            ([SENTENCE, "--word", "cat", "--layer", "2"], "leave out --layer 2"),
            ([SENTENCE, "--word", "cat", "--no-values"], "--word always shows its values: leave out --no-values"),
            ([SENTENCE, "--out", "map.csv", "--values"], "a .csv file always shows its values: leave out --values"),
            ([SENTENCE, "--out", "map.pdf"], "--out ends in .png, .svg, .html or .csv, got 'map.pdf'"),
            ([SENTENCE, "--out", "/dev/null/map.png"], "/dev/null"),
            ([SENTENCE, "--model", "/nowhere/at all"], "is neither a directory nor can it be had from the hub"),
            (["dog " * 600], "602 tokens, but 1 to 512"),
        ],
        ids=lambda value: str(value)[:40],
    )
    def test_ends_in_one_line_where_the_user_can_mend_it(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
    ) -> None:
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        assert run_cli(monkeypatch, "attend", *arguments) == 2
        out, err = capsys.readouterr()
        assert out == ""
        (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
        assert message in line
