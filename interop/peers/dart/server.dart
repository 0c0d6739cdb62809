/// The server APIs of `zaptools_server`, 0.3.0 and 0.2, under the testbed's control.
library;

import 'dart:io';

import 'package:zaptools_server/zaptools_server.dart';
// The library exports no name for its connections, and `EventContext` shows them.
// ignore: implementation_imports
import 'package:zaptools_server/src/server/websocket_connection.dart';

import '../dart_shared/control.dart';

/// What both APIs share: callbacks, connections, rooms.
abstract class _LibraryServer implements ServerRole {
  _LibraryServer(this.session, ServerOptions options)
    : _onConnect = options.onConnect,
      _atConnect = options.atConnect,
      _atDisconnect = options.atDisconnect,
      _openTimeout = options.openTimeout {
    if (options.all) throw const Unsupported('zaptools_server has no handler of any event');
  }

  final Session session;
  final List<Sent> _onConnect;
  final Sent? _atConnect;
  final Sent? _atDisconnect;
  final Duration? _openTimeout;
  final _names = ConnectionNames<WebSocketConnection>();
  final _roomManager = RoomManager();
  final _rooms = <String, Room>{};
  HttpServer? _http;

  @override
  void push(String conn, String event, Object? payload, Map<String, dynamic>? headers) =>
      _names[conn].send(event, payload, headers: headers);

  @override
  void drop(String conn, {int? code, String? reason}) {
    if (code != null || reason != null) throw _noCloseCode;
    _names[conn].close();
  }

  @override
  Future<void> tearDown() async {
    await _http?.close(force: true);
    // All that ever connected: a client can fire `disconnected` by sending an event of that name.
    for (final connection in _names.all) {
      connection.close();
    }
  }

  /// Takes what serves, and returns its port.
  int _serving(HttpServer http) {
    _http = http;
    if (_openTimeout != null) http.idleTimeout = _openTimeout;
    return http.port;
  }

  void _connected(EventContext context) {
    session.notify({'on': 'connected', 'conn': _names.of(context.connection)});
    for (final (:event, :payload, :headers) in _onConnect) {
      context.connection.send(event, payload, headers: headers);
    }
    act(_LibraryConnection(this, context.connection), _atConnect);
  }

  void _disconnected(EventContext context) {
    session.notify({'on': 'disconnected', 'conn': _names.of(context.connection)});
    act(_LibraryConnection(this, context.connection), _atDisconnect);
  }

  void _error(EventContext context) => session.notify({
    'on': 'error',
    'conn': _names.of(context.connection),
    'message': '${context.payload}',
  });

  /// Registers the error callback where there is one: it came with 0.2.5, hence `dynamic`.
  void _onError(dynamic library) {
    try {
      library.onError(_error);
    } on NoSuchMethodError {
      return;
    }
  }

  void Function(EventContext) _handler(String event) => (context) {
    runHandler(
      session,
      _LibraryConnection(this, context.connection),
      event,
      context.payload,
      context.headers,
    );
  };
}

/// `ZapServer` with the session's host, a free port and the path of `serve`.
class ZapServerRole extends _LibraryServer {
  ZapServerRole(Session session, ServerOptions options)
    : _server = ZapServer(address: session.host, port: 0, path: options.path),
      super(session, options) {
    if (options.tls != null) throw const Unsupported('ZapServer binds its own HttpServer, plain');
    _server
      ..onConnected(_connected)
      ..onDisconnected(_disconnected);
    _onError(_server);
    for (final event in appEvents) {
      _server.onEvent(event, _handler(event));
    }
  }

  final ZapServer _server;

  @override
  Future<int> start() async => _serving(await _server.start());

  @override
  Future<void> stop() => _server.close();
}

/// `IOConnector`, one for each request of an `HttpServer` to the path of `serve`: the connector
/// answers on any, and routing is its application's.
class IOConnectorRole extends _LibraryServer {
  IOConnectorRole(super.session, super.options) : _options = options {
    _register
      ..onConnected(_connected)
      ..onDisconnected(_disconnected);
    _onError(_register);
    for (final event in appEvents) {
      _register.onEvent(event, _handler(event));
    }
  }

  final ServerOptions _options;
  final _register = EventRegister();

  @override
  Future<int> start() async {
    final http = switch (_options.tls) {
      null => await HttpServer.bind(session.host, 0),
      final tls => await HttpServer.bindSecure(session.host, 0, tls),
    };
    http.listen((request) {
      if (request.uri.path == _options.path) {
        IOConnector(request, _register).start();
      } else {
        request.response.statusCode = HttpStatus.notFound;
        request.response.close();
      }
    });
    return _serving(http);
  }

  @override
  Future<void> stop() async => _http?.close();
}

const _noCloseCode = Unsupported(
  'WebSocketConnection.close() of zaptools_server takes no code and no reason',
);

class _LibraryConnection implements AppConnection {
  _LibraryConnection(this._role, this._connection);

  final _LibraryServer _role;
  final WebSocketConnection _connection;

  @override
  String get name => _role._names.of(_connection);

  @override
  String get id => _connection.id;

  @override
  void send(String event, Object? payload, [Map<String, dynamic>? headers]) =>
      _connection.send(event, payload, headers: headers);

  @override
  void close([int? code]) => code == null ? _connection.close() : throw _noCloseCode;

  @override
  void join(String room) => _room(room).add(_connection);

  @override
  void leave(String room) => _room(room).remove(_connection);

  @override
  void toRoom(
    String room,
    String event,
    Object? payload,
    Map<String, dynamic> headers, {
    required bool excludeSelf,
  }) =>
      excludeSelf
          ? _room(room).send(event, payload, headers: headers, exclude: _connection)
          : _role._roomManager.sendToRoom(
            room,
            eventName: event,
            payload: payload,
            headers: headers,
          );

  @override
  void broadcast(
    String event,
    Object? payload,
    Map<String, dynamic> headers, {
    required bool excludeSelf,
  }) => throw const Unsupported('zaptools_server knows its connections in rooms alone');

  /// `RoomManager` gives no room back, so the room that it was told of is kept beside it.
  Room _room(String name) => _role._rooms[name] ??= _newRoom(name);

  Room _newRoom(String name) {
    final room = Room(name);
    _role._roomManager.addRoom(room);
    return room;
  }
}
