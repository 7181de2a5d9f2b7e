"""Claimed: the vocabulary is small, each word of it is used, and a piece is a plain value."""

from __future__ import annotations

from typing import get_args

from chatstream.sinks import pieces
from chatstream.sinks.blocks import Blocks

EVERYTHING = """\
text

# Heading

> quote
***
$$x$$
- item
-

```python
code
```

| a | b |
|---|---|
| 1 | 2 |

-"""


def test_every_kind_of_piece_is_handed_out() -> None:
    blocks = Blocks()
    kinds = {type(piece) for piece in blocks.feed(EVERYTHING) + blocks.open()}
    assert kinds == set(get_args(pieces.Piece))


def test_every_word_of_the_vocabulary_is_a_piece_or_says_where_one_stands() -> None:
    words = {word for word in vars(pieces).values() if isinstance(word, type)}
    named = {word for word in words if word.__module__ == pieces.__name__}
    assert named == {*get_args(pieces.Piece), *get_args(pieces.Container), pieces.Where}


def test_equal_texts_give_equal_pieces() -> None:
    first, second = Blocks().feed(EVERYTHING), Blocks().feed(EVERYTHING)
    assert first == second
    assert hash(tuple(first)) == hash(tuple(second))


def test_two_containers_are_never_the_same() -> None:
    seen = [
        container
        for piece in Blocks().feed("> a\n\n> b\n\n- c\n- d\n\n> e\n\n")
        if isinstance(piece, pieces.Paragraph)
        for container in piece.where.containers
    ]
    assert len(set(seen)) == len(seen) == 5
