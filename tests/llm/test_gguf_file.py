"""What the header of a GGUF file tells, and what is none."""

import hashlib
from pathlib import Path

import pytest
from tiny_gguf import CHAT, write_gguf

from pipeline.llm.gguf_file import read_model_file


def test_it_agrees_with_the_reader_of_the_gguf_package(tiny: Path, chatty: Path) -> None:
    import gguf

    for path, template in ((tiny, None), (chatty, CHAT)):
        found, fields = read_model_file(path), gguf.GGUFReader(path).fields
        assert found.digest == hashlib.sha256(path.read_bytes()).hexdigest()
        assert found.name == fields["general.name"].contents() == "tiny"
        assert found.architecture == fields["general.architecture"].contents() == "llama"
        assert found.n_context == fields["llama.context_length"].contents() == 2048
        assert found.chat_template == template
        assert ("tokenizer.chat_template" in fields) == (template is not None)


def test_a_file_that_changes_is_read_anew(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "model.gguf")
    before = read_model_file(path)
    write_gguf(path, n_context=512)
    assert before.n_context == 2048
    assert read_model_file(path).n_context == 512


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no GGUF file"),
        (b"PK\3\4 something else", "is no GGUF file .it does not begin with GGUF.: convert"),
        (b"GGUF", "is damaged or cut off"),
        (b"GGUF\0\0\0\3" + bytes(16), "is damaged or cut off .version 50331648, not 2 or 3, in its header.: get"),
        (b"GGUF\3\0\0\0" + bytes(8) + b"\xff" * 8 + b"\xff" * 8, "is damaged or cut off .a text of"),
        (b"GGUF\3\0\0\0" + bytes(8) + b"\1" + bytes(7) + b"\1" + bytes(7) + b"k\x63\0\0\0", "is damaged or cut off"),
    ],
)
def test_what_is_none_is_said_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_model_file(path)
    assert "\n" not in str(caught.value)


def test_a_directory_and_a_part_of_a_model_are_refused(tmp_path: Path) -> None:
    import gguf

    with pytest.raises(ValueError, match="is a directory: give the path of a GGUF file in it"):
        read_model_file(tmp_path)
    writer = gguf.GGUFWriter(tmp_path / "part.gguf", "llama")
    writer.add_uint16("split.count", 3)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    with pytest.raises(ValueError, match=r"is one of 3 parts of a model: merge them"):
        read_model_file(tmp_path / "part.gguf")


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3])
def test_a_header_that_is_cut_off_anywhere_is_damaged(tmp_path: Path, tiny: Path, share: float) -> None:
    content = tiny.read_bytes()
    path = tmp_path / "cut.gguf"
    path.write_bytes(content[: int(share * 5000)])
    with pytest.raises(ValueError, match="is damaged or cut off"):
        read_model_file(path)
