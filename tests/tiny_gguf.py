"""A language model of one layer with random weights, small enough to be written on the spot, which llama.cpp loads."""

from pathlib import Path

import numpy as np

CHAT = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_SIZE, _HIDDEN = 32, 64
# Printable ASCII; a byte-level tokenizer writes a space as Ġ and a line break as Ċ.
_CHARACTERS = [chr(code) for code in range(33, 127)] + ["Ġ", "Ċ"]
_NORMAL, _CONTROL = 1, 3


def write_gguf(
    path: Path,
    digits: bool = True,
    pairs: tuple[str, ...] = (),
    chat_template: str | None = None,
    n_context: int = 2048,
    seed: int = 0,
) -> Path:
    """Write a Llama whose tokens are single characters.

    Parameters
    ----------
    digits : bool
        Whether digits are among them; otherwise they are passed over.
    pairs : tuple of str
        Two characters each that are one token where they follow one another.
    chat_template : str or None
        With it, its control tokens <|im_start|> and <|im_end|> are in the vocabulary.
    """
    import gguf

    characters = [each for each in _CHARACTERS if digits or not each.isdigit()]
    control = ["<|bos|>", "<|eos|>", *(["<|im_start|>", "<|im_end|>"] if chat_template else [])]
    # llama.cpp takes no tokenizer of this kind without merges.
    pairs = (*pairs, "th")
    tokens = [*control, *characters, *pairs]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_context_length(n_context)
    writer.add_embedding_length(_SIZE)
    writer.add_block_count(1)
    writer.add_feed_forward_length(_HIDDEN)
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(_SIZE // 2)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([_CONTROL] * len(control) + [_NORMAL] * (len(tokens) - len(control)))
    writer.add_token_merges([f"{pair[0]} {pair[1]}" for pair in pairs])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_add_bos_token(True)
    if chat_template is not None:
        writer.add_chat_template(chat_template)
    rng = np.random.default_rng(seed)
    shapes = {"token_embd": (len(tokens), _SIZE), "output": (len(tokens), _SIZE)}
    shapes |= {f"blk.0.attn_{each}": (_SIZE, _SIZE) for each in ("q", "k", "v", "output")}
    shapes |= {"blk.0.ffn_gate": (_HIDDEN, _SIZE), "blk.0.ffn_up": (_HIDDEN, _SIZE), "blk.0.ffn_down": (_SIZE, _HIDDEN)}
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", rng.normal(scale=0.5, size=shape).astype(np.float32))
    for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        writer.add_tensor(f"{name}.weight", np.ones(_SIZE, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
