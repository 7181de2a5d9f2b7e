"""Figures about a text that is still coming, in constant work for each piece of it. Pure.

Each module takes what another gives: `prose` the text, `words` the prose, and the others the words.
`text` puts them together. Where a text is cut into pieces makes no difference to any figure.
"""
