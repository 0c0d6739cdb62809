"""What handlers are called with, and which functions are none."""

from __future__ import annotations

import contextvars
import functools
import gc
import inspect
import threading
import types
import typing
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import pytest

from tests.support import within
from tests.support.fakes import Wired, event
from zaptools import (
    EventContext,
    EventData,
    EventRegister,
    NameTakenError,
    PayloadError,
    RegistrationError,
)
from zaptools.handlers.signatures import adapt, check_lifecycle, source

if TYPE_CHECKING:
    from nowhere import Missing  # type: ignore[import-not-found] # on purpose


class User(msgspec.Struct):
    name: str


ADA = {"name": "Ada"}

calls: list[Any] = []


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    calls.clear()


def context(payload: Any = ADA) -> EventContext:
    return EventContext(EventData("a", payload), Wired(EventRegister()).connection)


def note(*args: Any) -> None:
    calls.append(args)


def both(ctx: EventContext, user: User) -> None:
    note(ctx, user)


def alone(user: User) -> None:
    note(user)


def raw(ctx: EventContext, payload: Any) -> None:
    note(ctx, payload)


def bare(ctx, payload):  # type: ignore[no-untyped-def] # that is the point
    note(ctx, payload)


def hidden(ctx: Missing, user: User) -> None:
    note(ctx, user)


def wide(ctx: object, user: User, more: int = 3) -> None:
    note(ctx, user)


class Things:
    def method(self, ctx: EventContext, user: User) -> None:
        note(ctx, user)

    @staticmethod
    def static(ctx: EventContext, user: User) -> None:
        note(ctx, user)

    def __call__(self, ctx: EventContext, user: User) -> None:
        note(ctx, user)


@functools.wraps(both)
def wrapped(*args: Any, **options: Any) -> None:
    both(*args, **options)


class Both:
    """A class is a callable too."""

    def __init__(self, ctx: EventContext, user: User) -> None:
        note(ctx, user)


def three(extra: int, ctx: EventContext, user: User) -> None:
    assert extra == 1
    note(ctx, user)


@pytest.mark.parametrize(
    "handler",
    [
        both,
        hidden,
        wide,
        wrapped,
        Both,
        Things().method,
        Things.static,
        Things(),
        functools.partial(three, 1),
        functools.partial(functools.partial(wrapped)),
    ],
)
async def test_the_context_and_a_typed_payload(handler: Callable[..., Any]) -> None:
    ctx = context()
    adapt(handler)(ctx)
    assert calls == [(ctx, User("Ada"))]
    with pytest.raises(PayloadError) as info:
        adapt(handler)(context({"name": 1}))
    assert (info.value.event_name, info.value.path) == ("a", "$.name")
    assert len(calls) == 1


@pytest.mark.parametrize("handler", [raw, bare, lambda ctx, payload: note(ctx, payload)])
async def test_the_context_and_the_payload_as_it_came(handler: Callable[..., Any]) -> None:
    ctx = context([1])
    adapt(handler)(ctx)
    assert calls == [(ctx, [1])]


async def test_the_payload_alone() -> None:
    adapt(alone)(context())
    adapt(alone, EventData)(context())
    assert calls == [(User("Ada"),)] * 2


async def test_a_clients_handlers() -> None:
    def typed(event: EventData, user: User) -> None:
        note(event, user)

    ctx = context()
    for handler in (typed, lambda event: note(event), lambda event, payload: note(event, payload)):
        adapt(handler, EventData)(ctx)
    event = ctx.event_data
    assert calls == [(event, User("Ada")), (event,), (event, ADA)]


class Subclass(EventContext): ...


class Like(typing.Protocol):
    event_name: str


def only_any(ctx: Any) -> None: ...
def only_typing_any(ctx: typing.Any) -> None: ...
def only_object(ctx: object) -> None: ...
def only_subclass(ctx: Subclass) -> None: ...
def only_like(ctx: Like) -> None: ...
def only_union(ctx: EventContext | int) -> None: ...
def only_annotated(ctx: Annotated[EventContext, "x"]) -> None: ...
def only_rest(*args: Any) -> None: ...
def and_rest(ctx: EventContext, *args: Any, **more: Any) -> None: ...
def own(ctx: EventContext, number=3) -> None: ...  # type: ignore[no-untyped-def] # on purpose
def own_any(ctx: EventContext, number: Any = 3) -> None: ...
def own_type(ctx: EventContext, like: Wired | None = None, *, key: int = 1) -> None: ...


def foreign(ctx: EventContext) -> None: ...


foreign.__annotations__["ctx"] = "zaptools_of_nobody.EventContext"


@pytest.mark.parametrize(
    "handler",
    [
        only_any,
        only_typing_any,
        only_object,
        only_subclass,
        only_like,
        only_union,
        only_annotated,
        only_rest,
        and_rest,
        own,
        own_any,
        own_type,
        foreign,
        print,
        dict,
        dict.fromkeys,
        calls.append,
        lambda ctx: None,
        lambda ctx, log=calls: None,
    ],
)
def test_the_context_alone_costs_nothing(handler: Callable[..., Any]) -> None:
    assert adapt(handler) is handler


async def test_a_null_payload_leaves_a_default() -> None:
    default = User("nobody")

    def handler(ctx: EventContext, user: User = default) -> None:
        note(user)

    def only(user: User | None = None) -> None:
        note(user)

    for payload in (None, ADA):
        adapt(handler)(context(payload))
        adapt(only)(context(payload))
    assert calls == [(default,), (None,), (User("Ada"),), (User("Ada"),)]


async def test_types_of_a_function_that_runs() -> None:
    class Inner(msgspec.Struct):
        name: str

    def decorate() -> Callable[..., Any]:
        class Innermost(msgspec.Struct):
            name: str

        def handler(ctx: EventContext, it: Innermost, more: Inner | None = None) -> None:
            note(Inner(it.name))

        return adapt(handler)

    def handler(ctx: EventContext, it: Inner) -> None:
        note(it)

    adapt(handler)(context())
    decorate()(context())
    assert calls == [(Inner("Ada"),)] * 2


def evaluated_now(ctx: EventContext, user: User) -> None: ...


evaluated_now.__annotations__ = {"ctx": EventContext, "user": list[int]}


def test_annotations_that_are_no_text() -> None:
    adapt(evaluated_now)(context([1]))
    with pytest.raises(PayloadError):
        adapt(evaluated_now)(context(ADA))


def none_at_all() -> None: ...
def too_many(ctx: EventContext, user: User, more: int) -> None: ...
def keyword(ctx: EventContext, *, key: int) -> None: ...
def swapped(user: User, ctx: EventContext) -> None: ...
def clients(event: EventData) -> None: ...
def clients_two(event: EventData, user: User) -> None: ...
def unresolved(ctx: EventContext, user: User) -> None: ...
def unresolved_only(user: list[User]) -> None: ...
def no_expression(ctx: EventContext, user: User) -> None: ...
def no_type(ctx: EventContext, user: note) -> None: ...  # type: ignore[valid-type] # on purpose


unresolved.__annotations__["user"] = "Nobody"
unresolved_only.__annotations__["user"] = "list[Nobody]"
no_expression.__annotations__["user"] = "3 +"


def no_payload(ctx: EventContext, user: Wired) -> None: ...
def no_payload_union(it: Wired | None) -> None: ...
def no_payload_only(connection: Wired) -> None: ...


class Cyclic(msgspec.Struct):
    other: User


Cyclic.__annotations__["other"] = "Nobody"


def deep(ctx: EventContext, it: Cyclic) -> None: ...
def default_of_no_type(ctx: EventContext, it: Cyclic = 3) -> None: ...  # type: ignore[assignment]


async def generator(ctx: EventContext) -> AsyncIterator[int]:
    yield 1


def sync_generator(ctx: EventContext) -> Iterator[int]:
    yield 1


@types.coroutine
def coroutine_of_old(ctx: EventContext) -> Iterator[None]:
    yield


class Generator:
    async def __call__(self, ctx: EventContext) -> AsyncIterator[int]:
        yield 1


@pytest.mark.parametrize(
    ("handler", "words"),
    [
        (none_at_all, "none_at_all: it takes no argument"),
        (too_many, "too_many: it takes the EventContext and the payload; 'more' is one argument"),
        (keyword, "keyword: its keyword-only parameter 'key' has no default"),
        (swapped, "swapped: its first parameter, 'user', is not the EventContext"),
        (
            clients,
            "'event' is not for the EventData; the EventContext is passed first",
        ),
        (clients_two, "clients_two: its first parameter, 'event', is not the EventContext"),
        (unresolved, "unresolved: the type of its parameter 'user' cannot be resolved: .*Nobody"),
        (unresolved_only, "parameter 'user' cannot be resolved: .*Nobody"),
        (no_expression, "parameter 'user' cannot be resolved"),
        (no_type, "the parameter 'user' has a type that msgspec does not support"),
        (no_payload, "the parameter 'user' has a type that no payload can have: .*Wired"),
        (no_payload_union, "the parameter 'it' has a type that no payload can have"),
        (no_payload_only, "the parameter 'connection' has a type that no payload can have"),
        (deep, "'it' has a type that msgspec does not support: .*Nobody"),
        (
            default_of_no_type,
            "'it' has a type that msgspec does not support: .*Nobody",
        ),
        (generator, "handler generator: calling a function that yields does not run it"),
        (Generator(), "a function that yields"),
        (functools.partial(generator), "a function that yields"),
        (sync_generator, "a function that yields"),
        (3, "handler must be a callable, not 3"),
        (None, "handler must be a callable, not None"),
    ],
)
def test_refused(handler: Any, words: str) -> None:
    with pytest.raises(RegistrationError, match=words) as info:
        adapt(handler)
    assert info.value.value is handler


def test_a_generator_that_can_be_awaited() -> None:
    assert adapt(coroutine_of_old) is coroutine_of_old


def test_refused_for_a_client() -> None:
    for handler in (both, lambda a, b, c: None):
        with pytest.raises(RegistrationError, match="EventData"):
            adapt(handler, EventData)


def test_an_annotation_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Python 3.14 annotations are evaluated when they are asked for."""

    def fail(*_: Any, **__: Any) -> None:
        raise NameError("Nobody")

    def new(ctx: EventContext, user: User) -> None: ...

    monkeypatch.setattr(inspect, "signature", fail)
    with pytest.raises(RegistrationError, match="new: an annotation cannot be read: Nobody"):
        adapt(new)


def test_a_function_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless it has changed since."""
    reads = []
    signature = inspect.signature

    def read(function: Any, **form: Any) -> inspect.Signature:
        reads.append(function)
        return signature(function, **form)

    monkeypatch.setattr(inspect, "signature", read)

    class Game:
        def move(self, ctx: EventContext, user: User) -> None: ...

        def none() -> None: ...  # type: ignore[misc] # on purpose

    for game in (Game(), Game()):
        adapt(game.move)
        with pytest.raises(RegistrationError, match="takes no argument"):
            adapt(Game.none)
        with pytest.raises(RegistrationError, match="'user' is one argument too many"):
            adapt(Game.move)
    assert reads == [Game.move, Game.none]

    Game.move.__code__ = (lambda self: None).__code__
    with pytest.raises(RegistrationError, match="takes no argument"):
        adapt(Game().move)
    Game.move.__code__ = (lambda self, ctx, user, more: None).__code__
    Game.move.__defaults__ = (1,)
    adapt(Game().move)
    Game.move.__defaults__ = ()
    with pytest.raises(RegistrationError, match="'more' is one argument too many"):
        adapt(Game().move)


async def test_a_method_that_takes_all() -> None:
    noted: list[Any] = []

    class Game:
        def move(*arguments: Any) -> None:
            noted.append(arguments)

    game, ctx = Game(), context()
    adapt(game.move)(ctx)
    assert noted == [(game, ctx)]


def test_what_is_known_of_a_function_does_not_keep_it() -> None:
    class Game:
        def move(self, game: Any) -> None: ...

    Game.move.__annotations__["game"] = Game  # as without `annotations` from `__future__`
    gone = weakref.ref(Game)
    check_lifecycle(Game().move)
    del Game
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("handler", [both, raw])
def test_lifecycle_handlers_take_one(handler: Callable[..., Any]) -> None:
    with pytest.raises(RegistrationError, match=r"the EventContext; '(user|payload)' is one too"):
        check_lifecycle(handler)


@pytest.mark.parametrize("handler", [generator, none_at_all, keyword, 3])
def test_lifecycle_handlers_that_are_none(handler: Any) -> None:
    with pytest.raises(RegistrationError):
        check_lifecycle(handler)


@pytest.mark.parametrize("handler", [alone, own, dict.fromkeys, lambda ctx, log=calls: None])
def test_lifecycle_handlers(handler: Callable[..., Any]) -> None:
    check_lifecycle(handler)


def test_sources() -> None:
    assert source(adapt(both)) == source(adapt(both)) != source(adapt(alone))
    assert source(adapt(own)) == source(own)


async def test_an_error_is_reported_and_the_handler_not_called(
    caplog: pytest.LogCaptureFixture,
) -> None:
    register = EventRegister()
    register.on_event("a", both)
    register.on_any_event(alone)
    wired = Wired(register)
    await wired.run(event("a", {"name": ["secret"]}))
    assert not calls and "secret" not in caplog.text
    assert [(r.levelname, r.exc_info) for r in caplog.records] == [("WARNING", None)]  # once
    assert "the payload of 'a': Expected `str`, got `array` at $.name" in caplog.text
    errors: list[EventContext] = []
    register.on_error(errors.append)
    await wired.run(event("a", {}), event("a", ADA))
    assert [type(ctx.error) for ctx in errors] == [PayloadError, PayloadError]
    assert errors[0].source is not None and errors[0].source.payload == {}
    assert [args[-1] for args in calls] == [User("Ada"), User("Ada")]


class TestThreads:
    """`WebSocketConnection.send_from_thread` is tested in tests/test_connection.py."""

    async def test_a_handler_in_a_thread(self) -> None:
        """In order, in the context that called it, with its payload, and able to send."""
        place: contextvars.ContextVar[str] = contextvars.ContextVar("place")
        here = threading.current_thread()
        log: list[Any] = []
        register = EventRegister()

        @register.on_event("typed", run_in_thread=True)
        def typed(ctx: EventContext, user: User) -> None:
            log.append((user.name, place.get(), threading.current_thread() is here))
            ctx.connection.send_from_thread("seen", user.name)

        @register.on_any_event(run_in_thread=True)
        def every(ctx: EventContext) -> None:
            log.append(ctx.event_name)

        register.on_event("plain", lambda ctx: log.append(threading.current_thread() is here))
        place.set("here")
        wired = Wired(register)
        await within(wired.run(event("typed", ADA), event("plain"), event("typed", ADA)))
        assert log == [("Ada", "here", False), "typed", True, "plain",
                       ("Ada", "here", False), "typed"]  # fmt: skip
        assert [sent["payload"] for sent in wired.transport.sent] == ["Ada", "Ada"]

    async def test_errors(self) -> None:
        errors: list[EventContext] = []
        register = EventRegister()
        register.on_error(errors.append)
        register.on_event("boom", lambda ctx: 1 / 0, run_in_thread=True)
        register.on_event("typed", alone, run_in_thread=True)
        await within(Wired(register).run(event("boom"), event("typed", 3)))
        assert [type(ctx.error) for ctx in errors] == [ZeroDivisionError, PayloadError]

    async def test_a_function_that_returns_a_coroutine(self) -> None:
        register = EventRegister()
        register.on_event("a", lambda ctx: ctx.connection.send("b"), run_in_thread=True)
        wired = Wired(register)
        await within(wired.run(event("a")))
        assert wired.transport.sent

    async def test_coroutine_functions_are_refused(self) -> None:
        async def handler(ctx: EventContext) -> None: ...

        class Callable:
            async def __call__(self, ctx: EventContext) -> None: ...

        register = EventRegister()
        for each in (handler, functools.partial(handler), Callable(), Callable().__call__):
            for refuse in (
                lambda each=each: register.on_event("a", each, run_in_thread=True),
                lambda each=each: register.on_any_event(run_in_thread=True)(each),
            ):
                with pytest.raises(RegistrationError, match="a coroutine function cannot run"):
                    refuse()

    def test_lifecycle_handlers_are_refused(self) -> None:
        with pytest.raises(
            RegistrationError, match="the handler of 'connected' cannot run in a thread"
        ):
            EventRegister().on_event("connected", own, run_in_thread=True)

    def test_the_same_in_and_out_of_a_thread_is_a_conflict(self) -> None:
        register, part = EventRegister(), EventRegister()
        register.on_event("a", own)
        part.on_event("a", own, run_in_thread=True)
        with pytest.raises(NameTakenError):
            register.include(part)
        part.include(part)


def test_a_method_in_its_class() -> None:
    """There is no object yet that it could be a method of."""
    register = EventRegister()
    with pytest.raises(RegistrationError, match="it is a method without its object"):

        class Game:
            @register.on_event("move")  # type: ignore[type-var]  # on purpose
            async def move(self, ctx: EventContext) -> None: ...

    register.on_event("move", lambda self: None)


class TestDecorators:
    """Handlers inside of decorators' functions, which carry the signature of what they wrap."""

    @pytest.mark.parametrize("lifecycle", [False, True])
    async def test_one_that_adds_arguments(self, lifecycle: bool) -> None:
        def with_store(function: Any) -> Any:
            @functools.wraps(function)
            async def inner(ctx: EventContext) -> None:
                await function(ctx, "store")

            return inner

        def with_user(function: Any) -> Any:
            @functools.wraps(function)
            async def inner(ctx: EventContext) -> None:
                await function("user", ctx)

            return inner

        noted: list[tuple[Any, ...]] = []

        @with_store
        async def store_last(ctx: EventContext, store: str) -> None:
            noted.append((ctx, store))

        @with_user
        async def user_first(user: str, ctx: EventContext) -> None:
            noted.append((user, ctx))

        ctx = context()
        for handler in (store_last, user_first):
            if lifecycle:
                check_lifecycle(handler)
                await handler(ctx)
            else:
                await adapt(handler)(ctx)
        assert noted == [(ctx, "store"), ("user", ctx)]

    @pytest.mark.parametrize("lifecycle", [False, True])
    async def test_one_that_passes_on_and_adds(self, lifecycle: bool) -> None:
        """As many as it wraps need cannot come from here."""

        def with_both(function: Any) -> Any:
            @functools.wraps(function)
            async def inner(*args: Any, **options: Any) -> None:
                await function(*args, "store", "user", key="key", **options)

            return inner

        noted: list[tuple[Any, ...]] = []

        @with_both
        async def handler(ctx: EventContext, store: str, user: str, *, key: str) -> None:
            noted.append((ctx, store, user, key))

        ctx = context(1)
        for each in (handler, functools.partial(handler)):
            if lifecycle:
                check_lifecycle(each)
                await each(ctx)
            else:
                await adapt(each)(ctx)
        assert noted == [(ctx, "store", "user", "key")] * 2

    async def test_one_that_wraps_what_tells_nothing_of_its_arguments(self) -> None:
        noted: list[Any] = []

        @functools.wraps(max)  # of which Python knows no signature
        async def taking(ctx: EventContext) -> None:
            noted.append(ctx)

        ctx = context()
        await adapt(taking)(ctx)
        assert noted == [ctx]

    async def test_one_that_passes_on(self) -> None:
        def passing(function: Any) -> Any:
            @functools.wraps(function)
            async def inner(*args: Any, **options: Any) -> None:
                await function(*args, **options)

            return inner

        noted: list[Any] = []

        class Game:
            @passing
            async def move(self, ctx: EventContext, user: User) -> None:
                noted.append(user)

            @passing
            async def __call__(self, user: User) -> None:
                noted.append(user)

        @passing
        @passing
        async def twice(ctx: EventContext, user: User) -> None:
            noted.append(user)

        ctx = context()
        for handler in (Game().move, Game(), twice, functools.partial(twice)):
            await adapt(handler)(ctx)
        assert noted == [User("Ada")] * 4
