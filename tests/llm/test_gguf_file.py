"""What the header of a GGUF file tells, and what is none."""

import hashlib
import struct
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
        assert found.quantisation == "all F32"
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


def text(content: str) -> bytes:
    return struct.pack("<Q", len(content)) + content.encode()


def header(*pairs: tuple[str, int, bytes]) -> bytes:
    """Return the header of a model without tensors, of keys with the kinds and the bytes of their values."""
    values = b"".join(text(key) + struct.pack("<I", kind) + value for key, kind, value in pairs)
    return b"GGUF" + struct.pack("<IQQ", 3, 0, len(pairs)) + values


LLAMA = ("general.architecture", 8, text("llama"))
ENDS = "(the file ends inside its header): get the file again."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (header(("split.count", 8, text("three"))), "(split.count is 'three', no whole number): get"),
        (header(LLAMA, ("llama.context_length", 8, text("x"))), "(llama.context_length is 'x', no whole number)"),
        (header(LLAMA, ("llama.context_length", 5, struct.pack("<i", -1))), "(llama.context_length is -1, no whole"),
        (header(("general.file_type", 6, struct.pack("<f", 0.5))), "(general.file_type is 0.5, no whole number)"),
        (header(("tokenizer.chat_template", 4, bytes(4))), "(tokenizer.chat_template is 0, no text)"),
        (header(("a", 9, struct.pack("<IQ", 10, 1 << 59))), ENDS),
        (header(("a", 9, struct.pack("<IQ", 9, 1 << 59))), ENDS),
        (header(("a", 9, struct.pack("<IQ", 9, 1) * 5000)), "is damaged or cut off"),
        (header(("a", 9, struct.pack("<IQQ", 8, 1, 1 << 63))), ENDS),
        (header(("a", 10, b"1234")), ENDS),
        (header(("a", 99, b"")), "(a value of the unknown kind 99 in its header)"),
    ],
)
def test_a_strange_header_is_said_with_the_file_and_the_reason(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is damaged or cut off") as caught:
        read_model_file(path)
    assert str(caught.value).startswith(f"{path} is")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_arrays_of_arrays_are_passed_over(tmp_path: Path) -> None:
    inner = struct.pack("<IQ3H", 2, 3, 1, 2, 3) + struct.pack("<IQ", 8, 1) + text("word")
    path = tmp_path / "model.gguf"
    kinds = ("general.file_type", 4, struct.pack("<I", 15))
    path.write_bytes(header(("nested", 9, struct.pack("<IQ", 9, 2) + inner), LLAMA, kinds))
    found = read_model_file(path)
    assert (found.architecture, found.quantisation, found.n_context) == ("llama", "Q4_K - Medium", None)
    assert found.name == "model"
