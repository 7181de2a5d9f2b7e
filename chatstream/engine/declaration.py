"""What a setting is declared with: its meaning, its place on a help page, and its option."""

# Annotations are not postponed: msgspec would have to evaluate each of them at every start.

from typing import Annotated, Any, Literal

import msgspec

Group = Literal[
    "Question",
    "Model and server",
    "Request",
    "Tools",
    "Failures and delays",
    "Output",
    "History",
]
"""The heading of a help page and of the README that a setting is listed under."""


LARGEST_NUMBER = 1_000_000_000
"""As seconds, this is 30 years. System calls accept no number much larger."""

Seconds = Annotated[float, msgspec.Meta(ge=0, le=LARGEST_NUMBER)]
"""A time limit; 0 means no limit."""


class About(msgspec.Struct, frozen=True):
    """What a setting means.

    `help` is one or two whole sentences. `shown_default` replaces a default that would not explain
    itself. `in_python`: `stream` takes the setting as an option.
    """

    group: Group
    help: str
    shown_default: str = ""
    in_python: bool = True


class Option(About, frozen=True, kw_only=True):
    """What a setting means that has an option on the command line.

    `value` is the metavar: what the option takes; a switch has none. `names` are the names of the
    option, first the one that messages use; the default is the name of the setting. `option_help`
    replaces `help` if the option says something else. A rare option is shown only by `--help-all`.
    `commas`: the option takes several values at once, with commas between them.
    """

    value: str = ""
    names: tuple[str, ...] = ()
    option_help: str = ""
    rare: bool = False
    commas: bool = False


class Setting(msgspec.Struct, frozen=True):
    """A setting as its field declares it."""

    name: str
    type: Any
    default: Any
    about: About

    @property
    def flags(self) -> tuple[str, ...]:
        """The names of its option, as typer takes them: a switch is `--on/--off`."""
        if not isinstance(self.about, Option):
            return ()
        long = self.name.replace("_", "-")
        return self.about.names or (f"--{long}" if self.about.value else f"--{long}/--no-{long}",)

    @property
    def option(self) -> str:
        """The long name of its option; empty if it has none."""
        names = (flag.partition("/")[0] for flag in self.flags)
        return next((name for name in names if name.startswith("--")), "")
