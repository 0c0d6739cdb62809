package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/NathanDraco22/zaptools-go"
	"github.com/NathanDraco22/zaptools-go/zap"
	"github.com/gorilla/websocket"
)

const noCode = unsupported("WebSocketConnection.Close takes no code and no reason")

// server is the interop app on ZapConnector, with gorilla/websocket as its README has it.
type server struct {
	session   *session
	register  *zap.EventRegister
	upgrader  websocket.Upgrader
	limit     int64
	onConnect []sent
	http      *http.Server

	atConnect, atDisconnect *sent

	mu      sync.Mutex // of all below
	conns   []*zap.WebSocketConnection
	sockets []*websocket.Conn
	ended   bool
}

func newServer(s *session, asked *request) *server {
	own := &server{session: s, register: zaptools.NewRegister(), limit: asked.MessageBytes}
	own.onConnect = asked.OnConnect
	own.atConnect, own.atDisconnect = asked.AtConnect, asked.AtDisconnect
	for _, at := range []*sent{own.atConnect, own.atDisconnect} {
		if at != nil && at.Headers == nil {
			at.Headers = object{}
		}
	}
	own.upgrader = websocket.Upgrader{
		Subprotocols:      asked.Protocols,
		EnableCompression: asked.Deflate,
		CheckOrigin: func(r *http.Request) bool {
			return asked.Origins == nil || slices.Contains(asked.Origins, r.Header.Get("Origin"))
		},
	}
	own.registerApp()
	mux := http.NewServeMux()
	mux.HandleFunc(asked.Path, own.upgrade)
	own.http = &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: time.Duration(asked.OpenTimeout * float64(time.Second)),
	}
	return own
}

func (s *server) upgrade(w http.ResponseWriter, r *http.Request) {
	socket, err := s.upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // it has answered
	}
	if !s.keep(socket) {
		return
	}
	if s.limit > 0 {
		socket.SetReadLimit(s.limit)
	}
	defer func() {
		if value := recover(); value != nil {
			s.session.uncaught(value) // net/http would log it, and go on
		}
	}()
	newConnector(s.register, socket).Start()
}

// keep holds on to a socket, which the library does not close when Start returns.
func (s *server) keep(socket *websocket.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		_ = socket.Close()
		return false
	}
	s.sockets = append(s.sockets, socket)
	return true
}

// end closes what is open, by any means.
func (s *server) end() {
	_ = s.http.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	for _, socket := range s.sockets {
		_ = socket.Close()
	}
}

// name returns a connection's name: by object, since the library's ids are under test.
func (s *server) name(conn *zap.WebSocketConnection) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := slices.Index(s.conns, conn)
	if at < 0 {
		at = len(s.conns)
		s.conns = append(s.conns, conn)
	}
	return fmt.Sprint(at + 1)
}

func (s *server) find(name string) (*zap.WebSocketConnection, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for at, conn := range s.conns {
		if fmt.Sprint(at+1) == name {
			return conn, nil
		}
	}
	return nil, fmt.Errorf("no connection %q", name)
}

func (s *server) push(asked *request) error {
	conn, err := s.find(asked.Conn)
	if err != nil {
		return err
	}
	if asked.Event == nil {
		return errors.New("push needs an event")
	}
	event := &zap.EventData{EventName: *asked.Event, Payload: asked.Payload, Headers: asked.Headers}
	return sendError(conn.SendEvent(event))
}

// sendError reads what SendEvent returns: an error, or, in 0.2.2, whether it was connected.
func sendError(answer any) error {
	if answer == false {
		return errors.New("SendEvent returned false")
	}
	err, _ := answer.(error)
	return err
}

func (s *server) drop(asked *request) error {
	if asked.Code != nil || asked.Reason != nil {
		return noCode
	}
	conn, err := s.find(asked.Conn)
	if err != nil {
		return err
	}
	return conn.Close()
}

// stop does what a user does: the library has no server of its own.
func (s *server) stop(*request) error {
	limit, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return s.http.Shutdown(limit)
}
