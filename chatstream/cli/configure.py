"""`chatstream config`: where the settings are, what they are, and changing one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from chatstream.cli import exits
from chatstream.cli.config import (
    ADDRESSES,
    FIELDS,
    SECRETS,
    check_given,
    config_path,
    load_file,
    parse,
    resolve,
)
from chatstream.cli.options import Profile
from chatstream.errors import ChatstreamError, ConfigError
from chatstream.providers import PROVIDERS
from chatstream.redact import MASK, mask_address, mask_headers, masked

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Show or change the settings.",
)


@app.command()
def path() -> int:
    """Print the path of the configuration file, even if there is none yet."""
    try:
        typer.echo(str(config_path()))
    except ChatstreamError as error:
        return exits.report(error, ())
    return 0


@app.command()
def show(profile: Profile = None) -> int:
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
    return 0


@app.command(name="set")
def set_value(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A setting that `config show` lists.")
    ],
    value: Annotated[str, typer.Argument(metavar="VALUE", help="Its new value; '' removes it.")],
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile", metavar="NAME", help="Set it in this profile, which is added if missing."
        ),
    ] = None,
) -> int:
    """Change one setting in the configuration file. Comments and layout are kept."""
    try:
        check_given("--profile", profile)
        if value or name not in FIELDS:
            parse(name, value)
        _write(config_path(), name, value, profile)
    except ChatstreamError as error:
        return exits.report(error, ())
    return 0


def _write(path: Path, name: str, value: str, profile: str | None) -> None:
    import tomlkit

    load_file(path)  # a broken file is told of and not overwritten
    document = (
        tomlkit.parse(path.read_text(encoding="utf-8")) if path.exists() else tomlkit.TOMLDocument()
    )
    table = document
    if profile is not None:
        profiles = document.setdefault("profiles", tomlkit.table(is_super_table=True))
        table = profiles.setdefault(profile, tomlkit.table())
    if value:
        table[name] = parse(name, value)
    else:
        table.pop(name, None)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        fresh.touch(mode=0o600)  # the file may hold a key
        fresh.write_text(tomlkit.dumps(document), encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
