"""Completion in bash, zsh and fish: the script of each, and where it is installed.

1. A script asks `chatstream` itself, with the line up to the cursor (see `cli/completing.py`). The
   answer is text and is never evaluated: a server chooses the names of its models, and questions
   may come from anybody.
2. Exit status 0 means that the answer is everything; with any other status the shell completes file
   names.
3. `install` adds to the shell's own files and rewrites none of them. Installing twice adds once.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from chatstream.errors import ConfigError, UsageError
from chatstream.nearest import did_you_mean

_BASH = r"""
# bash completion for chatstream

_chatstream() {
    local line=${COMP_LINE:0:COMP_POINT} answer item
    local word=${line##*[[:space:]]}
    # Bash completes what follows the last of these: of llama3.2:1b only the 1b.
    local taken=${word%"${word##*[$COMP_WORDBREAKS]}"}
    taken=${taken%@}  # which it keeps with what follows
    COMPREPLY=()
    answer=$(_CHATSTREAM_COMPLETE=complete_bash env COMP_WORDS="$line" \
        "${1/#\~/$HOME}" 2>/dev/null) || return 0
    compopt +o default +o bashdefault 2>/dev/null
    while IFS= read -r item; do
        item=${item#"$taken"}
        [[ $word == [\"\']* ]] || printf -v item %q "$item"
        [[ -z $item || $item == "''" ]] || COMPREPLY+=("$item")
    done <<< "$answer"
}

complete -o nosort -o bashdefault -o default -F _chatstream chatstream 2>/dev/null ||
    complete -o bashdefault -o default -F _chatstream chatstream
"""

_ZSH = r"""
#compdef chatstream

_chatstream() {
    local answer line tab=$'\t'
    local -a items
    answer=$(_CHATSTREAM_COMPLETE=described COMP_WORDS="${(j: :)words[1,CURRENT-1]} $PREFIX" \
        ${~words[1]} 2>/dev/null) || { _files; return }
    for line in ${(f)answer}; do
        items+=("${${line%%$tab*}//:/\\:}:${line#*$tab}")
    done
    (( $#items )) && _describe -V chatstream items
}

if [[ $funcstack[1] == _chatstream ]]; then
    _chatstream "$@"
else
    compdef _chatstream chatstream
fi
"""

_FISH = r"""
# fish completion for chatstream

function __chatstream_complete
    set -l line (commandline -cp | string collect)
    set -l program (commandline -opc)[1]
    set -l items (_CHATSTREAM_COMPLETE=described COMP_WORDS=$line $program 2>/dev/null)
    if test $status -eq 0
        printf '%s\n' $items
    else
        __fish_complete_path (commandline -ct)
    end
end

complete --command chatstream --no-files --keep-order --arguments '(__chatstream_complete)'
"""

SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def script(shell: str) -> str:
    """The completion script of a shell."""
    return SCRIPTS[shell].strip()


def checked(name: str) -> str:
    """The name of a shell that has a script. Raises `UsageError`."""
    if name in SCRIPTS:
        return name
    what = (
        f"no completion is available for {name!r}"
        if name
        else "the current shell is not recognised"
    )
    hint = f"name one: {', '.join(SCRIPTS)}"
    raise UsageError(what, hint=did_you_mean(name, SCRIPTS, hint))


def install(shell: str, environ: Mapping[str, str] = os.environ) -> str:
    """Put the script where the shell finds it; returns a note for the user.

    Raises `ConfigError`.
    """
    try:
        home = Path.home()
    except RuntimeError as error:
        raise ConfigError(
            "there is no home folder to install into", hint=_by_hand(shell)
        ) from error
    if shell == "bash":
        file, rc = home / ".bash_completions" / "chatstream.sh", home / ".bashrc"
        line = f"source '{file}'"
    elif shell == "zsh":
        file = home / ".zfunc" / "_chatstream"
        rc = Path(environ.get("ZDOTDIR") or home) / ".zshrc"
        line = "fpath+=~/.zfunc; autoload -Uz compinit; compinit"
    else:
        config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
        file, rc, line = config / "fish" / "completions" / "chatstream.fish", None, ""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(script(shell) + "\n", encoding="utf-8")
        if rc is not None:
            _add(rc, line)
    except OSError as error:
        where = error.filename or file
        raise ConfigError(
            f"{where} cannot be written: {error.strerror}", hint=_by_hand(shell)
        ) from error
    return f"Completion for {shell} is installed in {file}. It works in every new {shell}."


def _add(rc: Path, line: str) -> None:
    """Add the line at the end, unless it is there."""
    old = rc.read_bytes() if rc.exists() else b""
    if line.encode() not in old.splitlines():
        begin = "" if not old or old.endswith(b"\n") else "\n"
        with rc.open("a", encoding="utf-8") as file:
            file.write(f"{begin}{line}\n")


def _by_hand(shell: str) -> str:
    return f"`chatstream --show-completion {shell}` prints the script"
