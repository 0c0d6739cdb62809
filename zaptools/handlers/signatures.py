"""The arguments that a handler takes: inspected once, when it is registered."""

from __future__ import annotations

import asyncio
import functools
import inspect
import sys
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Annotated, Any, get_args, get_origin, get_type_hints
from weakref import WeakKeyDictionary

from ..connection.context import EventContext
from ..exceptions import RegistrationError
from ..protocol.codec import EventData
from .payloads import converter, is_payload_type

__all__ = [
    "adapt",
    "check_callable",
    "check_lifecycle",
    "check_middleware",
    "given",
    "source",
]

_CONTEXTS = (EventContext, EventData)
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_UNKNOWN = object()

_KNOWN: WeakKeyDictionary[FunctionType, tuple[object, list[inspect.Parameter]]] = (
    WeakKeyDictionary()
)
"""A cache of functions' parameters, each with the code that they were read from: the methods of a
class may be handlers of many registers. Weak keys: the cache must not keep a handler alive."""


def check_callable(handler: object) -> None:
    """Raise `RegistrationError` unless `handler` is callable, and does not yield."""
    if not callable(handler):
        raise RegistrationError("handler", handler)
    if _is(_yields, handler):
        raise RegistrationError(
            "handler",
            handler,
            "calling a function that yields does not run it; send the events instead",
        )


def check_lifecycle(handler: Callable[..., Any], first: str = "EventContext") -> None:
    """Raise `RegistrationError` unless `handler` can be called with one argument alone.

    Args:
        handler: the handler.
        first: the name of the argument's type, for the error. Default ``"EventContext"``.
    """
    check_callable(handler)
    positional = _positional(handler)
    if positional is not None and _needs(handler, positional) > 1:
        name = positional[1].name
        raise RegistrationError(
            "handler", handler, f"it takes one argument, the {first}; {name!r} is one too many"
        )


def check_middleware(middleware: object) -> None:
    """Raise `RegistrationError` unless `middleware` is a coroutine function of two arguments."""
    if not callable(middleware):
        raise RegistrationError("middleware", middleware)
    function = inspect.unwrap(middleware)
    if not _is(inspect.iscoroutinefunction, function):
        raise RegistrationError("middleware", middleware, "it is not a coroutine function")
    positional = _positional(middleware)
    if positional and (len(positional) < 2 or _required(positional) > 2):
        raise RegistrationError(
            "middleware", middleware, "it takes two arguments, the EventContext and call_next"
        )


def adapt(
    handler: Callable[..., Any], first: type = EventContext, *, run_in_thread: bool = False
) -> Callable[[EventContext], Any]:
    """Return a function of an `EventContext` that calls `handler` with the arguments it takes.

    For a handler of the context alone that is `handler` itself.

    Args:
        handler: takes `first`, or `first` and the payload, or the payload alone.
        first: `EventContext`, or `EventData` for a client's handlers. Default `EventContext`.
        run_in_thread: whether to call it in a thread of its own. Default False.

    Raises:
        RegistrationError: `handler` cannot be called with any of these.
    """
    check_callable(handler)
    if run_in_thread and _is(inspect.iscoroutinefunction, handler):
        raise RegistrationError("handler", handler, "a coroutine function cannot run in a thread")
    function = _in_thread(handler) if run_in_thread else handler
    call = _call_with(function, first, *_wants(handler, first))
    if call is not handler:
        call.__zaptools_source__ = (handler, run_in_thread)  # type: ignore[attr-defined] # a mark
    return call


def source(handler: object) -> Any:
    """Return a value to compare by: equal for the same function passed to `adapt`."""
    return getattr(handler, "__zaptools_source__", handler)


def given(handler: Any) -> Any:
    """Return the function that was passed to `adapt`."""
    found, _ = getattr(handler, "__zaptools_source__", (handler, False))
    return found


def _in_thread(handler: Callable[..., Any]) -> Callable[..., Any]:
    async def run(*args: Any) -> None:
        result = await asyncio.to_thread(handler, *args)
        if inspect.isawaitable(result):  # a plain function may return a coroutine
            await result

    return run


def _call_with(
    handler: Callable[..., Any],
    first: type,
    takes_first: bool,
    payload: inspect.Parameter | None,
    kind: Any,
) -> Callable[[EventContext], Any]:
    """Return the function of an `EventContext` for the result of `_wants`."""
    is_context = first is EventContext
    if payload is None:
        return handler if is_context else lambda context: handler(context.event_data)
    if kind is _UNKNOWN:
        if is_context:
            return lambda context: handler(context, context.event_data.payload)
        return lambda context: handler(context.event_data, context.event_data.payload)
    convert = converter(kind)
    default = payload.default

    def call(context: EventContext) -> Any:
        event = context.event_data
        value = event.payload
        if value is None and default is not inspect.Parameter.empty:
            value = default
        else:
            value = convert(value, event.event_name)
        if takes_first:
            return handler(context if is_context else event, value)
        return handler(value)

    return call


def _wants(handler: Callable[..., Any], first: type) -> tuple[bool, inspect.Parameter | None, Any]:
    """Return whether `handler` takes `first`, its parameter for the payload, and that one's type.

    The type is `_UNKNOWN` for a payload that is passed without conversion.
    """
    positional = _positional(handler)
    if not positional:  # ``*args``, or a builtin function without a signature
        return True, None, _UNKNOWN
    if _required(positional) > 2:
        if _needs(handler, positional) <= 1:
            return True, None, _UNKNOWN  # a decorator passes the other arguments
        raise RegistrationError(
            "handler",
            handler,
            f"it takes the {first.__name__} and the payload; "
            f"{positional[2].name!r} is one argument too many",
        )
    one, *more = positional
    if more and one.name == "self" and isinstance(handler, FunctionType):
        raise RegistrationError(
            "handler",
            handler,
            "it is a method without its object: register the bound method, in __init__ for "
            "example, as in register.on_event('greet')(self.greet)",
        )
    if not more or (_required(positional) < 2 and not _has_type(more[0])):
        kind = _kind(handler, one, first)
        return (True, None, _UNKNOWN) if kind is _UNKNOWN else (False, one, kind)
    if _is_other(handler, one, first):
        raise RegistrationError(
            "handler", handler, f"its first parameter, {one.name!r}, is not the {first.__name__}"
        )
    two = more[0]
    if not _has_type(two):
        return True, two, _UNKNOWN
    kind = _resolve(handler, two)
    if _is_own(kind, two):
        return True, None, _UNKNOWN
    _check_type(handler, two, kind, first)
    return True, two, kind


def _kind(handler: Callable[..., Any], parameter: inspect.Parameter, first: type) -> Any:
    """Return the payload type of a handler's only parameter; `_UNKNOWN` if that is the context."""
    if not _has_type(parameter):
        return _UNKNOWN
    written = parameter.annotation
    if isinstance(written, str) and written.rpartition(".")[2] == first.__name__:
        return _UNKNOWN  # the name may be imported for type checkers alone
    kind = _resolve(handler, parameter)
    if _is_context(kind, first):
        return _UNKNOWN
    _check_type(handler, parameter, kind, first)
    return kind


def _is_context(kind: Any, first: type) -> bool:
    """Return whether an annotation is one for the context."""
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if kind is Any or getattr(kind, "_is_protocol", False) or first in get_args(kind):
        return True
    return isinstance(kind, type) and (issubclass(kind, first) or issubclass(first, kind))


def _is_other(handler: Callable[..., Any], parameter: inspect.Parameter, first: type) -> bool:
    """Return whether the annotation of the first parameter is certainly not for the context."""
    if not _has_type(parameter):
        return False
    try:
        kind = _resolve(handler, parameter)
    except RegistrationError:
        return False  # imported for type checkers alone
    return isinstance(kind, type) and not _is_context(kind, first)


def _is_own(kind: Any, parameter: inspect.Parameter) -> bool:
    """Return whether a parameter with a default is not for the payload: its type cannot be."""
    if parameter.default is inspect.Parameter.empty:
        return False
    try:
        return not is_payload_type(kind)
    except (TypeError, NameError):
        return False


def _check_type(
    handler: Callable[..., Any], parameter: inspect.Parameter, kind: Any, first: type
) -> None:
    where = f"the parameter {parameter.name!r}"
    if kind in _CONTEXTS:
        raise RegistrationError(
            "handler",
            handler,
            f"{where} is not for the {kind.__name__}; the {first.__name__} is passed first",
        )
    try:
        if is_payload_type(kind):
            return
    except (TypeError, NameError) as exc:
        raise RegistrationError(
            "handler", handler, f"{where} has a type that msgspec does not support: {exc}"
        ) from exc
    raise RegistrationError(
        "handler", handler, f"{where} has a type that no payload can have: {kind!r}"
    )


# Reading signatures and annotations


def _positional(handler: Callable[..., Any]) -> list[inspect.Parameter] | None:
    """Return the positional parameters; None where they are unknown, empty for ``*args`` alone.

    Raises:
        RegistrationError: there are none, or a keyword-only one is required.
    """
    try:
        parameters = _parameters(handler)
    except ValueError:
        return None
    except NameError as exc:  # an annotation that is evaluated only now
        raise RegistrationError("handler", handler, f"an annotation cannot be read: {exc}") from exc
    found = []
    rest = False
    for each in parameters:
        if each.kind in _POSITIONAL:
            found.append(each)
        elif each.kind is inspect.Parameter.VAR_POSITIONAL:
            rest = True
        elif _is_needed_keyword(each) and any(map(_is_needed_keyword, _own_parameters(handler))):
            raise RegistrationError(
                "handler", handler, f"its keyword-only parameter {each.name!r} has no default"
            )
    if not found and not rest:
        raise RegistrationError("handler", handler, "it takes no argument")
    return found


def _parameters(handler: Callable[..., Any]) -> list[inspect.Parameter]:
    function = handler.__func__ if isinstance(handler, MethodType) else handler
    if not isinstance(function, FunctionType) or _is_altered(function):
        return _read_parameters(handler)
    code, found = _KNOWN.get(function, (None, []))
    if code is not function.__code__:
        found = _read_parameters(function)
        if not any(map(_may_hold, found)):
            _KNOWN[function] = function.__code__, found
    if function is handler:
        return found
    if not found or found[0].kind not in _POSITIONAL:
        return _read_parameters(handler)
    return found[1:]


def _is_altered(function: FunctionType) -> bool:
    """Return whether its parameters depend on attributes, which may change, not on code alone."""
    return bool(vars(function) or function.__defaults__ or function.__kwdefaults__)


def _may_hold(parameter: inspect.Parameter) -> bool:
    """Return whether its annotation is an object, for example the class of the method.

    A cache would keep that object, and so the function, alive.
    """
    return _has_type(parameter) and not isinstance(parameter.annotation, str)


def _read_parameters(handler: Callable[..., Any]) -> list[inspect.Parameter]:
    """Return the parameters with which `handler` is called.

    For a decorator's wrapper that passes its arguments on these are the parameters of the wrapped
    function, which have the types. A wrapper that takes fewer arguments is called with its own: it
    adds the others.
    """
    if isinstance(handler, functools.partial):
        inner = _called(handler.func)
        if inner is not handler.func:
            handler = functools.partial(inner, *handler.args, **handler.keywords)
    elif isinstance(handler, MethodType):
        inner = _called(handler.__func__)
        if inner is not handler.__func__:
            handler = MethodType(inner, handler.__self__)
    elif not isinstance(handler, FunctionType) and _is_wrapper(type(handler).__call__):
        return _read_parameters(MethodType(type(handler).__call__, handler))
    else:
        handler = _called(handler)
    return _own_parameters(handler)


def _is_wrapper(handler: Any) -> bool:
    """Return whether `handler` is the wrapper of a decorator."""
    while isinstance(handler, functools.partial):
        handler = handler.func
    return hasattr(handler, "__wrapped__")


def _called(function: Any) -> Any:
    """Return `function`, or the function in it whose parameters it is called with."""
    return inspect.unwrap(function, stop=_adds_arguments)


def _adds_arguments(wrapper: Any) -> bool:
    """Return whether a wrapper calls the wrapped function with more arguments than it takes."""
    try:
        own = _own_parameters(wrapper)
        if any(each.kind is inspect.Parameter.VAR_POSITIONAL for each in own):
            return False
        wrapped = _read_parameters(wrapper.__wrapped__)
    except ValueError:
        return False
    return len(_of_kind(own, _POSITIONAL)) != len(_of_kind(wrapped, _POSITIONAL))


def _own_parameters(handler: Callable[..., Any]) -> list[inspect.Parameter]:
    """Return the parameters of `handler` itself, not those of a wrapped function."""
    if sys.version_info >= (3, 14):
        from annotationlib import Format

        signature = inspect.signature(
            handler, follow_wrapped=False, annotation_format=Format.FORWARDREF
        )
    else:
        signature = inspect.signature(handler, follow_wrapped=False)
    return list(signature.parameters.values())


def _of_kind(parameters: list[inspect.Parameter], kinds: Any) -> list[inspect.Parameter]:
    return [each for each in parameters if each.kind in kinds]


def _needs(handler: Callable[..., Any], positional: list[inspect.Parameter]) -> int:
    """Return how many arguments `handler` needs; `positional` may be of a wrapped function."""
    if _required(positional) > 1 and _is_wrapper(handler):
        positional = _of_kind(_own_parameters(handler), _POSITIONAL)
    return _required(positional)


def _is_needed_keyword(parameter: inspect.Parameter) -> bool:
    is_keyword = parameter.kind is inspect.Parameter.KEYWORD_ONLY
    return is_keyword and parameter.default is parameter.empty


def _required(parameters: list[inspect.Parameter]) -> int:
    return sum(each.default is each.empty for each in parameters)


def _has_type(parameter: inspect.Parameter) -> bool:
    return parameter.annotation not in (parameter.empty, Any, "Any", "typing.Any")


def _yields(function: Any) -> bool:
    """Return whether `function` is a generator function, and not one of `types.coroutine`."""
    if not inspect.isgeneratorfunction(function):
        return inspect.isasyncgenfunction(function)
    return not function.__code__.co_flags & inspect.CO_ITERABLE_COROUTINE


def _is(question: Callable[[Any], bool], handler: Any) -> bool:
    """Return the answer for a function, or for the ``__call__`` of a callable object."""
    while isinstance(handler, functools.partial):
        handler = handler.func
    if isinstance(handler, (FunctionType, MethodType)):
        return question(handler)
    return question(handler) or question(type(handler).__call__)


def _function(handler: Any) -> Any:
    """Return the function with `handler`'s code, whose globals its annotations use."""
    while True:
        if isinstance(handler, functools.partial):
            handler = handler.func
        elif inspect.ismethod(handler):
            handler = handler.__func__
        elif hasattr(handler, "__wrapped__"):
            handler = handler.__wrapped__
        elif inspect.isfunction(handler) or inspect.isclass(handler):
            return handler
        else:
            handler = type(handler).__call__


def _resolve(handler: Callable[..., Any], parameter: inspect.Parameter) -> Any:
    """Return a parameter's type; an annotation that is text is evaluated.

    Raises:
        RegistrationError: a name in it is not defined.
    """
    function = _function(handler)
    if inspect.isclass(function):
        function = function.__init__

    def probe() -> None: ...

    probe.__annotations__ = {parameter.name: parameter.annotation}
    names = getattr(function, "__globals__", {})
    try:
        kinds = get_type_hints(probe, names, _local_names(function), include_extras=True)
    except Exception as exc:  # an expression may raise anything
        detail = f"the type of its parameter {parameter.name!r} cannot be resolved: {exc}"
        raise RegistrationError("handler", handler, detail) from exc
    return kinds[parameter.name]


def _local_names(function: Any) -> dict[str, Any]:
    """Return the local names of the enclosing functions of `function` that are still running."""
    code = getattr(function, "__code__", None)
    names: dict[str, Any] = {}
    frame = sys._getframe()
    scopes = function.__qualname__.split(".<locals>")[:-1]
    wanted = {".<locals>".join(scopes[: n + 1]) for n in range(len(scopes))}
    while frame is not None and code is not None and wanted:
        here = frame.f_code
        if here.co_filename == code.co_filename and here.co_qualname in wanted:
            names = {**frame.f_locals, **names}
        frame = frame.f_back  # type: ignore[assignment] # None ends the loop
    return names
