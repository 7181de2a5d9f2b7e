"""Which origin of a setting holds, and what is told when one cannot be used."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from chatstream.engine.config_file import parsed
from chatstream.engine.kinds import TABLES
from chatstream.engine.resolve import meant, mistakes, parse, resolve, without_configuration
from chatstream.engine.settings import FIELDS, Settings
from chatstream.errors import ConfigError, UsageError

Environ = dict[str, str]
NOWHERE = {"XDG_CONFIG_HOME": "/nowhere"}


@pytest.fixture
def file(tmp_path: Path) -> tuple[Path, Environ]:
    path = tmp_path / "config.toml"
    return path, {"CHATSTREAM_CONFIG": str(path)}


def test_defaults_hold_where_nothing_is_said() -> None:
    resolved = resolve({"model": None}, environ=NOWHERE)
    assert resolved.settings == Settings()
    assert resolved.origins == {}


def test_the_strongest_origin_holds(file: tuple[Path, Environ]) -> None:
    path, environ = file
    path.write_text(
        'retries = 1\nmodel = "top"\nsystem = "top"\ntimeout = 5\n'
        '[profiles.work]\nmodel = "profile"\nsystem = "profile"\ntimeout = 6\n'
    )
    environ |= {"CHATSTREAM_MODEL": "variable", "CHATSTREAM_SYSTEM": "variable"}
    resolved = resolve({"model": "flag"}, profile="work", environ=environ)
    settings = resolved.settings
    assert (settings.model, settings.system) == ("flag", "variable")
    assert (settings.timeout, settings.retries) == (6.0, 1)
    assert resolved.origins == {
        "model": "--model",
        "system": "CHATSTREAM_SYSTEM",
        "timeout": f"profile work in {path}",
        "retries": str(path),
    }


def test_the_file_names_the_usual_profile_and_the_environment_another(
    file: tuple[Path, Environ],
) -> None:
    path, environ = file
    path.write_text('profile = "a"\n[profiles.a]\nmodel = "a"\n[profiles.b]\nmodel = "b"\n')
    assert resolve({}, environ=environ).settings.model == "a"
    assert resolve({}, environ=environ | {"CHATSTREAM_PROFILE": "b"}).settings.model == "b"


def test_another_provider_takes_over_no_model_address_or_key(file: tuple[Path, Environ]) -> None:
    path, environ = file
    path.write_text(
        'provider = "ollama"\nmodel = "llama"\nbase_url = "http://x"\napi_key = "k"\nretries = 7\n'
    )
    settings = resolve({"provider": "openai"}, environ=environ).settings
    assert (settings.model, settings.base_url, settings.api_key) == (None, None, None)
    assert settings.retries == 7
    assert resolve({"provider": "ollama"}, environ=environ).settings.model == "llama"


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("http://a", "k"),
        ("http://a/v2", "k"),  # the same server
        ("http://b", None),
        ("https://a", None),
        ("http://a:8080", None),
    ],
)
def test_a_key_that_comes_with_an_address_goes_to_no_other_server(
    file: tuple[Path, Environ], address: str, key: str | None
) -> None:
    path, environ = file
    path.write_text('base_url = "http://a/v1"\napi_key = "k"\nretries = 7\n')
    settings = resolve({"base_url": address}, environ=environ).settings
    assert (settings.base_url, settings.api_key, settings.retries) == (address, key, 7)
    path.write_text('base_url = "http://a/v1"\nkey_variable = "K"\nkey_command = "c"\n')
    settings = resolve({}, environ=environ | {"CHATSTREAM_BASE_URL": address}).settings
    found = ("K", "c") if key else (None, None)
    assert (settings.key_variable, settings.key_command) == found


def test_a_key_that_comes_without_an_address_goes_where_the_settings_lead(
    file: tuple[Path, Environ],
) -> None:
    path, environ = file
    path.write_text('api_key = "k"\n')
    assert resolve({"base_url": "http://b"}, environ=environ).settings.api_key == "k"


def test_options_of_all_origins_are_joined(file: tuple[Path, Environ]) -> None:
    path, environ = file
    path.write_text("[options]\nseed = 1\ntop_k = 2\n")
    settings = resolve({"options": {"seed": 9}}, environ=environ).settings
    assert settings.options == {"seed": 9, "top_k": 2}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("retries = -1", "retries"),
        ('retries = "many"', "retries"),
        ('reasoning = "maybe"', "reasoning"),
        ("modle = 3", "did you mean 'model'"),
        ("model =", "not valid TOML"),
        ('profile = "none"', "unknown profile 'none'"),
        ('profile = "a"\nprofiles = 3', "line 2: profiles takes a table"),
        ('profile = "a"\nprofiles.a = 3', "line 2: profiles.a takes a table"),
        ("[proviles.work]", "did you mean 'profiles'?"),
        ("profile = 3", "line 1: profile takes the name"),
        ("profile = ['a']", "line 1: profile takes the name"),
        ("[profile.work]\nmodel = 'm'", "line 1: profile takes the name"),
        ('profile = ""', "line 1: profile is empty"),
        ("modle = 'm'\nretries = 3", "line 1: unknown setting 'modle'"),
        ("profile = 'a'\n[profiles.a]\nretris = 1", "line 3: unknown setting 'retris'"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_with_its_name(
    file: tuple[Path, Environ], text: str, said: str
) -> None:
    path, environ = file
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        resolve({}, environ=environ)
    assert str(path) in caught.value.message
    assert said in f"{caught.value.message} {caught.value.hint}"


def test_a_value_of_the_environment_that_does_not_fit_is_told_with_its_name() -> None:
    with pytest.raises(ConfigError, match="CHATSTREAM_RETRIES"):
        resolve({}, environ={"CHATSTREAM_RETRIES": "x", **NOWHERE})


def test_a_key_that_does_not_fit_is_not_shown(file: tuple[Path, Environ]) -> None:
    path, environ = file
    path.write_text("api_key = [1234567]")
    with pytest.raises(ConfigError) as caught:
        resolve({}, environ=environ)
    assert "1234567" not in caught.value.message


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("retries", "5", 5),
        ("timeout", " 2.5", 2.5),
        ("stats", "true", True),
        ("stats", "Off", False),
        ("model", "7", "7"),
        ("model", "yes", "yes"),
        ("fallback", "a, b", ["a", "b"]),
        ("options.seed", "7", 7),
        ("options.stop", "END", "END"),
        ("strategies.fast", "a,b", ["a", "b"]),
    ],
)
def test_text_becomes_the_settings_type(name: str, text: str, value: Any) -> None:
    assert parse(name, text) == value


def test_a_list_in_the_environment_has_commas() -> None:
    environ = {"CHATSTREAM_FALLBACK": " a , b@demo,, @openai ", **NOWHERE}
    assert resolve({}, environ=environ).settings.fallback == ["a", "b@demo", "@openai"]
    flags = {"fallback": ["c,d", "e"]}
    assert resolve(flags, environ=environ).settings.fallback == ["c,d", "e"]


def test_a_list_in_the_file_is_a_list_or_has_commas(file: tuple[Path, Environ]) -> None:
    path, environ = file
    for text in ('fallback = ["a", "b"]', 'fallback = "a, b"'):
        path.write_text(text)
        assert resolve({}, environ=environ).settings.fallback == ["a", "b"]


def test_strategies_are_a_table_of_lists(file: tuple[Path, Environ]) -> None:
    path, environ = file
    path.write_text('strategy = "x"\n[strategies]\nx = ["a", "b@demo"]\n')
    settings = resolve({}, environ=environ | {"CHATSTREAM_STRATEGIES": "a"}).settings
    assert (settings.strategy, settings.strategies) == ("x", {"x": ["a", "b@demo"]})


TEXT, SWITCH, NUMBER = "text in quotes", "true or false", "a number from 0 to 1,000,000,000"
LIST, WHOLE = "a list of strings", "a whole number from"
WANTED = {
    **dict.fromkeys(
        ["provider", "model", "base_url", "api_key", "key_variable", "key_command"], TEXT
    ),
    **dict.fromkeys(["system", "proxy", "ca_file", "strategy", "code_theme"], TEXT),
    **dict.fromkeys(["stream", "fallback_on_error", "stats", "journal"], SWITCH),
    **dict.fromkeys(["coalesce", "accessible", "render"], SWITCH),
    **dict.fromkeys(["connect_timeout", "first_token_timeout", "idle_timeout", "timeout"], NUMBER),
    **dict.fromkeys(["retry_delay", "keep_complete", "keep_incomplete"], NUMBER),
    "update_interval": "a number from 0 to 60",
    "temperature": "a number of at least 0",
    "max_tokens": f"{WHOLE} 1 to 1,000,000,000",
    "retries": f"{WHOLE} 0 to 1,000,000,000",
    "buffer_bytes": f"{WHOLE} 4,096 to 1,000,000,000",
    "reasoning": "show or hide",
    "on_drop": "continue, restart, stop or fallback",
    "buffer": "none, fixed, dynamic or sliding",
    "color": "auto, always or never",
    "theme": "auto, dark or light",
    "wrap": "words, terminal or none",
    "notify": "none, bell or osc9",
    "fallback": LIST,
    "options": "a table",
    "strategies": "a table",
    "headers": "a table",
}
# What TOML can say, and how a message names it.
SHAPES = {
    '"perhaps"': "text",
    "5": "5",
    "-1": "-1",
    "0xffffffffffffffffffffffffffffffff": "a number",
    "1.5": "1.5",
    "inf": "inf",
    "nan": "nan",
    "true": "true",
    "1979-05-27": "a date",
    "07:32:00": "a time",
    "[5]": "a list",
    "[]": "an empty list",
    "{ a = 5 }": "a table",
}
FITS = {
    "true or false": {"true"},
    "a number": {"5", "1.5"},
    "a whole number": {"5"},
    "text": {'"perhaps"'},
    LIST: {'"perhaps"', "[]"},
    "a table": {"{ a = 5 }"},
}

DEEPER = {"headers": TEXT, "strategies": LIST}
"""What an entry of these tables takes."""


def fits(name: str, shape: str) -> bool:
    """Whether this is a value of the setting, and no mistake."""
    if name == "buffer_bytes" and shape == "5":
        return False
    if name == "temperature" and shape.startswith("0x"):
        return True  # whatever the server makes of it
    if name in DEEPER and shape == "{ a = 5 }":
        return False
    return any(shape in it for words, it in FITS.items() if WANTED[name].startswith(words))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", sorted(WANTED))
def test_every_setting_names_its_place_what_it_takes_and_what_is_there(
    name: str, shape: str
) -> None:
    found = mistakes(parsed(Path("/c.toml"), f"# mine\n\n{name} = {shape}\n".encode()))
    if fits(name, shape):
        assert found == []
        return
    (error,) = found
    deeper = ".a" if name in DEEPER and shape == "{ a = 5 }" else ""
    said = error.message
    assert said.startswith(
        f"/c.toml, line 3: {name}{deeper} takes {DEEPER[name] if deeper else WANTED[name]}"
    )
    quoted = WANTED[name] not in {TEXT, LIST, "a table"}
    kind = "a number" if SHAPES[shape][0] in "-0123456789" and not quoted else SHAPES[shape]
    if kind == "a list" and WANTED[name] == LIST:
        kind = "a list with a number in it"
    there = '"perhaps"' if quoted and shape == '"perhaps"' else kind
    assert said.endswith(f", not {'a number' if deeper else there}")
    assert not re.search(r"\b(str|int|bool|dict|float|null|Expected)\b|`", said)


def test_a_mistake_of_a_variable_or_a_flag_begins_with_its_name() -> None:
    with pytest.raises(
        ConfigError, match=r"^CHATSTREAM_THEME takes auto, .*, not \"drak\"$"
    ) as caught:
        resolve({}, environ={**NOWHERE, "CHATSTREAM_THEME": "drak"})
    assert caught.value.hint == "did you mean 'dark'?"
    with pytest.raises(UsageError, match=r"^--on-drop takes continue, .*, not"):
        resolve({"on_drop": "x"}, environ=NOWHERE)


@pytest.mark.parametrize("text", ["inf", "nan", "1e999", "1e20", "-1", "null", "5s", "0x10"])
@pytest.mark.parametrize("name", ["timeout", "keep_complete", "max_tokens", "update_interval"])
def test_odd_numbers_are_refused(name: str, text: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} takes a (whole )?number"):
        parse(name, text)


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 10**30, [{"deep": 10**30}]])
def test_options_that_json_does_not_have_are_refused(value: Any) -> None:
    with pytest.raises(UsageError, match=r"^-o seed(\.deep)? takes a"):
        resolve({"options": {"seed": value}}, environ=NOWHERE)


def test_a_place_in_a_profile_is_that_of_the_profile(file: tuple[Path, Environ]) -> None:
    path, environ = file
    path.write_text('retries = 1\n[profiles.work]\nmodel = "m"\n\nretries = "many"\n')
    with pytest.raises(ConfigError) as caught:
        resolve({}, profile="work", environ=environ)
    assert caught.value.message == (
        f"profile work in {path}, line 5: "
        'retries takes a whole number from 0 to 1,000,000,000, not "many"'
    )


def test_all_that_is_wrong_in_a_file_is_found_at_once() -> None:
    text = 'theme = 1\nmodle = "m"\n[profiles.a]\nretries = -1\n[profiles.b]\nmodel = "m"\n'
    found = mistakes(parsed(Path("/c.toml"), text.encode()))
    assert [error.message.partition(":")[0] for error in found] == [
        "/c.toml, line 1",
        "/c.toml, line 2",
        "profile a in /c.toml, line 4",
    ]


def test_a_variable_that_is_not_ours_is_reported_with_what_it_may_stand_for() -> None:
    environ = {
        **NOWHERE,
        "CHATSTREAM_MODLE": "m",
        "CHATSTREAM_HOSTNAME_OF_SOMEONE": "x",
        "CHATSTREAM_OPTIONS": "{}",
        "CHATSTREAM_RETRIES": "2",
        "_CHATSTREAM_COMPLETE": "bash_source",
        "CHATSTREAM": "elsewhere",
    }
    resolved = resolve({}, environ=environ)
    assert resolved.warnings == (
        "CHATSTREAM_HOSTNAME_OF_SOMEONE is ignored: it is not a chatstream variable",
        "CHATSTREAM_MODLE is ignored: it is not a chatstream variable; "
        "did you mean CHATSTREAM_MODEL?",
        "CHATSTREAM_OPTIONS is ignored: a table can only be set in the configuration file",
    )
    every = {f"CHATSTREAM_{name.upper()}": "1" for name in FIELDS if name not in TABLES}
    texts = dict.fromkeys(every, "")
    for variable in ("BASE_URL", "PROVIDER", "MODEL", "STRATEGY", "FALLBACK", "PROXY", "CA_FILE"):
        texts[f"CHATSTREAM_{variable}"] = "x"
    for variable in ("API_KEY", "KEY_VARIABLE", "KEY_COMMAND"):
        texts[f"CHATSTREAM_{variable}"] = "x"
    assert resolve({}, environ={**NOWHERE, **texts}).warnings == ()


def test_new_settings_of_the_environment_have_their_types() -> None:
    environ = {
        "CHATSTREAM_ON_DROP": "restart",
        "CHATSTREAM_JOURNAL": "false",
        "CHATSTREAM_COALESCE": "true",
        "CHATSTREAM_BUFFER": "sliding",
        "CHATSTREAM_BUFFER_BYTES": "8192",
        "CHATSTREAM_KEEP_COMPLETE": "0.5",
        "CHATSTREAM_THEME": "light",
        "CHATSTREAM_CODE_THEME": "monokai",
        "CHATSTREAM_NOTIFY": "bell",
        **NOWHERE,
    }
    settings = resolve({}, environ=environ).settings
    assert (settings.on_drop, settings.journal, settings.coalesce) == ("restart", False, True)
    assert (settings.buffer, settings.buffer_bytes) == ("sliding", 8192)
    assert settings.keep_complete == 0.5
    assert (settings.theme, settings.code_theme, settings.notify) == ("light", "monokai", "bell")


def test_the_profile_that_holds_is_told(file: tuple[Path, Environ]) -> None:
    path, environ = file
    path.write_text("[profiles.work]\nretries = 1\n")
    assert resolve({}, profile="work", environ=environ).profile == "work"
    assert resolve({}, environ=environ | {"CHATSTREAM_PROFILE": "work"}).profile == "work"
    assert resolve({}, environ=environ).profile is None


def test_a_model_that_is_named_now_is_not_replaced_by_a_strategy_of_the_file(
    file: tuple[Path, Environ],
) -> None:
    path, environ = file
    path.write_text('strategy = "x"\n[strategies]\nx = ["a"]\n')
    settings = resolve({"model": "mine"}, environ=environ).settings
    assert (settings.model, settings.strategy) == ("mine", None)
    settings = resolve({"model": "mine", "strategy": "x"}, environ=environ).settings
    assert settings.strategy == "x"


@pytest.mark.parametrize(
    ("value", "holds"), [("1", True), ("yes", True), ("0", False), ("", False)]
)
def test_who_asks_every_program_to_be_accessible_is_heard(value: str, holds: bool) -> None:
    resolved = resolve({}, environ={**NOWHERE, "ACCESSIBLE": value})
    assert resolved.settings.accessible is holds
    assert resolved.origins == ({"accessible": "ACCESSIBLE"} if holds else {})


def test_whatever_speaks_of_chatstream_itself_is_stronger(file: tuple[Path, Environ]) -> None:
    path, environ = file
    environ["ACCESSIBLE"] = "1"
    path.write_text("accessible = false")
    assert not resolve({}, environ=environ).settings.accessible
    variable = environ | {"CHATSTREAM_ACCESSIBLE": "true"}
    assert resolve({}, environ=variable).settings.accessible
    assert not resolve({"accessible": False}, environ=variable).settings.accessible


def test_a_configuration_that_cannot_be_used_is_still_told_to_a_screen_reader() -> None:
    assert without_configuration({"model": "m"}, {}) == Settings()
    assert without_configuration({"accessible": None}, {"ACCESSIBLE": "1"}).accessible
    assert without_configuration({"accessible": True}, {}).accessible
    assert not without_configuration({"accessible": False}, {"ACCESSIBLE": "1"}).accessible


TEXTS = ["provider", "model", "base_url", "api_key", "key_variable", "key_command", "strategy"]
TEXTS += ["proxy", "ca_file", "fallback"]


@pytest.mark.parametrize("empty", ["", " "])
@pytest.mark.parametrize("name", TEXTS)
def test_an_empty_text_is_a_mistake_wherever_it_stands_and_another_layer_does_not_stand_in(
    name: str, empty: str, file: tuple[Path, Environ]
) -> None:
    path, environ = file
    path.write_text('provider = "openai"\nmodel = "m"\nbase_url = "http://elsewhere"\n')
    with pytest.raises(UsageError, match=f"--{name.replace('_', '-')} is empty"):
        resolve({name: empty}, environ=environ)
    variable = f"CHATSTREAM_{name.upper()}"
    with pytest.raises(ConfigError, match=f"{variable} is empty"):
        resolve({}, environ=environ | {variable: empty})
    path.write_text(f'profile = "a"\n[profiles.a]\n{name} = "{empty}"\n')
    with pytest.raises(ConfigError, match=r"profile a in .* is empty"):
        resolve({}, environ=environ)
    path.write_text(f'{name} = "{empty}"\n')
    with pytest.raises(ConfigError, match=f"{path}, line 1: {name} is empty"):
        resolve({}, environ=environ)
    resolve({name: "given"}, environ=environ)  # a stronger one holds


def test_an_empty_text_in_a_list_is_a_mistake(file: tuple[Path, Environ]) -> None:
    path, environ = file
    path.touch()
    with pytest.raises(UsageError, match="--fallback is empty"):
        resolve({"fallback": ["a", ""]}, environ=environ)
    path.write_text('[strategies]\nfast = ["a", ""]\n')
    with pytest.raises(ConfigError, match="is empty"):
        resolve({}, environ=environ)
    path.write_text("fallback = []\n[strategies]\n")
    assert resolve({}, environ=environ).settings.fallback == []


def test_an_empty_profile_or_file_is_a_mistake(file: tuple[Path, Environ]) -> None:
    path, environ = file
    path.write_text('profile = "a"\n[profiles.a]\nmodel = "a"\n')
    with pytest.raises(UsageError, match="--profile is empty"):
        resolve({}, profile="", environ=environ)
    with pytest.raises(ConfigError, match="CHATSTREAM_PROFILE is empty"):
        resolve({}, environ=environ | {"CHATSTREAM_PROFILE": ""})
    with pytest.raises(ConfigError, match="CHATSTREAM_CONFIG is empty"):
        resolve({}, environ={"CHATSTREAM_CONFIG": ""})


def test_what_may_be_empty(file: tuple[Path, Environ]) -> None:
    path, environ = file
    path.write_text('system = "be brief"\n')
    assert resolve({"system": ""}, environ=environ).settings.system == ""
    options = {"stop": ""}
    assert resolve({"options": options}, environ=environ).settings.options == options
    # These decide nothing about where a question goes: an empty variable is one that is not set.
    unset = {"CHATSTREAM_THEME": "", "CHATSTREAM_SYSTEM": "", "CHATSTREAM_STATS": ""}
    assert resolve({}, environ=environ | unset).settings == Settings(system="be brief")


def test_an_alias_is_the_model_that_it_stands_for_wherever_it_is_named(
    file: tuple[Path, Environ],
) -> None:
    path, environ = file
    path.write_text(
        'model = "fast"\n[aliases]\nfast = "qwen3:4b"\nlocal = "big@ollama"\nloop = "fast"\n'
        '[profiles.work]\nmodel = "loop"\n[profiles.work.aliases]\nfast = "mini@openai"\n'
    )

    def asked(flags: dict[str, Any], **more: Any) -> tuple[str | None, str | None]:
        settings = resolve(flags, environ=environ, **more).settings
        return settings.provider, settings.model

    assert asked({}) == (None, "qwen3:4b")
    assert asked({"model": "local"}) == ("ollama", "big")
    assert asked({"model": "other"}) == (None, "other")
    assert asked({"model": "fast"}, profile="work") == ("openai", "mini")
    assert asked({}, profile="work") == (None, "fast")  # it is no chain
    environ["CHATSTREAM_MODEL"] = "local"
    assert asked({}) == ("ollama", "big")


def test_what_a_name_means(file: tuple[Path, Environ], monkeypatch: pytest.MonkeyPatch) -> None:
    path, _ = file
    monkeypatch.setenv("CHATSTREAM_CONFIG", str(path))
    path.write_text('[aliases]\nfast = "qwen3:4b"\n')
    assert (meant("fast"), meant("slow")) == ("qwen3:4b", "slow")


@pytest.mark.parametrize("given", ['"fast"', "{ fast = 4 }", '{ fast = "" }', '{ fast = ["a"] }'])
def test_aliases_are_a_table_of_names(file: tuple[Path, Environ], given: str) -> None:
    path, environ = file
    path.write_text(f"aliases = {given}\n")
    with pytest.raises(ConfigError, match="aliases"):
        resolve({"model": "fast"}, environ=environ)
