"""A function's signature and docstring, as the model sees it; arguments, as the function wants
them.

1. The hints of the signature decide: whatever msgspec can decode from JSON may be a parameter
   (dataclasses, its structs, TypedDict, Literal, Annotated with Meta, …), and paths. A parameter
   without a hint takes any JSON. `x: int = None` takes None too, as it says.
2. A parameter that is annotated with `Context` is given by us, and the model is not told of it.
3. Arguments have to fit exactly: "3" is no int. What does not fit is said in one sentence that the
   model can act on, with the place of the mistake.
4. The schema has no `$ref`, but where a type contains itself: some servers drop them.
5. A function that cannot be a tool is a `UsageError` that names it and says why.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import PurePath
from typing import Any, Union, get_args, get_origin

import msgspec

from chatstream.errors import UsageError
from chatstream.nearest import did_you_mean
from chatstream.tools.docs import described
from chatstream.tools.tool import Context, InvalidArguments

_REFERENCE = "#/$defs/{name}"
_NAMED = {"properties", "$defs"}  # their keys are names, not words of the schema
_VALUES = {"default", "enum", "const", "examples", "required"}  # no schema is in them
_TYPES = {str: "string", int: "integer", bool: "boolean", float: "number"}


class Signature:
    """What a function takes. `context` is the name of the parameter for the `Context`.

    Raises `UsageError` for a function that cannot be a tool.
    """

    def __init__(self, function: Callable[..., Any], name: str | None = None) -> None:
        self.name = name or getattr(function, "__name__", "") or repr(function)
        # An object that can be called has the docstring of its class, which is not about the call.
        docs = described(inspect.getdoc(function) if inspect.isroutine(function) else None)
        self.description = docs.description
        self.context: str | None = None
        self._fields: dict[str, inspect.Parameter] = {}
        for it in self._parameters(function):
            if _is_context(it.annotation):
                self.context = it.name
            else:
                self._fields[it.name] = it
        fields = [(it.name, _kind(it), _default(it)) for it in self._fields.values()]
        self._type = msgspec.defstruct("Arguments", fields, kw_only=True)
        self.parameters = self._schema(docs.parameters)

    def decode(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """What to call the function with, defaults included. Raises `InvalidArguments`."""
        if unknown := [it for it in arguments if it not in self._fields]:
            raise InvalidArguments(_unknown(unknown, list(self._fields)))
        try:
            made = msgspec.convert(arguments, self._type, str_keys=True, dec_hook=_decode)
        except msgspec.ValidationError as error:
            raise InvalidArguments(str(error)) from None
        except Exception as error:  # from the user's own types, which may check what they are given
            raise InvalidArguments(f"{type(error).__name__}: {error}") from error
        return {field: getattr(made, field) for field in self._fields}

    def _parameters(self, function: Callable[..., Any]) -> list[inspect.Parameter]:
        try:
            found = list(inspect.signature(function, eval_str=True).parameters.values())
        except (TypeError, ValueError) as error:
            raise self._unfit(f"it has no signature that can be read ({error})") from error
        except Exception as error:  # a hint is a text, and evaluating it may raise anything
            raise self._unfit(f"a hint of it cannot be evaluated: {error}") from error
        for it in found:
            if it.kind in (it.VAR_POSITIONAL, it.VAR_KEYWORD):
                raise self._unfit(f"{it} takes any arguments, and a model has to be told which")
            if it.kind is it.POSITIONAL_ONLY:
                raise self._unfit(f"{it.name!r} is positional-only, and a model gives names")
        return found

    def _schema(self, said: Mapping[str, str]) -> dict[str, Any]:
        try:
            (own,), parts = msgspec.json.schema_components(
                [self._type], schema_hook=_schema_of, ref_template=_REFERENCE
            )
        except Exception as error:  # it evaluates the hints of the types in there
            raise self._unfit(self._reason(error)) from error
        parts = {_REFERENCE.format(name=name): part for name, part in parts.items()}
        for name, told in parts[own["$ref"]]["properties"].items():
            if name in said:
                told.setdefault("description", said[name])
            _tell_default(told, self._fields[name].default)
        return _inlined(parts, own["$ref"])

    def _reason(self, error: Exception) -> str:
        """Why there is no schema, with the first parameter that is a reason by itself."""
        for it in self._fields.values():
            try:
                msgspec.json.schema(_kind(it), schema_hook=_schema_of)
            except Exception as its:
                return f"JSON cannot carry the type of its parameter {it.name!r}: {_last_line(its)}"
        return _last_line(error)

    def _unfit(self, why: str) -> UsageError:
        return UsageError(
            f"the function {self.name} cannot be a tool: {why}",
            hint="give its parameters names and types that JSON has, such as str, int, list[str]",
        )


def _is_context(hint: Any) -> bool:
    if get_origin(hint) in (Union, types.UnionType):
        return any(it is Context for it in get_args(hint))
    return hint is Context


def _kind(it: inspect.Parameter) -> Any:
    kind = Any if it.annotation is it.empty else it.annotation
    return Union[kind, None] if it.default is None else kind  # noqa: UP007 - types made here


def _default(it: inspect.Parameter) -> Any:
    """The very object that Python would pass, which may be a list that changes."""
    if it.default is it.empty:
        return msgspec.NODEFAULT
    return msgspec.field(default_factory=lambda: it.default)


def _tell_default(told: dict[str, Any], default: object) -> None:
    """Tell a default that JSON can carry. None says no more than that it may be left out."""
    if default is None or default is inspect.Parameter.empty:
        return
    with suppress(TypeError, ValueError, NotImplementedError):
        told["default"] = msgspec.to_builtins(default, str_keys=True, enc_hook=_encode)


def _unknown(names: list[str], known: list[str]) -> str:
    shown = ", ".join(repr(it) for it in names)
    if not known:
        return f"unknown: {shown}; it takes no arguments"
    near = did_you_mean(names[0], known) if len(names) == 1 else None
    there_are = f"the parameters are: {', '.join(known)}"
    return f"unknown argument{'s' * (len(names) > 1)} {shown}; {near or there_are}"


def _last_line(error: Exception) -> str:
    lines = [it for it in str(error).splitlines() if it.strip()]
    return lines[-1] if lines else type(error).__name__


# ---- paths, which JSON carries as text


def _schema_of(kind: type) -> dict[str, Any]:
    if issubclass(kind, PurePath):
        return {"type": "string"}
    raise NotImplementedError


def _decode(kind: type, value: Any) -> Any:
    if not issubclass(kind, PurePath):
        raise NotImplementedError
    if not isinstance(value, str):
        raise TypeError(f"Expected `str`, got `{type(value).__name__}`")
    return kind(value)


def _encode(value: Any) -> str:
    if isinstance(value, PurePath):
        return str(value)
    raise NotImplementedError


# ---- references


def _inlined(parts: Mapping[str, Any], reference: str) -> dict[str, Any]:
    """The schema behind a reference, with those in it; those that lead back to themselves stay."""
    kept: dict[str, Any] = {}

    def walk(schema: Any, above: tuple[str, ...]) -> Any:
        if isinstance(schema, list):
            return [walk(it, above) for it in schema]
        if not isinstance(schema, dict):
            return schema
        target = schema.get("$ref")
        if isinstance(target, str) and target in parts:
            name = target.rsplit("/", 1)[1]
            if target in above:
                kept.setdefault(name, None)
                return schema
            rest = {key: value for key, value in schema.items() if key != "$ref"}
            return walk(parts[target], (*above, target)) | rest
        walked = {}
        for key, value in schema.items():
            if key in _VALUES:
                walked[key] = value
            elif key in _NAMED:
                walked[key] = {name: walk(it, above) for name, it in value.items()}
            else:
                walked[key] = walk(value, above)
        walked.pop("title", None)  # the name of a class is nothing to a model
        return _typed(walked)

    made: dict[str, Any] = walk(parts[reference], (reference,))
    if kept:
        for name in kept:
            own = parts[_REFERENCE.format(name=name)]
            kept[name] = walk(own, tuple(parts))
        made["$defs"] = kept
    return made


def _typed(schema: dict[str, Any]) -> dict[str, Any]:
    """An `enum` with the type of its values, which some servers want."""
    kinds = {type(it) for it in schema.get("enum", ())}
    if len(kinds) == 1 and "type" not in schema:
        (kind,) = kinds
        if kind in _TYPES:
            schema["type"] = _TYPES[kind]
    return schema
