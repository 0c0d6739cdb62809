"""A service that tells prices."""

from __future__ import annotations

from zaptools import EventContext, ZapServer

server = ZapServer(port=8000, path="/ws")

PRICES = {"EUR": 1.08, "GBP": 1.27}


@server.on_event("echo")
async def echo(ctx: EventContext) -> None:
    await ctx.connection.send("echo", ctx.payload, ctx.headers)


@server.on_event("quote")
async def quote(ctx: EventContext) -> None:
    symbol = ctx.payload["symbol"]
    await ctx.connection.send("price", {"symbol": symbol, "usd": PRICES.get(symbol)})


if __name__ == "__main__":
    server.run()
