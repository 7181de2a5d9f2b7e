"""`chatstream config`: where the settings are, what they are, and changing them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from chatstream.cancel import CancelToken
from chatstream.cli.options import takes
from chatstream.engine.config_file import change, config_path, find, read
from chatstream.engine.layers import default_profile
from chatstream.engine.resolve import check_given, parse, resolve, setting_hint
from chatstream.engine.settings import ADDRESSES, FIELDS, SECRETS, TABLES, keys_of
from chatstream.engine.whom import whom
from chatstream.errors import ChatstreamError, ConfigError, UsageError
from chatstream.providers import PROVIDERS
from chatstream.redact import MASK, is_secret_name, mask_address, mask_headers, masked, redact
from chatstream.terminal import exits

USUAL_PROFILE = "profile"
"""What `set`, `unset` and `get` call the profile that is used where none is named."""

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Show or change the settings.",
)


@app.command()
def path() -> int:
    """Print the path of the configuration file, even if it does not exist yet."""
    try:
        typer.echo(str(config_path()))
    except ChatstreamError as error:
        return exits.report(error, ())
    return 0


@app.command()
@takes("profile")
def show(profile: str | None) -> int:
    """Show every setting, its value and where it comes from. Secrets are masked."""
    try:
        resolved = resolve({}, profile=profile)
    except ChatstreamError as error:
        return exits.report(error, ())
    for name in FIELDS:
        value = getattr(resolved.settings, name)
        shown = MASK if name in SECRETS and value else masked(value)
        if name == "headers":
            shown = mask_headers(value)
        if name in ADDRESSES and value:
            shown = mask_address(value)
        text = "-" if shown in (None, {}) else str(shown)
        typer.echo(f"{name:24} {text:24} {resolved.origins.get(name, 'default')}")
    for row in PROVIDERS.values():
        for variable in (row.key_variable, row.url_variable):
            if variable and (value := os.environ.get(variable)):
                shown = MASK if variable == row.key_variable else mask_address(value)
                typer.echo(f"{variable:24} {shown:24} environment")
    try:
        for name, value, why in whom(resolved, CancelToken()):
            typer.echo(f"{name:24} {value} ({redact(why)})")
    except ChatstreamError as error:
        typer.echo(f"{'asked now':24} - ({redact(error.message)})")
    return 0


Name = Annotated[
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
@takes("profile")
def get(name: Name, profile: str | None) -> int:
    """Print the value of one setting. Secrets are masked.

    The exit status is 1 if the setting has no value.
    """
    try:
        _check_name(name)
        value = _value(name, profile)
    except ChatstreamError as error:
        return exits.report(error, ())
    if value is None:
        return 1
    typer.echo(_shown(name, value))
    return 0


@app.command(name="set")
def set_value(
    name: Name,
    value: Annotated[
        str, typer.Argument(metavar="VALUE", help="The new value; '' removes the setting.")
    ],
    profile: InProfile = None,
) -> int:
    """Change one setting in the configuration file. Comments and layout are kept."""
    try:
        check_given("--profile", profile)
        if name in TABLES and value:
            raise UsageError(
                f"{name} is a table and cannot be set as a whole",
                hint=f"set one entry with {name}.KEY, or use `chatstream config edit`",
            )
        _check_name(name, profile)
        found = parse(name, value) if value and name != USUAL_PROFILE else value
        path = config_path()
        if not value:
            _remove(path, _place(name, profile))
        else:
            change(path, lambda document: _put(path, document, _place(name, profile), found))
        if name == USUAL_PROFILE and value:
            _warn_of_missing(path, value)
    except ChatstreamError as error:
        return exits.report(error, ())
    return 0


@app.command()
def unset(name: Name, profile: InProfile = None) -> int:
    """Remove one setting from the configuration file, so that its default applies."""
    try:
        check_given("--profile", profile)
        path = config_path()
        if not _remove(path, _place(name, profile)):
            _check_name(name, profile)
            exits.note(f"{name} is not set in {path}")
    except ChatstreamError as error:
        return exits.report(error, ())
    return 0


@app.command()
def edit() -> int:
    """Open the configuration file in your editor, and check it afterwards."""
    from chatstream.terminal.editing import edit as edit_file

    try:
        return edit_file(config_path())
    except ChatstreamError as error:
        return exits.report(error, ())


def _check_name(name: str, profile: str | None = None) -> None:
    """Raise `ConfigError` for what is no setting, `UsageError` for a profile in a profile."""
    if name == USUAL_PROFILE:
        if profile is not None:
            raise UsageError("a profile cannot name another profile", hint="leave out --profile")
    elif keys_of(name)[0] not in FIELDS:
        raise ConfigError(f"unknown setting {name!r}", hint=setting_hint(name))


def _value(name: str, profile: str | None) -> Any:
    """What holds, None if it has no value."""
    resolved = resolve({}, profile=profile)
    exits.warn(resolved.warnings)
    if name == USUAL_PROFILE:
        file = find()
        return resolved.profile or (default_profile(file) if file else None)
    setting, *entry = keys_of(name)
    value = getattr(resolved.settings, setting)
    return value.get(entry[0]) if entry else value


def _shown(name: str, value: Any) -> str:
    """A value as `config set` takes it."""
    setting, *entry = keys_of(name)
    if setting in SECRETS or (entry and is_secret_name(entry[0])):
        return MASK
    value = mask_address(value) if setting in ADDRESSES else masked(value)
    if isinstance(value, str):
        return value
    if isinstance(value, list) and setting != "options":
        return ",".join(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return msgspec.json.encode(value).decode()


def _place(name: str, profile: str | None) -> tuple[str, ...]:
    return keys_of(name) if profile is None else ("profiles", profile, *keys_of(name))


def _put(path: Path, document: Any, keys: tuple[str, ...], value: Any) -> None:
    import tomlkit
    from tomlkit.items import InlineTable

    table = document
    for key in keys[:-1]:
        if key not in table:
            is_inline = isinstance(table, InlineTable)  # which takes only its like
            fresh = tomlkit.inline_table() if is_inline else tomlkit.table(key == "profiles")
            table[key] = fresh
        table = table[key]
        if not isinstance(table, dict):
            raise ConfigError(
                f"{key} is not a table in {path}", hint="correct it with `chatstream config edit`"
            )
    table[keys[-1]] = value


def _remove(path: Path, keys: tuple[str, ...]) -> bool:
    """Remove a key from the file; whether it was there."""
    removed = False

    def how(document: Any) -> None:
        nonlocal removed
        table = document
        for key in keys[:-1]:
            table = table.get(key)
            if not isinstance(table, dict):
                return
        removed = table.pop(keys[-1], None) is not None

    if read(path) is not None:
        change(path, how)
    return removed


def _warn_of_missing(path: Path, profile: str) -> None:
    file = read(path)
    profiles = file.content.get("profiles") if file else None
    if not isinstance(profiles, dict) or profile not in profiles:
        exits.warn(
            [
                f"profile {profile!r} does not exist in {path} yet; "
                f"`chatstream config set --profile {profile} model NAME` creates it"
            ]
        )
