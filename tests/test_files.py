import json
import signal
import subprocess
import sys

import pandas as pd
import pytest
from project import ROOT

from pipeline import files
from pipeline.errors import PipelineError, first_line


def names(directory):
    return sorted(path.name for path in directory.iterdir())


class TestAtomicPath:
    def test_the_file_appears_complete_under_its_name_in_a_new_directory(self, tmp_path):
        path = tmp_path / "a" / "b" / "file.txt"
        with files.atomic_path(path) as temporary:
            temporary.write_text("new")
            assert temporary.parent == path.parent
            assert not path.exists()
        assert path.read_text() == "new"
        assert names(path.parent) == ["file.txt"]

    def test_readers_see_the_old_content_until_the_block_ends(self, tmp_path):
        path = tmp_path / "file.txt"
        path.write_text("old")
        with path.open() as reader:
            with files.atomic_path(path) as temporary:
                temporary.write_text("new")
                assert path.read_text() == "old"
            assert path.read_text() == "new"
            assert reader.read() == "old"

    @pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
    def test_an_error_in_the_block_leaves_the_old_file_and_nothing_else(self, tmp_path, error):
        path = tmp_path / "file.txt"
        path.write_text("old")

        def write_half():
            with files.atomic_path(path) as temporary:
                temporary.write_text("half of the n")
                raise error("half way")

        with pytest.raises(error, match="half way"):
            write_half()
        assert path.read_text() == "old"
        assert names(tmp_path) == ["file.txt"]

    def test_an_error_before_anything_is_written_is_raised_as_it_is(self, tmp_path):
        with pytest.raises(ValueError, match="too early"), files.atomic_path(tmp_path / "file.txt"):
            raise ValueError("too early")
        assert names(tmp_path) == []

    @pytest.mark.slow
    def test_a_killed_process_leaves_the_old_content_and_the_next_one_cleans_up(self, tmp_path):
        path = tmp_path / "table.json"
        files.write_json(path, {"reviews": 1})
        writer = """
import sys, time
from pathlib import Path
from pipeline.files import atomic_path
with atomic_path(Path(sys.argv[1])) as temporary, temporary.open("w") as file:
    file.write('{"reviews":')
    file.flush()
    print("half written", flush=True)
    time.sleep(60)
"""
        process = subprocess.Popen(
            [sys.executable, "-c", writer, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        with process:
            assert process.stdout.readline() == "half written\n"
            process.kill()
        assert process.returncode == -signal.SIGKILL
        assert len(names(tmp_path)) == 2
        assert json.loads(path.read_text()) == {"reviews": 1}

        files.write_json(path, {"reviews": 2})
        assert json.loads(path.read_text()) == {"reviews": 2}
        assert names(tmp_path) == ["table.json"]

    @pytest.mark.slow
    @pytest.mark.parametrize("name", ["table.json", "[1] star*?.json"])
    def test_two_processes_write_the_same_file_at_the_same_time(self, tmp_path, name):
        """Each waits in its block until the other is in its block too."""
        path = tmp_path / name
        writer = """
import sys
from pathlib import Path
from pipeline.files import atomic_path
with atomic_path(Path(sys.argv[1])) as temporary:
    temporary.write_text(sys.argv[2] * 1000)
    print("written", flush=True)
    sys.stdin.readline()
"""
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", writer, str(path), content],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for content in "ab"
        ]
        for process in processes:
            assert process.stdout.readline() == "written\n"
        files.write_text(path, "c")
        assert len(names(tmp_path)) == 3
        for process in processes:
            process.communicate("\n")
            assert process.returncode == 0
        assert path.read_text() == "b" * 1000
        assert names(tmp_path) == [name]


class TestReadingAndWriting:
    def test_text_and_json_keep_every_script_and_are_readable_as_they_are(self, tmp_path):
        files.write_json(tmp_path / "a.json", {"店": "最高😀"})
        assert "最高😀" in (tmp_path / "a.json").read_text(encoding="utf-8")
        assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"店": "最高😀"}

    def test_json_lines_hold_one_object_a_line_whatever_the_text(self, tmp_path):
        rows = [{"text": "two\nlines"}, {"text": "最高\u2028"}, {"text": ""}]
        files.write_json_lines(tmp_path / "a.jsonl", iter(rows))
        lines = (tmp_path / "a.jsonl").read_text(encoding="utf-8").split("\n")
        assert [json.loads(line) for line in lines[:-1]] == rows
        assert lines[-1] == ""

    def test_a_table_comes_back_without_its_index(self, tmp_path):
        table = pd.DataFrame({"review_id": ["b", "a"], "stars": [1, 5]}, index=[7, 3])
        files.write_parquet(tmp_path / "t.parquet", table)
        pd.testing.assert_frame_equal(
            files.read_parquet(tmp_path / "t.parquet", made_by="prepare"), table.reset_index(drop=True)
        )

    def test_a_missing_table_names_the_stage_that_makes_it(self, tmp_path):
        with pytest.raises(PipelineError, match=r"t\.parquet is missing: run the prepare stage first"):
            files.read_parquet(tmp_path / "t.parquet", made_by="prepare")

    @pytest.mark.parametrize("keep", [0, 4, 200])
    def test_a_damaged_table_says_to_delete_it(self, tmp_path, keep):
        path = tmp_path / "t.parquet"
        files.write_parquet(path, pd.DataFrame({"stars": range(100)}))
        path.write_bytes(path.read_bytes()[:keep])
        with pytest.raises(PipelineError, match="delete it and run the features stage again") as caught:
            files.read_parquet(path, made_by="features")
        assert "\n" not in str(caught.value)


class TestManifest:
    def test_it_comes_back(self, tmp_path):
        files.write_json(tmp_path / "new" / files.MANIFEST, {"stage": "score", "n": 3})
        assert files.read_manifest(tmp_path / "new") == {"stage": "score", "n": 3}

    @pytest.mark.parametrize("content", [None, b"", b"{", b"[1]", b"null", b"\xff\xfe"])
    def test_one_that_is_missing_or_no_manifest_vouches_for_nothing(self, tmp_path, content):
        if content is not None:
            (tmp_path / files.MANIFEST).write_bytes(content)
        assert files.read_manifest(tmp_path) == {}


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("one\ntwo"), "one"),
        (ValueError("\n  late\n"), "late"),
        (ValueError(), "ValueError"),
        (OSError(" "), "OSError"),
    ],
)
def test_first_line_of_an_error_is_never_empty(error, line):
    assert first_line(error) == line
