# ruff: noqa: INP001 - a script, not a package
"""Writes a tiny model with random weights as a GGUF file; called by scripts/real-engine, where `gguf` is installed.

Invariant: the same seed gives the same file. Its words are noise, but text: a printable character is one token and
comes back as the same token, so that an answer which is sent again is what the engine already holds.
"""

from __future__ import annotations

import string
import sys

import gguf
import numpy as np
from numpy.typing import NDArray

NAME = "noise"
SEED = 1
LAYERS, WIDTH, HEADS, INNER = 2, 64, 4, 128
WINDOW = 65_536
BEGIN, END = "<|im_start|>", "<|im_end|>"

TEMPLATE = """\
{%- if tools %}<|im_start|>tools
{% for tool in tools %}{{ tool | tojson }}
{% endfor %}<|im_end|>
{% endif -%}
{%- for message in messages %}<|im_start|>{{ message.role }}
{{ message.content or "" }}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif -%}
"""

# Dimension 0 is the same in every state, so its output weights are a bias: small letters, and an end now and then.
STEADY, UNWANTED, ENDING = 8.0, -10.0, 0.3


def vocabulary() -> list[tuple[str, int]]:
    """Tokens with their kinds, as SentencePiece has them: a space is U+2581, and what has no token becomes bytes."""
    kinds = gguf.TokenType
    special = [("<unk>", kinds.UNKNOWN), ("<s>", kinds.CONTROL), (BEGIN, kinds.CONTROL), (END, kinds.CONTROL)]
    numbered = [(f"<0x{code:02X}>", kinds.BYTE) for code in range(256)]
    texts = [("\u2581", kinds.NORMAL), *((chr(code), kinds.NORMAL) for code in range(33, 127))]
    return [(text, int(kind)) for text, kind in (*special, *numbered, *texts)]


def weights(tokens: list[str]) -> dict[str, NDArray[np.float32]]:
    """Tensors by their names, rows are outputs."""
    chance = np.random.default_rng(SEED)

    def noise(rows: int, columns: int, spread: float) -> NDArray[np.float32]:
        return chance.normal(0.0, spread, (rows, columns)).astype(np.float32)

    embedding = noise(len(tokens), WIDTH, 1.0)
    embedding[:, 0] = STEADY
    output = noise(len(tokens), WIDTH, 0.3)
    wanted = {*string.ascii_lowercase, "\u2581"}
    output[:, 0] = [0.0 if token in wanted else ENDING if token == END else UNWANTED for token in tokens]
    found = {"token_embd.weight": embedding, "output.weight": output, "output_norm.weight": ones()}
    for layer in range(LAYERS):
        into = {name: noise(WIDTH, WIDTH, 0.1) for name in ("attn_q", "attn_k", "attn_v")}
        into |= {name: noise(INNER, WIDTH, 0.1) for name in ("ffn_gate", "ffn_up")}
        back = {"attn_output": noise(WIDTH, WIDTH, 0.1), "ffn_down": noise(WIDTH, INNER, 0.1)}
        for matrix in back.values():
            matrix[0, :] = 0.0
        found |= {f"blk.{layer}.{name}.weight": matrix for name, matrix in (into | back).items()}
        found |= {f"blk.{layer}.{name}.weight": ones() for name in ("attn_norm", "ffn_norm")}
    return found


def ones() -> NDArray[np.float32]:
    """The weights of a norm."""
    return np.ones(WIDTH, np.float32)


def write(path: str) -> None:
    """The whole file."""
    words = vocabulary()
    tokens = [text for text, _ in words]
    file = gguf.GGUFWriter(path, "llama")
    file.add_name(NAME)
    file.add_context_length(WINDOW)
    file.add_embedding_length(WIDTH)
    file.add_feed_forward_length(INNER)
    file.add_block_count(LAYERS)
    file.add_head_count(HEADS)
    file.add_head_count_kv(HEADS)
    file.add_rope_dimension_count(WIDTH // HEADS)
    file.add_layer_norm_rms_eps(1e-5)
    file.add_vocab_size(len(tokens))
    file.add_file_type(gguf.LlamaFileType.ALL_F32)
    file.add_tokenizer_model("llama")
    file.add_tokenizer_pre("default")
    file.add_token_list(tokens)
    file.add_token_scores([0.0] * len(tokens))
    file.add_token_types([kind for _, kind in words])
    file.add_unk_token_id(tokens.index("<unk>"))
    file.add_bos_token_id(tokens.index("<s>"))
    file.add_eos_token_id(tokens.index(END))
    file.add_add_bos_token(value=True)
    file.add_add_space_prefix(value=False)
    file.add_chat_template(TEMPLATE)
    for name, matrix in weights(tokens).items():
        file.add_tensor(name, matrix)
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()


if __name__ == "__main__":
    write(sys.argv[1])
