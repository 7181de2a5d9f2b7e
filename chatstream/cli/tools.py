"""`chatstream tools`: what a model may be given, and a call without a model."""

# Annotations are not postponed: typer would have to evaluate each of them again at every start.

from typing import Annotated, Any

import typer

from chatstream.cli.options import ALL, JsonLines, takes
from chatstream.engine.settings import DECLARED
from chatstream.terminal import toolbox

_OF_A_LOOP = {"max_rounds", "max_calls", "token_budget"}
_OPTIONS = tuple(
    name for name in ALL if DECLARED[name].about.group == "Tools" and name not in _OF_A_LOOP
)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="List the tools that a model may be given, or call one.",
)

Tool = Annotated[str, typer.Argument(metavar="NAME", help="The name of a tool.")]


@app.command(name="list")
@takes(*_OPTIONS, "profile")
def list_tools(
    as_json: JsonLines = False,
    **flags: Any,
) -> int:
    """List the tools that you name, or all built-in tools if you name none.

    For each one: its name, its effect, where it comes from, whether its calls are allowed or
    asked about, and what it does.
    """
    return toolbox.list_tools(flags, as_json=as_json)


@app.command()
@takes(*_OPTIONS, "profile")
def show(tool: Tool, **flags: Any) -> int:
    """Show a tool as a model knows it: its description, and the schema of its arguments."""
    return toolbox.show_tool(flags, tool)


@app.command()
@takes(*_OPTIONS, "profile")
def call(
    tool: Tool,
    arguments: Annotated[
        str,
        typer.Argument(
            metavar="JSON", show_default="{}", help="The arguments, as the model would write them."
        ),
    ] = "{}",
    **flags: Any,
) -> int:
    """Call a tool, without a model.

    The call is allowed, asked about or denied as it would be in a run. What it writes cannot be
    undone. Standard output has what the tool prints, and then what it returns, as the model would
    be given it. The exit status is that of the tool, if it has one: otherwise 0, or 1 failed or
    denied, 2 wrong arguments, 4 timeout, 6 it needs approval (--on-ask stop), 130 Ctrl+C.
    """
    return toolbox.call_tool(flags, tool, arguments)
