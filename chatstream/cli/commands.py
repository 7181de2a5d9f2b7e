"""`COMMANDS`: every command, where it is, and what it does. A new command is one row."""

from __future__ import annotations

COMMANDS: dict[str, tuple[str, str]] = {
    "ask": (
        "chatstream.cli.ask:ask",
        "Ask a question and show the answer as it arrives.",
    ),
    "compare": (
        "chatstream.cli.compare:compare",
        "Ask several models the same question and show their answers side by side.",
    ),
    "chat": (
        "chatstream.cli.chat:chat",
        "Hold a conversation. /help lists its commands, and Ctrl+D leaves.",
    ),
    "batch": (
        "chatstream.cli.batch:batch",
        "Answer many prompts from a file, several at a time.",
    ),
    "compose": (
        "chatstream.cli.compose:compose",
        "Write a document section by section, several sections at once.",
    ),
    "resume": (
        "chatstream.cli.resume:resume",
        "Show an answer that broke off, and continue it.",
    ),
    "replay": (
        "chatstream.cli.replay:replay",
        "Replay a run at its original pace, from its record or saved `--json` output.",
    ),
    "undo": (
        "chatstream.cli.undo:undo",
        "Restore the files that write_file and edit_file have written in a run.",
    ),
    "bench": (
        "chatstream.cli.bench:bench",
        "Measure how soon and how steadily a model answers.",
    ),
    "doctor": (
        "chatstream.cli.doctor:doctor",
        "Check this installation, or find out why a server does not stream.",
    ),
    "models": (
        "chatstream.cli.models:app",
        "List the server's models, show one, or have Ollama download one.",
    ),
    "keys": (
        "chatstream.cli.keys:app",
        "Store, list and remove API keys.",
    ),
    "prices": (
        "chatstream.cli.prices:app",
        "Show or update the prices of models.",
    ),
    "tools": (
        "chatstream.cli.tools:app",
        "List the tools that a model may be given, or call one.",
    ),
    "roles": (
        "chatstream.cli.roles:app",
        "List, show and edit roles: system prompts with settings.",
    ),
    "schema": (
        "chatstream.cli.schema:schema",
        "Print the JSON Schema of the events that `--json` prints.",
    ),
    "config": (
        "chatstream.cli.configure:app",
        "Show or change the settings.",
    ),
    "history": (
        "chatstream.cli.history:app",
        "List, show, search, export and delete past questions and answers.",
    ),
    "stats": (
        "chatstream.cli.stats:stats",
        "Summarize past runs: failures, latency, pace, tokens, cost and recoveries.",
    ),
}

HELP_ALL = "--help-all"
"""The option that shows the rare options too."""
