"""Figures about a text that is still arriving, with constant work for each piece. Pure.

`prose` takes the text, `words` the prose, and the other modules the words; `text` combines them. No
figure depends on where the text is cut into pieces.
"""
