"""The least that a chat can start with: prompt_toolkit, requests and rich, and a prompt."""

import contextlib

import prompt_toolkit
import requests  # noqa: F401
import rich  # noqa: F401

with contextlib.suppress(EOFError):  # Ctrl+D
    prompt_toolkit.prompt("› ")
