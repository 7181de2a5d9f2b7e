"""`chatstream keys`: API keys, stored so that neither the shell nor the settings contain them."""

# Annotations are not postponed: typer would have to evaluate each of them again at every start.

from typing import Annotated

import typer

from chatstream.terminal import keys

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Store, list and remove API keys.",
)

Provider = Annotated[
    str, typer.Argument(metavar="NAME", help="The provider, such as openai or anthropic.")
]


@app.command(name="set")
def set_key(
    provider: Provider,
    key: Annotated[
        list[str] | None, typer.Argument(hidden=True, metavar="", help="Refused.")
    ] = None,
) -> int:
    """Store the API key of a provider. It is asked for without echo, or read from a pipe."""
    return keys.set_key(provider, key or ())


@app.command(name="list")
def list_keys() -> int:
    """List the providers with a stored key. No key is shown."""
    return keys.list_keys()


@app.command()
def remove(provider: Provider) -> int:
    """Remove the stored API key of a provider."""
    return keys.remove_key(provider)
