/// A zaptools server on `dart:io` alone.
library;

import 'dart:async';
import 'dart:io';
import 'dart:math';

import 'wire.dart';

typedef EventHandler = FutureOr<void> Function(Connection connection, Event event);
typedef LifecycleHandler = FutureOr<void> Function(Connection connection);

/// One client's connection.
class Connection {
  Connection._(this._server, this._socket);

  final Server _server;
  final WebSocket _socket;
  final String id = _newId();
  var _closing = false;
  var _over = false;

  /// The close code and reason, once the connection is over.
  int? get closeCode => _socket.closeCode;
  String? get closeReason => _socket.closeReason;

  /// Whether events can be sent. The socket's own state is open for a while after `close`.
  bool get isOpen => !_closing && !_over && _socket.readyState == WebSocket.open;

  /// Sends an event. Throws when the connection is over, where `dart:io` would drop it unsaid.
  void send(String event, Object? payload, [Map<String, dynamic>? headers]) {
    if (!isOpen) throw StateError('the connection is closed');
    _socket.add(encode(event, payload, headers));
  }

  /// Starts the closing handshake. Throws for a code that must not be sent.
  ///
  /// There is no waiting for its end: a handler that waited would keep its own connection from
  /// reading the answer.
  void close([int? code, String? reason]) {
    _socket.close(code, reason).ignore();
    _closing = true;
  }

  void join(String room) => _server._rooms.putIfAbsent(room, () => {}).add(this);

  void leave(String room) => _server._leave(room, this);
}

/// Serves one path; handlers of one connection run one after the other.
class Server {
  Server({required this.path, this.tls, this.openTimeout, this.pingInterval});

  final String path;

  /// The certificate with which to serve TLS; null for none.
  final SecurityContext? tls;

  /// Time for a request, which takes at most twice as long; null leaves it at that of `dart:io`.
  final Duration? openTimeout;

  /// Time between pings, and how long a pong may take; null for no pings.
  final Duration? pingInterval;

  LifecycleHandler? onConnected;
  LifecycleHandler? onDisconnected;
  void Function(Connection connection, Object error, String? event)? onError;

  /// The handler of every event, called after the event's own.
  EventHandler? onAny;

  final _handlers = <String, EventHandler>{};
  final _connections = <Connection>{};
  final _rooms = <String, Set<Connection>>{};
  HttpServer? _http;

  void on(String event, EventHandler handler) => _handlers[event] = handler;

  /// Binds and returns the port.
  Future<int> start(String host, int port) async {
    final http = _http = switch (tls) {
      null => await HttpServer.bind(host, port),
      final tls => await HttpServer.bindSecure(host, port, tls),
    };
    if (openTimeout != null) http.idleTimeout = openTimeout;
    http.listen(_accept);
    return http.port;
  }

  /// Sends to each member of [room] that is open, but [exclude].
  void sendToRoom(
    String room,
    String event,
    Object? payload,
    Map<String, dynamic> headers, {
    Connection? exclude,
  }) {
    _sendTo(_rooms[room] ?? const {}, event, payload, headers, exclude);
  }

  /// Sends to every connection that is open, but [exclude].
  void broadcast(
    String event,
    Object? payload,
    Map<String, dynamic> headers, {
    Connection? exclude,
  }) {
    _sendTo(_connections, event, payload, headers, exclude);
  }

  /// One that is closing must not keep the event from the others.
  static void _sendTo(
    Set<Connection> connections,
    String event,
    Object? payload,
    Map<String, dynamic> headers,
    Connection? exclude,
  ) {
    for (final connection in connections.toList()) {
      if (connection.isOpen && !identical(connection, exclude)) {
        connection.send(event, payload, headers);
      }
    }
  }

  /// Stops listening and closes every connection with 1001, waiting for the handshakes.
  Future<void> stop() async {
    await _http?.close();
    await Future.wait([
      for (final connection in _connections.toList())
        connection._socket.close(WebSocketStatus.goingAway, 'server stops'),
    ]);
  }

  /// Stops at once, without waiting for its connections.
  Future<void> kill() async {
    await _http?.close(force: true);
    for (final connection in _connections.toList()) {
      connection.close(WebSocketStatus.goingAway);
    }
  }

  Future<void> _accept(HttpRequest request) async {
    if (request.uri.path != path) return _refuse(request, HttpStatus.notFound);
    if (!WebSocketTransformer.isUpgradeRequest(request)) {
      request.response.headers.set(HttpHeaders.upgradeHeader, 'websocket');
      return _refuse(request, HttpStatus.upgradeRequired);
    }
    final WebSocket socket;
    try {
      socket = await WebSocketTransformer.upgrade(request);
    } on WebSocketException {
      return; // The transformer has answered 400.
    }
    socket.pingInterval = pingInterval;
    await _serve(Connection._(this, socket));
  }

  Future<void> _refuse(HttpRequest request, int status) async {
    request.response.statusCode = status;
    await request.response.close();
  }

  Future<void> _serve(Connection connection) async {
    _connections.add(connection);
    await _reporting(connection, () => onConnected?.call(connection));
    await _reporting(connection, () async {
      await for (final message in connection._socket) {
        await _handle(connection, message);
      }
    });
    connection._over = true;
    _connections.remove(connection);
    _rooms.keys.toList().forEach(connection.leave);
    await _reporting(connection, () => onDisconnected?.call(connection));
  }

  /// Does a part of the connection's life, and reports what it throws.
  Future<void> _reporting(Connection connection, FutureOr<void>? Function() part) async {
    try {
      await part();
    } catch (error) {
      onError?.call(connection, error, null);
    }
  }

  Future<void> _handle(Connection connection, Object? message) async {
    String? name;
    try {
      final event = decode(message);
      name = event.name;
      if (lifecycleNames.contains(name)) return;
      try {
        await _handlers[name]?.call(connection, event);
      } finally {
        await onAny?.call(connection, event);
      }
    } catch (error) {
      onError?.call(connection, error, name);
    }
  }

  void _leave(String room, Connection connection) {
    final members = _rooms[room];
    if (members == null) return;
    members.remove(connection);
    if (members.isEmpty) _rooms.remove(room);
  }
}

final _random = Random.secure();

String _newId() {
  final bytes = [for (var at = 0; at < 16; at++) _random.nextInt(256)];
  return bytes.map((byte) => byte.toRadixString(16).padLeft(2, '0')).join();
}
