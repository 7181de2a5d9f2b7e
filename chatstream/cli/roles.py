"""`chatstream roles`: the roles, and where their files are."""

# Annotations are not postponed: typer would have to evaluate each of them again at every start.

from typing import Annotated

import typer

from chatstream.cli.options import JsonLines
from chatstream.engine.roles import folder, path_of
from chatstream.escape import clean
from chatstream.terminal import roles

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="List, show and edit roles: system prompts with settings.",
)

RoleName = Annotated[str, typer.Argument(metavar="NAME", help="The name of a role.")]


@app.command(name="list")
def list_roles(as_json: JsonLines = False) -> int:
    """List the roles: name, model, variables, and the beginning of the prompt.

    The exit status is 2 if one of them cannot be used.
    """
    return roles.list_roles(as_json=as_json)


@app.command()
def show(role: RoleName) -> int:
    """Show a role: its settings, and the prompt with its variables."""
    return roles.show_role(role)


@app.command()
def edit(role: RoleName) -> int:
    """Open a role in your editor, and check it afterwards. A new one starts as an example."""
    return roles.edit_role(role)


@app.command()
def path(
    role: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="A role, even if it does not exist yet."),
    ] = None,
) -> int:
    """Print the path of a role, or of the folder of all roles."""
    typer.echo(clean(str(folder() if role is None else path_of(role))))
    return 0
