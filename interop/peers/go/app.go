package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/NathanDraco22/zaptools-go/zap"
)

var appEvents = []string{
	"echo", "burst", "boom", "slow", "close-me", "whoami", "answer", "fail", "join", "leave",
	"to-room", "broadcast", "ask-back",
}

// registerApp registers the interop app and what the library calls by itself.
func (s *server) registerApp() {
	s.on("connected", func(ctx *zap.EventContext) {
		s.session.notify("connected", object{"conn": s.name(ctx.Connection)})
		for _, sent := range s.onConnect {
			ctx.Connection.SendEvent(&zap.EventData{
				EventName: sent.Event, Payload: sent.Payload, Headers: sent.Headers,
			})
		}
		s.act(ctx.Connection, s.atConnect)
	})
	s.on("disconnected", func(ctx *zap.EventContext) {
		s.session.notify("disconnected", object{"conn": s.name(ctx.Connection)})
		s.act(ctx.Connection, s.atDisconnect)
	})
	for _, name := range []string{"error", "send-error"} {
		s.on(name, func(ctx *zap.EventContext) {
			message := fmt.Sprint(ctx.EventData.Payload)
			s.session.notify("error", object{"conn": s.name(ctx.Connection), "message": message})
		})
	}
	for _, name := range appEvents {
		s.on(name, s.handle)
	}
}

// on registers a handler. The library calls it in a goroutine of its own and recovers nothing, so
// a panic ends the program.
func (s *server) on(name string, handler func(*zap.EventContext)) {
	s.register.OnEvent(name, func(ctx *zap.EventContext) {
		defer func() {
			if value := recover(); value != nil {
				s.session.die(value)
			}
		}()
		handler(ctx)
	})
}

// handle reports an event and does what the contract says of it.
func (s *server) handle(ctx *zap.EventContext) {
	name, payload, headers := ctx.EventData.EventName, ctx.EventData.Payload, ctx.EventData.Headers
	s.session.notify("event", object{
		"conn": s.name(ctx.Connection), "name": name, "payload": payload, "headers": headers,
		"via": "named",
	})
	s.act(ctx.Connection, &sent{name, payload, headers})
}

// act does what the contract says of an event, if there is one.
func (s *server) act(conn *zap.WebSocketConnection, asked *sent) {
	if asked == nil {
		return
	}
	name, payload, headers := asked.Event, asked.Payload, asked.Headers
	send := func(event string, payload any, headers object) {
		conn.SendEvent(&zap.EventData{EventName: event, Payload: payload, Headers: headers})
	}
	refuse := func(why unsupported) {
		send("unsupported", object{"event": name, "why": why}, headers)
	}
	switch name {
	case "echo":
		send("echo", payload, headers)
	case "burst":
		for number := range integer(payload, "count") {
			send("tick", number, headers)
		}
	case "boom":
		panic("boom")
	case "slow":
		time.Sleep(time.Duration(integer(payload, "ms")) * time.Millisecond)
		send("slow", payload, headers)
	case "close-me":
		if settings, ok := payload.(object); ok && settings["code"] != nil {
			refuse(noCode)
		} else {
			_ = conn.Close()
		}
	case "whoami":
		send("whoami", object{"id": conn.Id}, headers)
	case "answer":
		send("answer", payload, object{"replyTo": headers["requestId"]})
	case "fail":
		if id := headers["requestId"]; id != nil {
			send("fail", object{}, object{"replyTo": id, "replyError": "the handler failed"})
		}
	case "broadcast":
		refuse("the library does not know its connections")
	case "ask-back":
		refuse("the library sends no requests")
	default:
		refuse("the library has no rooms")
	}
}

// integer returns a number of the payload: as the library read it, or as the testbed asked for it.
func integer(payload any, key string) int {
	switch value := payload.(object)[key].(type) {
	case json.Number:
		number, _ := value.Int64()
		return int(number)
	default:
		return int(value.(float64))
	}
}
