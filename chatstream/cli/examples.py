"""`EXAMPLES`: three lines for the help page of each command, which can be run as they are."""

from __future__ import annotations

EXAMPLES: dict[str, tuple[str, ...]] = {
    "": (
        'chatstream "Why is the sky blue?"',
        'git diff | chatstream ask "Review this change"',
        "chatstream history",
    ),
    "ask": (
        'chatstream ask "Why is the sky blue?"',
        'chatstream ask -f main.py "What does this do?"',
        'git diff | chatstream ask -m gpt-5-mini@openai "Review this"',
    ),
    "chat": (
        "chatstream chat",
        "chatstream chat -c",
        'chatstream chat -m qwen3:4b@ollama -s "Answer briefly." -f main.py',
    ),
    "batch": (
        "chatstream batch prompts.txt --out answers.jsonl -j 8",
        'chatstream batch people.csv --template "Greet {name}." --out out.jsonl',
        "chatstream batch prompts.jsonl | jq .content",
    ),
    "compose": (
        'chatstream compose "How rainbows form"',
        'chatstream compose "A bakery in Bath" --outline page --out page.md',
        'chatstream compose "Version 2" --outline plan.md -f notes.txt > news.md',
    ),
    "resume": (
        "chatstream resume",
        "chatstream resume 20261121-1341",
        "chatstream resume -p openai -m gpt-5-mini",
    ),
    "replay": (
        "chatstream replay 20261121-1341",
        "chatstream replay --speed 4 run.jsonl",
        'chatstream ask --json "hello" | chatstream replay -',
    ),
    "undo": (
        "chatstream undo",
        "chatstream undo 20261121-1341",
        "chatstream undo --json | jq .path",
    ),
    "bench": (
        "chatstream bench -m llama3.2",
        "chatstream bench -m llama3.2 -m qwen3 --html report.html",
        "chatstream bench --fail-if 'ttft.p50>500ms'",
    ),
    "doctor": (
        "chatstream doctor http://localhost:8000",
        "chatstream doctor -p openai -m gpt-5-mini",
        "chatstream doctor --json -p ollama",
    ),
    "prices": (
        "chatstream prices update",
        "chatstream prices list claude",
        "chatstream prices list --json | jq .model",
    ),
    "prices list": (
        "chatstream prices list",
        "chatstream prices list claude",
        "chatstream prices list --json | jq .model",
    ),
    "prices update": (
        "chatstream prices update",
        "chatstream prices update --json",
        "chatstream prices update --base-url https://openrouter.ai/api/v1",
    ),
    "models": (
        "chatstream models",
        "chatstream models --base-url http://localhost:8000/v1",
        "chatstream models pull qwen3:4b",
    ),
    "models show": (
        "chatstream models show qwen3:4b",
        "chatstream models show my-model@http://localhost:8000",
        "chatstream models show qwen3:4b --json | jq .context_length",
    ),
    "models pull": (
        "chatstream models pull qwen3:4b",
        "chatstream models pull qwen3:4b@ollama",
        "chatstream models pull llama3.2 --base-url http://localhost:11434",
    ),
    "keys": (
        "chatstream keys set openai",
        "pass show openai | chatstream keys set openai",
        "chatstream keys list",
    ),
    "keys set": (
        "chatstream keys set openai",
        "pass show openai | chatstream keys set openai",
        "cat key.txt | chatstream keys set anthropic",
    ),
    "keys list": (
        "chatstream keys list",
        "chatstream keys list | grep openai",
        "chatstream config show",
    ),
    "keys remove": (
        "chatstream keys remove openai",
        "chatstream keys remove anthropic",
        "chatstream keys list",
    ),
    "tools": (
        "chatstream tools list",
        "chatstream tools show grep",
        """chatstream tools call calculate '{"expression": "6 * 7"}'""",
    ),
    "tools list": (
        "chatstream tools list",
        "chatstream tools list --tools-file tools.py",
        "chatstream tools list --json | jq -r .name",
    ),
    "tools show": (
        "chatstream tools show read_file",
        "chatstream tools show population --tools-file tools.py",
        "chatstream tools show grep --root src",
    ),
    "tools call": (
        """chatstream tools call calculate '{"expression": "6 * 7"}'""",
        "chatstream tools call list",
        """chatstream tools call grep '{"pattern": "TODO"}' --root src""",
    ),
    "roles": (
        "chatstream roles list",
        "chatstream roles edit translate",
        "chatstream ask --role translate --var language=French hello",
    ),
    "roles list": (
        "chatstream roles list",
        "chatstream roles list --json | jq -r .name",
        "chatstream roles list | cut -f 1",
    ),
    "roles show": (
        "chatstream roles show translate",
        "chatstream roles show translate > translate.md",
        "chatstream roles show translate | less",
    ),
    "roles edit": (
        "chatstream roles edit translate",
        "EDITOR=nano chatstream roles edit translate",
        "VISUAL='code --wait' chatstream roles edit translate",
    ),
    "roles path": (
        "chatstream roles path",
        "chatstream roles path translate",
        'ls "$(chatstream roles path)"',
    ),
    "schema": (
        "chatstream schema",
        "chatstream schema > events.json",
        "chatstream schema | jq .title",
    ),
    "config": (
        "chatstream config show",
        "chatstream config set model llama3.2",
        "chatstream config path",
    ),
    "config get": (
        "chatstream config get model",
        "chatstream config get model --profile work",
        "chatstream config get options.seed",
    ),
    "config unset": (
        "chatstream config unset model",
        "chatstream config unset idle_timeout --profile work",
        "chatstream config unset options.seed",
    ),
    "config edit": (
        "chatstream config edit",
        "EDITOR=nano chatstream config edit",
        "CHATSTREAM_CONFIG=other.toml chatstream config edit",
    ),
    "config path": (
        "chatstream config path",
        'cat "$(chatstream config path)"',
        "CHATSTREAM_CONFIG=other.toml chatstream config path",
    ),
    "config show": (
        "chatstream config show",
        "chatstream config show --profile work",
        "CHATSTREAM_MODEL=qwen3 chatstream config show",
    ),
    "config set": (
        "chatstream config set model llama3.2",
        "chatstream config set --profile work provider openai",
        "chatstream config set idle_timeout 60",
    ),
    "history": (
        "chatstream history",
        "chatstream history show",
        'chatstream history search "black holes"',
    ),
    "history list": (
        "chatstream history list",
        "chatstream history list -n 100",
        "chatstream history list --json | jq -r .id",
    ),
    "history show": (
        "chatstream history show",
        "chatstream history show 20261121-1341",
        "chatstream history show --text > answer.md",
    ),
    "history tree": (
        "chatstream history tree",
        "chatstream history tree 20261121-1341",
        "chatstream history tree --json | jq -r .head",
    ),
    "history search": (
        "chatstream history search gravity",
        'chatstream history search "black holes"',
        "chatstream history search 'grav*' -n 5",
    ),
    "history export": (
        "chatstream history export > notes.md",
        "chatstream history export 20261121-1341",
        "chatstream history export --format json > all.jsonl",
    ),
    "history rm": (
        "chatstream history rm 20261121-1341",
        "chatstream history rm 20261121-1341 20261122-0915",
        "chatstream history rm 20261121-134102-3f9a",
    ),
    "history prune": (
        "chatstream history prune",
        "chatstream history prune --older-than 365",
        "chatstream config set keep_complete 14",
    ),
}
