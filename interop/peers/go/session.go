package main

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"time"
)

// An operation that lasts longer is under way; the next begins.
const underWay = 50 * time.Millisecond

// unsupported says what the library has no way to do.
type unsupported string

func (why unsupported) Error() string { return string(why) }

type object = map[string]any

// request is what the testbed asks, with the arguments of all operations.
type request struct {
	ID           int64    `json:"id"`
	Op           string   `json:"op"`
	API          string   `json:"api"`
	Path         string   `json:"path"`
	Protocols    []string `json:"protocols"`
	Origins      []string `json:"origins"`
	Deflate      bool     `json:"deflate"`
	TLS          string   `json:"tls"`
	MessageBytes int64    `json:"message_bytes"`
	PingInterval *float64 `json:"ping_interval_s"`
	PingTimeout  *float64 `json:"ping_timeout_s"`
	CloseTimeout *float64 `json:"close_timeout_s"`
	OpenTimeout  float64  `json:"open_timeout_s"`
	Conn         string   `json:"conn"`
	Event        *string  `json:"event"`
	Payload      any      `json:"payload"`
	Headers      object   `json:"headers"`
	Code         *int     `json:"code"`
	Reason       *string  `json:"reason"`
	All          bool     `json:"all"`
	OnConnect    []sent   `json:"on_connect"`
	AtConnect    *sent    `json:"at_connect"`
	AtDisconnect *sent    `json:"at_disconnect"`

	wrong *json.UnmarshalTypeError // of an argument that has another type
}

// sent is an event that the connected handler sends, or at which the app does what a handler of a
// connection's life is to do.
type sent struct {
	Event   string `json:"event"`
	Payload any    `json:"payload"`
	Headers object `json:"headers"`
}

// session is one control connection. It has at most one server.
type session struct {
	control net.Conn
	host    string
	mu      sync.Mutex // of all below
	server  *server
	died    string
}

func newSession(control net.Conn, host string) *session {
	return &session{control: control, host: host}
}

// run answers requests until the control connection ends.
func (s *session) run() {
	defer s.teardown()
	decoder := json.NewDecoder(s.control)
	decoder.UseNumber() // a number goes to the library as it came
	for {
		asked := &request{Path: "/ws"}
		err := decoder.Decode(asked)
		var wrong *json.UnmarshalTypeError // the rest of the line is decoded all the same
		if (err != nil && !errors.As(err, &wrong)) || asked.Op == "" {
			return
		}
		asked.wrong = wrong
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.answer(asked)
		}()
		select {
		case <-done:
		case <-time.After(underWay):
		}
	}
}

func (s *session) answer(asked *request) {
	result, err := s.perform(asked)
	var why unsupported
	switch {
	case err == nil:
		s.write(object{"id": asked.ID, "ok": result})
	case errors.As(err, &why):
		s.write(object{"id": asked.ID, "unsupported": why})
	default:
		failure := object{"kind": fmt.Sprintf("%T", err), "message": err.Error()}
		s.write(object{"id": asked.ID, "error": failure})
	}
}

// perform does what is asked. A panic of the library's in it is an error of that call.
func (s *session) perform(asked *request) (result any, err error) {
	defer func() {
		if value := recover(); value != nil {
			log.Printf("%s: panic: %v\n%s", asked.Op, value, debug.Stack())
			err = fmt.Errorf("panic: %v", value)
		}
	}()
	if asked.wrong != nil {
		return nil, asked.wrong
	}
	if asked.Op == "describe" {
		return description(), nil
	}
	s.mu.Lock()
	server, died := s.server, s.died
	s.mu.Unlock()
	if died != "" {
		return nil, fmt.Errorf("the program ended with a panic: %s", died)
	}
	if asked.Op == "serve" {
		return s.serve(asked)
	}
	operation, known := operations[asked.Op]
	if !known {
		return nil, unsupported(fmt.Sprintf("no operation %q", asked.Op))
	}
	if server == nil {
		return nil, errors.New("there is no server")
	}
	return object{}, operation(server, asked)
}

var operations = map[string]func(*server, *request) error{
	"push": (*server).push,
	"drop": (*server).drop,
	"stop": (*server).stop,
}

func (s *session) serve(asked *request) (any, error) {
	if asked.API != "ZapConnector" {
		return nil, unsupported(fmt.Sprintf("no server API %q", asked.API))
	}
	if asked.PingInterval != nil || asked.PingTimeout != nil {
		return nil, unsupported("neither ZapConnector nor gorilla/websocket sends pings by itself")
	}
	if asked.CloseTimeout != nil {
		return nil, unsupported("WebSocketConnection.Close waits for no handler")
	}
	if asked.All {
		return nil, unsupported("EventRegister has no handler of any event")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server != nil {
		return nil, errors.New("this session has its server")
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(s.host, "0"))
	if err != nil {
		return nil, err
	}
	port := listener.Addr().(*net.TCPAddr).Port
	if asked.TLS != "" {
		certificate, err := tls.X509KeyPair([]byte(asked.TLS), []byte(asked.TLS))
		if err != nil {
			_ = listener.Close()
			return nil, err
		}
		listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{certificate}})
	}
	s.server = newServer(s, asked)
	go func() { _ = s.server.http.Serve(listener) }()
	return object{"port": port}, nil
}

// notify reports what the library told the application.
func (s *session) notify(on string, notification object) {
	notification["on"] = on
	s.write(notification)
}

// uncaught reports a panic that the library let pass.
func (s *session) uncaught(value any) {
	log.Printf("panic: %v\n%s", value, debug.Stack())
	s.notify("uncaught", object{"message": fmt.Sprint(value)})
}

// die does what such a panic does in a goroutine of the library's: it ends the program. A session
// stands for one, so this ends all that it opened, and nothing is told or done in it any more.
func (s *session) die(value any) {
	s.uncaught(value)
	s.mu.Lock()
	s.died = fmt.Sprint(value)
	server := s.server
	s.mu.Unlock()
	server.end()
}

func (s *session) teardown() {
	_ = s.control.Close()
	s.mu.Lock()
	server := s.server
	s.mu.Unlock()
	if server != nil {
		server.end()
	}
}

func (s *session) write(message object) {
	line, err := json.Marshal(message)
	if err != nil {
		log.Panic(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, told := message["on"]; told && s.died != "" {
		return
	}
	_, _ = s.control.Write(append(line, '\n'))
}

func description() object {
	libraries := object{}
	if build, known := debug.ReadBuildInfo(); known {
		for _, module := range build.Deps {
			libraries[module.Path] = strings.TrimPrefix(module.Version, "v")
		}
	}
	return object{
		"contract":  1,
		"peer":      "go",
		"language":  "Go",
		"runtime":   strings.TrimPrefix(runtime.Version(), "go"),
		"libraries": libraries,
		"sources":   digests(),
		"apis":      object{"server": []string{"ZapConnector"}, "client": []string{}},
		"limits": object{"server": object{
			"message_bytes": nil, "ping_interval_s": nil, "ping_timeout_s": nil,
			"close_timeout_s": nil,
		}},
	}
}
