"""Claimed: a role says what is asked and how; it is checked to the line, and grants nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chatstream.engine import roles
from chatstream.engine.resolve import resolve
from chatstream.engine.roles import REFUSED, Role, again, find, names, of_options
from chatstream.engine.settings import FIELDS
from chatstream.errors import ChatstreamError, ConfigError, UsageError
from tests.support.roles import write_role

TRANSLATE = "+++\ntemperature = 0.2\n+++\n\nYou translate into {{ language }}.\n"


def refused(name: str, *pairs: str) -> str:
    """What is wrong: the message and the hint."""
    with pytest.raises(ChatstreamError) as caught:
        resolve({"role": of_options(name, pairs)})
    assert caught.value.exit_status == 2
    assert "\n" not in caught.value.message
    return f"{caught.value.message} | {caught.value.hint}"


def test_the_settings_are_above_the_system_prompt_whose_variables_are_filled() -> None:
    write_role("translate", TRANSLATE)
    role = of_options("translate", ["language=French"])
    assert role is not None
    assert role.settings == {"temperature": 0.2, "system": "You translate into French."}
    assert role.asked("hi") == "hi"
    assert of_options(None, None) is None


@pytest.mark.parametrize(
    ("text", "system"),
    [
        ("Be brief.\n", "Be brief."),
        ("\ufeff+++\r\nretries = 1\r\n+++\r\nOne\r\ntwo.\r\n", "One\ntwo."),
        ("+++\n+++\n---\n+++\nBe brief.", "---\n+++\nBe brief."),
        ("+++\nsystem = 'Be brief.'\n+++\n", "Be brief."),
        ("+++\nretries = 1\n+++\n", None),
        ("", None),
    ],
)
def test_either_part_may_be_missing(text: str, system: str | None) -> None:
    write_role("r", text)
    assert find("r").settings.get("system") == system


def test_only_names_in_braces_are_variables_and_a_backslash_keeps_them() -> None:
    text = r"{{a}} {{ a }} {{größe}} \{{b}} {{#if}} {{a.b}} {{{}}} {{1}}"
    write_role("r", text)
    assert find("r").variables == ("a", "größe")
    role = of_options("r", ["a={{größe}}", "größe=x=y"])
    assert role is not None
    assert role.settings["system"] == "{{größe}} {{größe}} x=y {{b}} {{#if}} {{a.b}} {{{}}} {{1}}"


def test_a_text_with_the_question_in_it_is_the_question_and_no_system_prompt() -> None:
    write_role("r", "+++\nsystem = 'Be {{how}}.'\n+++\nIn {{n}} words: {{input}}\n")
    role = of_options("r", ["how=kind", "n=5"])
    assert role is not None
    assert role.settings == {"system": "Be kind."}
    assert role.asked("What is {{n}}?") == "In 5 words: What is {{n}}?"


def test_a_variable_that_is_missing_or_unknown_is_named() -> None:
    write_role("r", "{{language}} {{tone}}")
    assert refused("r", "tone=x") == "role r needs a value for language | --var language=VALUE"
    assert refused("r").startswith("role r needs a value for language, tone | ")
    assert refused("r", "langauge=x") == (
        "role r has no variable 'langauge' | did you mean 'language'?"
    )
    assert refused("r", "x=x").endswith("| its variables are: language, tone")
    assert refused("r", "tone").startswith("--var 'tone' is not NAME=VALUE")
    assert refused("r", "=x").startswith("--var '=x' is not NAME=VALUE")
    assert refused("r", "input=x") == "--var input: this variable is the question itself | None"
    twice = refused("r", "tone=x", "tone=y")
    assert twice == "--var tone is given twice | leave one of them out"
    with pytest.raises(UsageError, match="--var needs a role"):
        of_options(None, ["a=b"])


def test_a_role_is_weaker_than_options_and_stronger_than_all_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config" / "chatstream" / "config.toml"
    path = write_role("r", "+++\nmodel = 'role'\nretries = 1\nmax_tokens = 1\n+++\nrole\n")
    config.write_text(
        "model = 'top'\n[profiles.p]\nmodel = 'profile'\nretries = 2\ntimeout = 2\nsystem = 'p'\n"
    )
    monkeypatch.setenv("CHATSTREAM_RETRIES", "3")
    monkeypatch.setenv("CHATSTREAM_STATS", "true")
    resolved = resolve({"max_tokens": 9, "role": find("r")}, profile="p")
    settings = resolved.settings
    assert (settings.model, settings.system) == ("role", "role")
    assert (settings.retries, settings.max_tokens) == (1, 9)
    assert (settings.timeout, settings.stats) == (2, True)
    assert resolved.origins["model"] == f"role r in {path}"
    assert resolved.role == find("r")


def test_the_model_of_an_option_is_not_asked_at_the_place_of_the_role() -> None:
    write_role("r", "+++\nprovider = 'ollama'\nmodel = 'a'\n+++\n")
    role = find("r")
    assert resolve({"role": role}).settings.provider == "ollama"
    settings = resolve({"model": "b@openai", "role": role}).settings
    assert (settings.model, settings.provider) == ("b", "openai")
    settings = resolve({"provider": "openai", "role": role}).settings
    assert (settings.model, settings.provider) == (None, "openai")


@pytest.mark.parametrize("setting", sorted(REFUSED))
def test_what_a_role_may_not_contain_is_refused_with_its_line_and_a_reason(setting: str) -> None:
    path = write_role("r", f"+++\n\n{setting} = 'off'\n+++\nhi\n")
    message, hint = refused("r").split(" | ")
    assert message.startswith(f"role r in {path}, line 3: a role cannot set {setting}: ")
    assert hint != "None"


def test_every_setting_of_tools_is_refused_unless_it_only_names_tools_and_limits() -> None:
    tools = {name for name, it in FIELDS.items() if it.about.group == "Tools"}
    limits = {"max_rounds", "max_calls", "token_budget", "tool_timeout"}
    assert tools - REFUSED.keys() == {"tools", "on_ask"} | limits


@pytest.mark.parametrize(
    "line", ["model = 'm@http://evil.test'", "fallback = ['a', 'm@evil.test:8000']"]
)
def test_no_server_is_named_behind_a_model_either(line: str) -> None:
    write_role("r", f"+++\n{line}\n+++\n")
    assert "it cannot name a server" in refused("r")


def test_a_model_at_a_profile_of_the_user_is_fine(tmp_path: Path) -> None:
    write_role("r", "+++\nmodel = 'm@work'\n+++\n")
    config = tmp_path / "config" / "chatstream" / "config.toml"
    config.write_text("[profiles.work]\nprovider = 'openai'\nkey_command = 'pass x'\n")
    settings = resolve({"role": find("r")}).settings
    assert (settings.provider, settings.key_command) == ("openai", "pass x")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("+++\nmodel = 'a'\ntemprature = 1\n+++\n", ", line 3: unknown setting 'temprature' | did"),
        ("+++\nretries = 'x'\n+++\n", ", line 2: retries takes a whole number from 0 to 1,000,"),
        ("+++\n\nmodel =\n+++\n", "is not valid TOML: Invalid value (at line 3, column 8)"),
        ("+++\nmodel = ['a',\n+++\n", "(at line 3, where the settings end)"),
        ("+++\nmodel = 'a'\n", ", line 1: the settings are not closed | put a line with +++ below"),
        ("+++\nsystem = 'a'\n+++\nb", ", line 2: there are two system prompts, here and"),
        ("+++\nsystem = '{{input}}'\n+++\n", ", line 2: the system prompt cannot contain the"),
        (b"+++\nmodel = 'a'\n+++\nsch\xf6n", ", line 4: not valid UTF-8 | save it as UTF-8"),
        (b"\xff\xfea\x00", ", line 1: not valid UTF-8"),
    ],
)
def test_a_mistake_in_the_file_is_told_with_its_line(text: str | bytes, told: str) -> None:
    path = write_role("r", text)
    assert str(path) in refused("r")
    assert told in refused("r")


def test_a_role_that_is_not_there_gets_a_suggestion() -> None:
    assert refused("translat") == (
        "unknown role 'translat' | there are no roles yet; `chatstream roles edit translat` "
        "creates this one"
    )
    write_role("translate", TRANSLATE)
    assert refused("translat") == "unknown role 'translat' | did you mean 'translate'?"
    assert "known roles: translate; " in refused("x")


@pytest.mark.parametrize("name", ["../r", "a/b", "a\\b", ".r", "-r", "r\0", "r\n", "a b", "\x1b["])
def test_a_name_is_no_path(name: str) -> None:
    write_role("r", "hi")
    assert "cannot be the name of a role | a name has letters, digits" in refused(name)


def test_an_empty_name_is_a_mistake() -> None:
    assert refused(" ").startswith("the name of the role is empty")
    assert "UTF-8" in refused("\udce4")


def test_what_is_no_file_in_the_folder_is_refused(tmp_path: Path) -> None:
    good = write_role("good", "hi")
    folder = roles.folder()
    (folder / "dir.md").mkdir()
    assert refused("dir").startswith(f"role dir: {folder / 'dir.md'} is a folder")
    os.mkfifo(folder / "pipe.md")
    assert "is not a file" in refused("pipe")
    secret = tmp_path / "secret"
    secret.write_text("key")
    (folder / "out.md").symlink_to(secret)
    assert f"is a link that leads out of the folder, to {secret}" in refused("out")
    (folder / "null.md").symlink_to("/dev/null")
    assert "leads out of the folder" in refused("null")
    (folder / "round.md").symlink_to("round.md")
    assert "round" in refused("round")
    (folder / "same.md").symlink_to(good)
    assert find("same").settings == {"system": "hi"}
    write_role("long", b"x" * (roles.MAX_BYTES + 1))
    assert "File too large" in refused("long")


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    (tmp_path / "dotfiles" / "r.md").write_text("hi")
    roles.folder().parent.mkdir(parents=True)
    roles.folder().symlink_to(tmp_path / "dotfiles")
    assert names() == ["r"]
    assert find("r").settings == {"system": "hi"}


def test_only_files_with_the_ending_are_roles() -> None:
    assert names() == []
    for name in ("b", "a.b", "c++"):
        write_role(name, "hi")
    (roles.folder() / "notes.txt").touch()
    (roles.folder() / ".hidden.md").touch()
    assert names() == ["a.b", "b", "c++"]
    assert find("a.b").name == "a.b"


def test_a_folder_that_is_a_file_has_no_roles() -> None:
    roles.folder().parent.mkdir(parents=True)
    roles.folder().touch()
    assert names() == []
    assert "there are no roles yet" in refused("r")


def test_the_file_of_a_schema_is_beside_the_role() -> None:
    path = write_role("r", "+++\nschema = 'person.json'\nschema_multi = 'name, age int'\n+++\n")
    settings = find("r").settings
    assert settings["schema"] == str(path.parent / "person.json")
    assert settings["schema_multi"] == "name, age int"


def test_a_journal_keeps_what_only_the_role_has_said() -> None:
    write_role("r", "+++\nretries = 1\nmodel = 'm'\ntemperature = 1\nsystem = 's'\n+++\n")
    kept = find("r").kept()
    assert kept == {"retries": 1}
    role = again("r", kept)
    assert role is not None
    assert resolve({"role": role}).origins == {"retries": "role r"}
    assert again(None, {}) is None


def test_a_journal_grants_nothing_in_the_name_of_a_role() -> None:
    forged = {"allow": ["shell"], "sandbox": "off", "key_command": "x", "new": 1, "retries": 1}
    role = again("r", forged)
    assert role is not None
    assert role.settings == {"retries": 1}


def test_a_conversation_that_has_a_system_prompt_has_the_rest_of_the_role() -> None:
    role = Role("r", {"system": "s", "retries": 1}, "{{input}}!")
    assert role.without_system() == Role("r", {"retries": 1}, "{{input}}!")


def test_a_folder_that_cannot_be_read_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def no(_self: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", no)
    with pytest.raises(ConfigError, match="cannot be read: Permission denied"):
        names()
