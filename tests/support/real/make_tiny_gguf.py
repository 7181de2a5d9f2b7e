"""Make a tiny, deterministic GGUF of the llama architecture that llama.cpp loads and runs.

    make_tiny_gguf.py tiny.gguf [--begin text|think|tool] [--seed 0] [--context 2048]

Nothing is downloaded and nothing is trained. The weights of the layers are random; the output
head is solved so that tokens follow a small hand-written Markov chain. The text reads like
English with Markdown, accents, CJK and emoji, and ends by itself after some sentences. Every
character outside ASCII leaves the model as 2 to 4 *byte tokens*, as in a real SentencePiece
model with byte fallback, so a server has to join UTF-8 over tokens.

--begin think: an answer starts with <think>...</think>. --begin tool: it is a Hermes/Qwen
<tool_call> of weather({"city": "Δelphi", "unit": "C" or "F"}), and text once it has a result: the
prompt of that answer ends otherwise. The template knows both tags.

The same arguments give the same bytes. Needs gguf, which brings numpy; install.py runs this.
"""

# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import argparse
import string
from itertools import pairwise
from pathlib import Path

import numpy as np
from gguf import GGUFWriter, TokenType

LAYERS, DIM, HEADS, KV_HEADS, FFN = 2, 192, 6, 2, 128
NOISE = 0.02  # how much the layers disturb the chain

# ChatML with <think> and tool calls: llama.cpp learns both tags from what this renders. Jinja
# drops the line breaks around the tags with a minus.
TEMPLATE = r"""
{%- if tools %}{{ '<|im_start|>system\n<tools>' }}
{%- for t in tools %}{{ '\n' + (t | tojson) }}{% endfor -%}
{{ '\n</tools><|im_end|>\n' }}{% endif %}
{%- for m in messages %}
{%- if m.role == 'tool' -%}
{{ '<|im_start|>user\n<tool_response>\n' + m.content + '\n</tool_response><|im_end|>\n' }}
{%- else %}{{ '<|im_start|>' + m.role + '\n' }}
{%- if m.reasoning_content -%}
{{ '<think>\n' + m.reasoning_content + '\n</think>\n\n' }}{% endif %}
{%- if m.content %}{{ m.content }}{% endif %}
{%- for c in m.tool_calls or [] %}
{{- '\n<tool_call>\n{"name": "' + c.function.name }}
{{- '", "arguments": ' + (c.function.arguments | tojson) + '}\n</tool_call>' }}{% endfor %}
{{- '<|im_end|>\n' }}{% endif %}{% endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}
{%- if messages[-1].role == 'tool' %}{{ ':' }}{% endif %}{% endif %}"""

# The chain: who may follow whom. "~" stands for SentencePiece's leading space.
END = "<|im_end|>"
START = ["The", "A", "One", "Every", "No"]
DET, AND = ["~the", "~a", "~one"], ["~and", "~but"]
ADJ = ["~quick", "~quiet", "~small", "~slow", "~**bold**", "~strange"]
NOUN = ["~server", "~client", "~token", "~stream", "~socket", "~model", "~answer", "~buffer"]
NOUN += ["~`code`"]
VERB = ["~sends", "~reads", "~holds", "~breaks", "~streams", "~forgets", "~counts"]
THOUGHT = ["~hmm", "~so", "~maybe", "~then", "~wait"]
# Their continuation bytes never collide, so a chain over bytes can only spell these characters.
GLYPHS = {"é": "~caf", "€": "~5", "你": "~say", "🌍": "~hello"}
# A tool call, spelled by unique pieces; the city's Δ, of two bytes, goes between the two parts.
TOOL_HEAD = ["<tool_call>", '\n{"name":', '~"wea', 'ther",', '~"arguments":', '~{"city":', '~"']
TOOL_REST = ['elphi",', '~"unit":~"']
TOOL_END = '"}}\n</tool_call>'

PIECES = [*START, *THOUGHT, *DET, *ADJ, *NOUN, *VERB, *GLYPHS.values(), *".,!:", *AND]
PIECES += ["-", "#", "~###", "~-", *"*`'\"{}[]()/\\<>=+?;~_"]
PIECES += [*string.ascii_lowercase, *string.ascii_uppercase, *string.digits]
PIECES += [*TOOL_HEAD, *TOOL_REST, TOOL_END, "<think>", "</think>"]
PIECES += ["system", "user", "assistant", "tool"]


def stored(name: str) -> str:
    """The spelling of a piece in the file."""
    return name.replace("~", "\u2581")


def byte_pieces(text: str) -> list[str]:
    """The names of the byte tokens that spell `text`."""
    return [f"<0x{byte:02X}>" for byte in text.encode()]


def vocabulary() -> tuple[list[str], list[float], list[TokenType]]:
    """Special tokens, 256 byte tokens, then ordinary pieces (scores order the merges)."""
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces += ["<|im_start|>", END]
    kinds = [TokenType.UNKNOWN, TokenType.CONTROL, TokenType.CONTROL, *[TokenType.BYTE] * 256]
    kinds += [TokenType.CONTROL, TokenType.CONTROL]
    scores = [0.0] * len(pieces)
    for rank, piece in enumerate(dict.fromkeys(PIECES)):
        pieces.append(stored(piece))
        kinds.append(TokenType.NORMAL)
        scores.append(-1.0 - rank)
    return pieces, scores, kinds


def chain(begin: str) -> dict[str, list[tuple[str, float]]]:
    """For each piece the pieces that may follow it, with their weights."""
    [newline] = byte_pieces("\n")
    edges: dict[str, list[tuple[str, float]]] = {}

    def link(sources: list[str], *targets: tuple[list[str], float]) -> None:
        for source in sources:
            for names, weight in targets:
                edges.setdefault(source, []).extend((name, weight / len(names)) for name in names)

    first = {"text": START, "think": ["<think>"], "tool": TOOL_HEAD[:1]}[begin]
    link([newline], (first, 1.0))  # the prompt ends in a newline
    link(START + DET, (ADJ, 0.4), (NOUN, 0.6))
    link(ADJ, (NOUN, 1.0))
    link(NOUN, (VERB, 0.72), (["."], 0.20), ([","], 0.08))
    link(VERB, (DET, 0.70), (list(GLYPHS.values()), 0.30))
    link([","], (AND, 1.0))
    link(AND, (DET, 1.0))
    link(["!", ":"], (START, 1.0))  # a prompt behind a result ends in a colon
    for glyph, lead in GLYPHS.items():
        spelled = [lead, *byte_pieces(glyph)]
        for before, after in pairwise(spelled):
            link([before], ([after], 1.0))
        link(spelled[-1:], (["."], 0.5), ([","], 0.3), (["!"], 0.2))
    again = [newline] if begin == "text" else START
    link(["."], (again, 0.3), (["~"], 0.6), ([END], 0.1))
    link(["~"], (START, 1.0))
    if begin == "think":
        link(["<think>"], (THOUGHT, 1.0))
        link(THOUGHT, (THOUGHT, 0.9), (["</think>"], 0.1))
        link(["</think>"], (START, 1.0))
    elif begin == "tool":
        spelled = [*TOOL_HEAD, *byte_pieces("Δ"), *TOOL_REST]
        for before, after in pairwise(spelled):
            link([before], ([after], 1.0))
        link(spelled[-1:], (["C", "F"], 1.0))
        link(["C", "F"], ([TOOL_END], 1.0))
        link([TOOL_END], ([END], 1.0))
    return edges


def output_head(embedding: np.ndarray, ids: dict[str, int], begin: str) -> np.ndarray:
    """The W for which rms_norm(embedding[s]) @ W.T are the wanted logits of every state s."""
    edges = chain(begin)
    states = [ids[stored(state)] for state in edges]
    assert len(states) <= DIM, "the chain has more states than the model can tell apart"
    wanted = np.full((len(states), len(ids)), -6.0)
    for row, targets in enumerate(edges.values()):
        for name, weight in targets:
            wanted[row, ids[stored(name)]] = 9.0 + np.log(weight)
    hidden = embedding[states]
    hidden = hidden / np.sqrt((hidden**2).mean(axis=1, keepdims=True))
    return (np.linalg.pinv(hidden) @ wanted).T


def build(path: Path, begin: str, seed: int, context: int) -> None:
    """Write the model."""
    rng = np.random.default_rng(seed)
    pieces, scores, kinds = vocabulary()
    ids = {piece: number for number, piece in enumerate(pieces)}
    kv_dim = DIM // HEADS * KV_HEADS

    def matrix(rows: int, cols: int, scale: float = 1.0) -> np.ndarray:
        return (rng.standard_normal((rows, cols)) * scale / np.sqrt(cols)).astype(np.float32)

    embedding = rng.standard_normal((len(pieces), DIM))
    tensors = {"token_embd.weight": embedding.astype(np.float16)}
    for layer in range(LAYERS):
        for name, weights in {
            "attn_norm": np.ones(DIM, np.float32),
            "attn_q": matrix(DIM, DIM).astype(np.float16),
            "attn_k": matrix(kv_dim, DIM).astype(np.float16),
            "attn_v": matrix(kv_dim, DIM).astype(np.float16),
            "attn_output": matrix(DIM, DIM, NOISE).astype(np.float16),
            "ffn_norm": np.ones(DIM, np.float32),
            "ffn_gate": matrix(FFN, DIM).astype(np.float16),
            "ffn_up": matrix(FFN, DIM).astype(np.float16),
            "ffn_down": matrix(DIM, FFN, NOISE).astype(np.float16),
        }.items():
            tensors[f"blk.{layer}.{name}.weight"] = weights
    tensors["output_norm.weight"] = np.ones(DIM, np.float32)
    tensors["output.weight"] = output_head(embedding, ids, begin).astype(np.float16)

    writer = GGUFWriter(str(path), "llama")
    writer.add_name("tiny-chain")
    writer.add_context_length(context)
    writer.add_embedding_length(DIM)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_dimension_count(DIM // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(pieces))
    writer.add_file_type(1)  # mostly F16
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(pieces)
    writer.add_token_scores(scores)
    writer.add_token_types(kinds)
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(ids[END])
    writer.add_eot_token_id(ids[END])
    writer.add_add_bos_token(True)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(TEMPLATE)
    for name, weights in tensors.items():
        writer.add_tensor(name, weights)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--begin", choices=("text", "think", "tool"), default="text")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--context", type=int, default=2048, help="tokens; 65536 is fine too")
    given = parser.parse_args()
    build(given.out, given.begin, given.seed, given.context)


if __name__ == "__main__":
    main()
