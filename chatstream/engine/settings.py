"""Every setting, declared once: its type, its default, what it means and how it is given.

1. A field of `Settings`, or of `ToolSettings`, is the only place to add or change a setting. The
   options of the commands, their help, the variables and the completions are made from it.
2. `make settings` writes what has to be in a file: the README's table, and in the Python API
   `Options` and the docstring of `stream`. A test compares them with the fields.
3. `profile` is given like a setting but selects others. It is in `DECLARED`, not in `FIELDS`.
"""

# Annotations are not postponed: msgspec would have to evaluate each of them at every start.

from functools import partial
from typing import Annotated, Any, Literal

import msgspec

from chatstream.engine.declaration import LARGEST_NUMBER, About, Option, Seconds, Setting
from chatstream.engine.tool_settings import ToolSettings
from chatstream.recovery.attempts import FIRST_PAUSE_SECONDS

Days = Annotated[float, msgspec.Meta(ge=0, le=LARGEST_NUMBER)]
"""How long something is kept; 0 means for ever."""

When = Literal["auto", "always", "never"]

OnDrop = Literal["continue", "restart", "stop", "fallback"]

# The options of each group.
_server = partial(Option, "Model and server")
_request = partial(Option, "Request")
_failures = partial(Option, "Failures and delays")
_output = partial(Option, "Output", in_python=False)


class Settings(ToolSettings, msgspec.Struct, frozen=True, kw_only=True):
    """Every setting, with its default. In the file the names are the same."""

    provider: Annotated[
        str | None,
        _server("The service, such as ollama or openai.", value="NAME", names=("--provider", "-p")),
    ] = None
    model: Annotated[
        str | None, _server("The model to ask.", value="MODEL", names=("--model", "-m"))
    ] = None
    aliases: Annotated[
        dict[str, Annotated[str, msgspec.Meta(min_length=1)]],
        About(
            "Model and server",
            "Your own names for models: MODEL, MODEL@PLACE or @PLACE.",
            in_python=False,
        ),
    ] = {}
    base_url: Annotated[str | None, _server("The address of the server.", value="URL")] = None
    api_key: Annotated[str | None, About("Model and server", "The API key.")] = None
    key_variable: Annotated[
        str | None,
        About("Model and server", "The environment variable that contains the API key."),
    ] = None
    key_command: Annotated[
        str | None, About("Model and server", "A shell command that prints the API key.")
    ] = None
    system: Annotated[
        str | None,
        Option("Question", "The system prompt.", value="TEXT", names=("--system", "-s")),
    ] = None
    context_files: Annotated[
        bool,
        Option(
            "Question",
            "Add AGENTS.md, of this folder and those above it, to the system prompt.",
            rare=True,
        ),
    ] = False
    schema: Annotated[
        str | None,
        Option(
            "Question",
            "Ask for JSON that fits a schema: a file, or fields such as 'name, age int'.",
            value="FILE|FIELDS",
            rare=True,
        ),
    ] = None
    schema_multi: Annotated[
        str | None,
        Option(
            "Question",
            "Ask for a list of objects that fit a schema.",
            value="FILE|FIELDS",
            rare=True,
        ),
    ] = None
    labels: Annotated[
        dict[str, str],
        Option(
            "Question",
            "Label the runs for the history: project and agent.",
            value="NAME=VALUE",
            names=("--label",),
            option_help="Label the run for the history: project=NAME or agent=NAME. Repeatable.",
            rare=True,
        ),
    ] = {}
    trim: Annotated[
        bool,
        Option(
            "Question",
            "Leave out the oldest turns of a conversation that is too long for the model.",
            rare=True,
        ),
    ] = False
    temperature: Annotated[
        Annotated[float, msgspec.Meta(ge=0)] | None,
        _request(
            "Sampling temperature; higher is more varied.",
            value="T",
            names=("--temperature", "-t"),
        ),
    ] = None
    max_tokens: Annotated[
        Annotated[int, msgspec.Meta(ge=1, le=LARGEST_NUMBER)] | None,
        _request("Limit the answer to N tokens.", value="N"),
    ] = None
    effort: Annotated[
        Literal["none", "low", "medium", "high"] | None,
        _request(
            "How much the model should think before it answers.",
            value="none|low|medium|high",
            rare=True,
        ),
    ] = None
    max_cost: Annotated[
        Annotated[float, msgspec.Meta(ge=0, le=LARGEST_NUMBER)] | None,
        _request(
            "Stop before a request that would raise the conversation's cost above USD dollars.",
            value="USD",
            rare=True,
        ),
    ] = None
    stop_when: Annotated[
        str | None,
        _request(
            "Stop after the first match of a regular expression, or after N tokens.",
            value="REGEX|'N tokens'",
            rare=True,
        ),
    ] = None
    prices: Annotated[
        dict[str, dict[str, Annotated[float, msgspec.Meta(ge=0, le=LARGEST_NUMBER)]]],
        About(
            "Request",
            "What a model costs, in US dollars for a million tokens: input, output and cached.",
            in_python=False,
        ),
    ] = {}
    stream: Annotated[
        bool, _request("Request the answer in pieces, or all at once.", in_python=False, rare=True)
    ] = True
    fallback_on_error: Annotated[
        bool,
        About(
            "Failures and delays",
            "If a stream fails before its first token, ask once more without streaming.",
        ),
    ] = False
    retries: Annotated[
        int,
        msgspec.Meta(ge=0, le=LARGEST_NUMBER),
        _failures("Retry up to N times after failures.", value="N"),
    ] = 3
    retry_delay: Annotated[
        Seconds,
        About(
            "Failures and delays",
            "Seconds before the first retry; doubled for each one after it.",
        ),
    ] = FIRST_PAUSE_SECONDS
    connect_timeout: Annotated[
        Seconds,
        _failures("Give up connecting after S seconds; 0 means never.", value="S", rare=True),
    ] = 10.0
    first_token_timeout: Annotated[
        Seconds | None,
        _failures(
            "Give up if there is no token after S seconds; 0 means never.",
            value="S",
            shown_default="300; 900 if local",
            rare=True,
        ),
    ] = None
    idle_timeout: Annotated[
        Seconds,
        _failures(
            "Give up after S seconds without a new token; 0 means never.", value="S", rare=True
        ),
    ] = 120.0
    timeout: Annotated[
        Seconds,
        _request("Limit the whole answer to S seconds.", value="S", shown_default="none"),
    ] = 0.0
    proxy: Annotated[str | None, About("Model and server", "The address of a proxy.")] = None
    ca_file: Annotated[
        str | None,
        About("Model and server", "A file with the certificate authorities to trust."),
    ] = None
    headers: Annotated[
        dict[str, str],
        _server(
            "Also send these headers. They replace chatstream's own of the same names.",
            value="'NAME: VALUE'",
            names=("--header",),
            option_help="Also send this header. It replaces chatstream's own of that name. "
            "Repeatable.",
            rare=True,
        ),
    ] = {}
    reasoning: Annotated[
        Literal["show", "hide"] | None,
        _output("Show or hide the model's thinking.", value="show|hide"),
    ] = None
    stats: Annotated[
        bool | None,
        _output("Print times and token counts.", shown_default="on a terminal"),
    ] = None
    analyze: Annotated[
        bool,
        Option("Output", "Count words, keywords, repetition and more in the answer.", rare=True),
    ] = False
    filters: Annotated[
        list[str],
        Option(
            "Output",
            "Pass the answer through these filters of other packages, in order.",
            value="NAME",
            names=("--filter",),
            option_help="Pass the answer through this filter of another package. Repeatable.",
            rare=True,
        ),
    ] = []
    renderer: Annotated[
        str | None,
        _output("Show the answer with this renderer of another package.", value="NAME", rare=True),
    ] = None
    options: Annotated[
        dict[str, Any],
        _request(
            "Send these extra options, by the server's names for them; the values are JSON.",
            value="KEY=VALUE",
            names=("-o", "--option"),
            option_help="Send an extra option, such as seed=7. Repeatable.",
        ),
    ] = {}
    on_drop: Annotated[
        OnDrop,
        _failures(
            "What to do if the answer breaks off: continue, restart, stop or fallback.",
            value="ACTION",
        ),
    ] = "continue"
    fallback: Annotated[
        list[str],
        _server(
            "Ask these models, in order, if the first one fails: MODEL, MODEL@PLACE or @PLACE.",
            value="MODEL[@PLACE]",
            option_help="Ask this model if the first one fails. Repeatable.",
        ),
    ] = []
    strategy: Annotated[
        str | None,
        _server(
            "Ask the models of this strategy in the configuration file, in order.",
            value="NAME",
            rare=True,
        ),
    ] = None
    strategies: Annotated[
        dict[str, Annotated[list[str], msgspec.Meta(min_length=1)]],
        About(
            "Model and server",
            "The strategies: for each name, a list of models.",
            in_python=False,
        ),
    ] = {}
    journal: Annotated[
        bool,
        _failures(
            "Keep a record. Without one, an answer is not in the history and cannot be resumed.",
            names=("--no-journal",),
            option_help="Keep no record: the answer is not in the history and cannot be resumed.",
            rare=True,
        ),
    ] = True
    keep_complete: Annotated[
        Days,
        About(
            "History",
            "Days to keep the record of a whole answer; 0 means for ever.",
            in_python=False,
        ),
    ] = 7.0
    keep_incomplete: Annotated[
        Days,
        About(
            "History",
            "Days to keep the record of an answer that broke off; 0 means for ever.",
            in_python=False,
        ),
    ] = 30.0
    buffer: Annotated[
        Literal["none", "fixed", "dynamic", "sliding"],
        _failures(
            "Read ahead of a slow reader: none, fixed, dynamic or sliding. On a screen, "
            "sliding skips text to keep up.",
            value="KIND",
            rare=True,
        ),
    ] = "none"
    buffer_bytes: Annotated[
        int,
        msgspec.Meta(ge=4096, le=LARGEST_NUMBER),
        About("Failures and delays", "The maximum number of bytes to read ahead."),
    ] = 1024 * 1024
    coalesce: Annotated[
        bool,
        _failures("Join small pieces of text that arrive within 0.1 s.", rare=True),
    ] = False
    color: Annotated[
        When,
        _output(
            "Use colours: on a terminal, always or never.", value="auto|always|never", rare=True
        ),
    ] = "auto"
    render: Annotated[
        bool,
        _output(
            "Draw the Markdown even in a pipe or file; for less -R, add --color always.",
            rare=True,
        ),
    ] = False
    theme: Annotated[
        Literal["auto", "dark", "light"],
        _output(
            "Fit the colours to a dark or a light background.", value="auto|dark|light", rare=True
        ),
    ] = "auto"
    code_theme: Annotated[
        str | None, _output("Colour code with this Pygments theme.", value="NAME", rare=True)
    ] = None
    wrap: Annotated[
        Literal["words", "terminal", "none"],
        _output(
            "Wrap at words, or leave that to the terminal; none keeps the model's own lines.",
            value="words|terminal|none",
            rare=True,
        ),
    ] = "words"
    update_interval: Annotated[
        Annotated[float, msgspec.Meta(ge=0, le=60)] | None,
        About(
            "Output",
            "Seconds between two updates of the screen.",
            shown_default="30 updates a second",
            in_python=False,
        ),
    ] = None
    accessible: Annotated[bool, _output("For screen readers: whole sentences, no redraws.")] = False
    vi: Annotated[
        bool, About("Output", "Edit the lines of a chat with the keys of vi.", in_python=False)
    ] = False
    notify: Annotated[
        Literal["none", "bell", "osc9"],
        _output(
            "At the end, ring the bell or show a terminal notification.",
            value="none|bell|osc9",
            rare=True,
        ),
    ] = "none"


_DEFAULTS = Settings()

FIELDS: dict[str, Setting] = {}
for _name, _annotated in {**Settings.__annotations__, **ToolSettings.__annotations__}.items():
    *_limits, _about = _annotated.__metadata__
    _type = _annotated if _limits else _annotated.__origin__
    FIELDS[_name] = Setting(_name, _type, getattr(_DEFAULTS, _name), _about)

PROFILE = Setting(
    "profile",
    str | None,
    None,
    _server("Use this profile of the configuration file.", value="NAME"),
)

DECLARED: dict[str, Setting] = {**FIELDS, PROFILE.name: PROFILE}
"""Everything that can be given as a setting can."""
