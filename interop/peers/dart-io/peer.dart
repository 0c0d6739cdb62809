/// The peer `dart-io`: Dart's own WebSocket, JSON and numbers, with no package.
library;

import 'dart:async';

import '../dart_shared/control.dart';
import 'client.dart';
import 'server.dart';
import 'wire.dart';

Future<void> main(List<String> arguments) => runPeer(
  const Peer(
    'dart-io',
    servers: {'Server': _IoServer.new},
    clients: {'Client': _IoClient.new},
    pings: true,
  ),
  arguments,
);

class _IoServer implements ServerRole {
  _IoServer(this._session, ServerOptions options)
    : _server = Server(
        path: options.path,
        tls: options.tls,
        openTimeout: options.openTimeout,
        pingInterval: options.pingInterval,
      ),
      _onConnect = options.onConnect,
      _atConnect = options.atConnect,
      _atDisconnect = options.atDisconnect {
    _server
      ..onConnected = _connected
      ..onDisconnected = _disconnected
      ..onError = _error;
    for (final name in appEvents) {
      _server.on(
        name,
        (connection, event) => runHandler(
          _session,
          _IoConnection(this, connection),
          name,
          event.payload,
          event.headers,
        ),
      );
    }
    if (options.all) _server.onAny = _any;
  }

  final Session _session;
  final Server _server;
  final List<Sent> _onConnect;
  final Sent? _atConnect;
  final Sent? _atDisconnect;
  final _names = ConnectionNames<Connection>();

  @override
  Future<int> start() => _server.start(_session.host, 0);

  @override
  void push(String conn, String event, Object? payload, Map<String, dynamic>? headers) =>
      _names[conn].send(event, payload, headers);

  @override
  void drop(String conn, {int? code, String? reason}) => _names[conn].close(code, reason);

  @override
  Future<void> stop() => _server.stop();

  @override
  Future<void> tearDown() => _server.kill();

  FutureOr<void> _connected(Connection connection) {
    _session.notify({'on': 'connected', 'conn': _names.of(connection)});
    for (final (:event, :payload, :headers) in _onConnect) {
      connection.send(event, payload, headers);
    }
    return act(_IoConnection(this, connection), _atConnect);
  }

  void _any(Connection connection, Event event) => _session.notifyEvent(
    event.name,
    event.payload,
    event.headers,
    via: 'all',
    conn: _names.of(connection),
  );

  FutureOr<void> _disconnected(Connection connection) {
    _session.notify({
      'on': 'disconnected',
      'conn': _names.of(connection),
      if (connection.closeCode case final code?) 'code': code,
      if (connection.closeReason case final reason?) 'reason': reason,
    });
    return act(_IoConnection(this, connection), _atDisconnect);
  }

  void _error(Connection connection, Object error, String? event) => _session.notify({
    'on': 'error',
    'conn': _names.of(connection),
    'message': '$error',
    if (event != null) 'event': event,
  });
}

class _IoConnection implements AppConnection {
  _IoConnection(this._role, this._connection);

  final _IoServer _role;
  final Connection _connection;

  @override
  String get name => _role._names.of(_connection);

  @override
  String get id => _connection.id;

  @override
  void send(String event, Object? payload, [Map<String, dynamic>? headers]) =>
      _connection.send(event, payload, headers);

  @override
  void close([int? code]) => _connection.close(code);

  @override
  void join(String room) => _connection.join(room);

  @override
  void leave(String room) => _connection.leave(room);

  @override
  void toRoom(
    String room,
    String event,
    Object? payload,
    Map<String, dynamic> headers, {
    required bool excludeSelf,
  }) => _role._server.sendToRoom(
    room,
    event,
    payload,
    headers,
    exclude: excludeSelf ? _connection : null,
  );

  @override
  void broadcast(
    String event,
    Object? payload,
    Map<String, dynamic> headers, {
    required bool excludeSelf,
  }) => _role._server.broadcast(
    event,
    payload,
    headers,
    exclude: excludeSelf ? _connection : null,
  );
}

class _IoClient implements ClientRole {
  _IoClient(this._session, ClientOptions options)
    : _client = Client(
        options.url,
        protocols: options.protocols,
        headers: options.headers,
        pingInterval: options.pingInterval,
      ),
      _connectsAgain = options.connectsAgain {
    _client
      ..onConnected = (() {
        _session.notify({'on': 'connected'});
        for (final (:event, :payload, :headers) in options.onConnect) {
          _client.send(event, payload, headers);
        }
      })
      ..onDisconnected = _disconnected
      ..onState = ((state) => _session.notify({'on': 'state', 'state': state.name}))
      ..onError = _error;
  }

  final Session _session;
  final Client _client;
  bool _connectsAgain;

  @override
  Future<void> connect() => _client.connect();

  @override
  Future<void> tryReconnect(Duration period) async =>
      throw const Unsupported('the client of dart-io connects again by connect() alone');

  @override
  Future<void> send(String event, Object? payload, Map<String, dynamic>? headers) async =>
      _client.send(event, payload, headers);

  @override
  void subscribe(List<String> events, {required bool all}) {
    for (final name in events) {
      _client.on(name, (event) {
        _notify(event, 'named');
        if (name == 'boom') throw const Boom();
        if (name == 'close-me') unawaited(_client.close());
        if (clientAnswer(name, event.payload, event.headers) case final answer?) {
          _client.send(answer.event, answer.payload, answer.headers);
        }
        handleSlow(
          name,
          event.payload,
          () => _client.send(name, event.payload, event.headers),
        ).ignore();
      });
    }
    if (all) _client.onAny = (event) => _notify(event, 'all');
  }

  @override
  Future<void> close({int? code, String? reason}) => _client.close(code, reason);

  @override
  Future<void> clean() async =>
      throw const Unsupported('the client of dart-io has callbacks, no streams to clean');

  @override
  Future<void> tearDown() {
    _connectsAgain = false;
    return _client.close();
  }

  void _notify(Event event, String via) =>
      _session.notifyEvent(event.name, event.payload, event.headers, via: via);

  void _disconnected(int? code, String? reason) {
    _session.notify({
      'on': 'disconnected',
      if (code != null) 'code': code,
      if (reason != null) 'reason': reason,
    });
    if (!_connectsAgain) return;
    _connectsAgain = false;
    unawaited(connect());
  }

  void _error(Object error, String? event) => _session.notify({
    'on': 'error',
    'message': '$error',
    if (event != null) 'event': event,
  });
}
