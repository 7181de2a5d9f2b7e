"""`chatstream config`: where the settings are, what they are, and changing them."""

# Annotations are not postponed: typer would have to evaluate each of them again at every start.

from typing import Annotated

import typer

from chatstream.cancel import CancelToken
from chatstream.cli.options import takes
from chatstream.engine import configuration
from chatstream.engine.config_file import config_path
from chatstream.terminal import exits

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Show or change the settings.",
)

Setting = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="A setting that `config show` lists, or TABLE.KEY for one entry."
    ),
]
InProfile = Annotated[
    str | None,
    typer.Option("--profile", metavar="NAME", help="Change this profile instead of the top level."),
]


@app.command()
def path() -> int:
    """Print the path of the configuration file, even if it does not exist yet."""
    typer.echo(str(config_path()))
    return 0


@app.command()
@takes("profile")
def show(profile: str | None) -> int:
    """Show every setting, its value and where it comes from. Secrets are masked."""
    for line in configuration.listing(profile, CancelToken()):
        typer.echo(line)
    return 0


@app.command()
@takes("profile")
def get(setting: Setting, profile: str | None) -> int:
    """Print the value of one setting. Secrets are masked.

    The exit status is 1 if the setting has no value.
    """
    value, warnings = configuration.look_up(setting, profile)
    exits.warn(warnings)
    if value is None:
        return 1
    typer.echo(value)
    return 0


@app.command(name="set")
def set_value(
    setting: Setting,
    value: Annotated[
        str, typer.Argument(metavar="VALUE", help="The new value; '' removes the setting.")
    ],
    profile: InProfile = None,
) -> int:
    """Change one setting in the configuration file. Comments and layout are kept."""
    exits.warn(configuration.set_value(setting, value, profile))
    return 0


@app.command()
def unset(setting: Setting, profile: InProfile = None) -> int:
    """Remove one setting from the configuration file, so that its default applies."""
    if not configuration.unset(setting, profile):
        exits.note(f"{setting} is not set in {config_path()}")
    return 0


@app.command()
def edit() -> int:
    """Open the configuration file in your editor, and check it afterwards."""
    from chatstream.terminal.editing import edit as edit_file

    return edit_file(config_path())
