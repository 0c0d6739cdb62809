/// One control connection: an isolated session with at most one server and one client.
library;

import 'dart:async';
import 'dart:convert';
import 'dart:io';

import 'app.dart';
import 'request.dart';
import 'roles.dart';
import 'sockets.dart';
import 'versions.dart';

/// The version of the contract that this code speaks.
const contractVersion = 1;

/// Serves one control connection until it closes, then ends all that was opened through it.
///
/// Everything runs in a guarded zone of the session's own, so an exception that the library
/// lets escape is reported as `uncaught` to the session it belongs to, and to no other.
class Session {
  Session(this._peer, this.host, this._control);

  final Peer _peer;

  /// The host that `--listen` named; servers of this session listen there.
  final String host;

  final Socket _control;
  final _ledger = SocketLedger();
  ServerRole? _server;
  ClientRole? _client;
  var _closed = false;

  void start() {
    runZonedGuarded(
      () => IOOverrides.runWithIOOverrides(_listen, _ledger),
      (error, stack) {
        stderr.writeln('uncaught in a session: $error\n$stack');
        notify({'on': 'uncaught', 'message': '$error'});
      },
    );
  }

  /// Sends a notification, in the order of the calls.
  ///
  /// A payload or headers that JSON cannot hold are replaced by their text form.
  void notify(Map<String, Object?> notification) {
    String line;
    try {
      line = jsonEncode(notification);
    } catch (_) {
      line = jsonEncode({
        for (final MapEntry(:key, :value) in notification.entries) key: _encodable(value),
      });
    }
    _write(line);
  }

  /// Notifies of an event that a handler or stream got; [conn] is null on the client's side.
  void notifyEvent(
    String name,
    Object? payload,
    Object? headers, {
    required String via,
    String? conn,
  }) {
    notify({
      'on': 'event',
      if (conn != null) 'conn': conn,
      'name': name,
      'payload': payload,
      'headers': headers,
      'via': via,
    });
  }

  void _listen() {
    const Utf8Decoder(allowMalformed: true)
        .bind(_control)
        .transform(const LineSplitter())
        .listen(_receive, onError: (_) => _close(), onDone: _close, cancelOnError: true);
  }

  void _receive(String line) {
    if (line.trim().isEmpty) return;
    final Request request;
    try {
      request = Request.parse(line);
    } on FormatException catch (error) {
      stderr.writeln('a control line that cannot be answered: ${error.message}');
      return;
    }
    unawaited(_answer(request));
  }

  Future<void> _answer(Request request) async {
    Map<String, Object?> outcome;
    try {
      outcome = {'ok': await _perform(request)};
    } on Unsupported catch (error) {
      outcome = {'unsupported': error.why};
    } catch (error) {
      final kind = '${error.runtimeType}'.replaceFirst('_', '');
      outcome = {
        'error': {'kind': kind, 'message': '$error'},
      };
    }
    _write(jsonEncode({'id': request.id, ...outcome}));
  }

  Future<Map<String, Object?>> _perform(Request request) async {
    switch (request.op) {
      case '':
        throw const BadRequest("a request needs a string 'op'");
      case 'describe':
        return _describe();
      case 'serve':
        return {'port': await _serve(request)};
      case 'push':
        _serverOf(request).push(
          request.text('conn'),
          request.text('event'),
          request['payload'],
          request.object('headers'),
        );
      case 'drop':
        _serverOf(request).drop(
          request.text('conn'),
          code: request.optionalInteger('code'),
          reason: request.optionalText('reason'),
        );
      case 'stop':
        await _serverOf(request).stop();
      case 'open':
        await _open(request);
      case 'send':
        await _clientOf(
          request,
        ).send(request.text('event'), request['payload'], request.object('headers'));
      case 'subscribe':
        _subscribe(_clientOf(request), request);
      case 'close':
        await _clientOf(request).close(
          code: request.optionalInteger('code'),
          reason: request.optionalText('reason'),
        );
      case 'reconnect':
        await _connect(_clientOf(request));
      case 'try-reconnect':
        await _clientOf(request).tryReconnect(_seconds(request, 'delay_s'));
      case 'clean':
        await _clientOf(request).clean();
      default:
        throw Unsupported("the peer '${_peer.name}' knows no op '${request.op}'");
    }
    return const {};
  }

  Future<Map<String, Object?>> _describe() async {
    final packages = await packagesOf(_peer.packages);
    return {
      'contract': contractVersion,
      'peer': _peer.name,
      'language': 'Dart',
      'runtime': Platform.version.split(' ').first,
      'libraries': packages.versions,
      'sources': packages.sources,
      'apis': {'server': _peer.servers.keys.toList(), 'client': _peer.clients.keys.toList()},
      'limits': {
        for (final role in const ['server', 'client'])
          role: const {
            'message_bytes': null,
            'ping_interval_s': null,
            'ping_timeout_s': null,
            'close_timeout_s': null,
          },
      },
    };
  }

  Future<int> _serve(Request request) async {
    if (_server != null) throw const BadRequest('this session has a server already');
    final make = _maker(_peer.servers, request, 'server');
    for (final key in const ['protocols', 'origins']) {
      if (request[key] != null) throw Unsupported('the servers of this peer take no $key');
    }
    final path = request.optionalText('path') ?? '/ws';
    final options = ServerOptions(
      path,
      tls: _tls(request.optionalText('tls')),
      openTimeout: request['open_timeout_s'] == null ? null : _seconds(request, 'open_timeout_s'),
      pingInterval: _pingInterval(request),
      all: request.flag('all'),
      onConnect: _onConnect(request),
      atConnect: _at(request, 'at_connect'),
      atDisconnect: _at(request, 'at_disconnect'),
    );
    final server = _server = make(this, options);
    final int port;
    try {
      port = await server.start();
    } catch (_) {
      _server = null;
      rethrow;
    }
    if (_closed) await server.tearDown();
    return port;
  }

  /// A certificate and its key, which one PEM text holds.
  static SecurityContext? _tls(String? pem) {
    if (pem == null) return null;
    return SecurityContext()
      ..useCertificateChainBytes(utf8.encode(pem))
      ..usePrivateKeyBytes(utf8.encode(pem));
  }

  Future<void> _open(Request request) async {
    if (_client != null) throw const BadRequest('this session has a client already');
    final make = _maker(_peer.clients, request, 'client');
    for (final key in const ['reconnect', 'retry', 'offline']) {
      if (request[key] != null) throw Unsupported('the clients of this peer take no $key');
    }
    if (request.optionalText('ca') case final ca?) _trust(ca);
    final options = ClientOptions(
      Uri.parse(request.text('url')),
      protocols: request.texts('protocols'),
      headers: request.object('headers'),
      callbacks: request.flag('callbacks'),
      pingInterval: _pingInterval(request),
      onConnect: _onConnect(request),
      connectsAgain: request.optionalText('on_disconnect') == 'connect',
    );
    final client = make(this, options);
    _subscribe(client, request);
    _client = client;
    await _connect(client);
  }

  /// Trusts a certificate as an application does whose library takes no context: in the whole
  /// process, through the default that `dart:io` keeps for it.
  void _trust(String pem) {
    if (_trusted.add(pem)) {
      SecurityContext.defaultContext.setTrustedCertificatesBytes(utf8.encode(pem));
    }
  }

  static final _trusted = <String>{};

  Future<void> _connect(ClientRole client) async {
    await client.connect();
    if (_closed) await client.tearDown();
  }

  /// What is asked for. `dart:io` waits for a pong as long as for the next ping.
  Duration? _pingInterval(Request request) {
    for (final key in const [
      'message_bytes',
      'ping_interval_s',
      'ping_timeout_s',
      'close_timeout_s',
    ]) {
      final pings = _peer.pings && key.startsWith('ping_');
      if (request[key] != null && !pings) throw Unsupported("'${_peer.name}' sets no $key");
    }
    return request['ping_interval_s'] == null ? null : _seconds(request, 'ping_interval_s');
  }

  static Duration _seconds(Request request, String key) =>
      Duration(milliseconds: ((request[key]! as num) * 1000).round());

  /// What the connected callback is to send.
  List<Sent> _onConnect(Request request) => [
    for (final sent in request.objects('on_connect') ?? const <Map<String, dynamic>>[])
      (
        event: sent['event'] as String,
        payload: sent['payload'],
        headers: sent['headers'] as Map<String, dynamic>,
      ),
  ];

  /// The event at which the app does what a callback is to do at last.
  Sent? _at(Request request, String key) => switch (request.object(key)) {
    null => null,
    final asked => (event: asked['event'] as String, payload: asked['payload'], headers: {}),
  };

  void _subscribe(ClientRole client, Request request) {
    client.subscribe(request.texts('events') ?? const [], all: request.flag('all'));
  }

  T _maker<T>(Map<String, T> makers, Request request, String role) {
    final api = request.text('api');
    final offered = makers.isEmpty ? 'none' : makers.keys.join(', ');
    return makers[api] ??
        (throw Unsupported("the peer '${_peer.name}' has no $role API '$api' (it has: $offered)"));
  }

  ServerRole _serverOf(Request request) =>
      _server ?? (throw BadRequest("'${request.op}' needs a server: 'serve' comes first"));

  ClientRole _clientOf(Request request) =>
      _client ?? (throw BadRequest("'${request.op}' needs a client: 'open' comes first"));

  void _write(String line) {
    if (!_closed) _control.add(utf8.encode('$line\n'));
  }

  Future<void> _close() async {
    if (_closed) return;
    _closed = true;
    _control.destroy();
    await Future.wait([
      if (_client case final client?) _quietly(client.tearDown),
      if (_server case final server?) _quietly(server.tearDown),
    ]);
    _ledger.close();
  }

  static Future<void> _quietly(Future<void> Function() tearDown) async {
    try {
      await tearDown();
    } catch (error) {
      stderr.writeln('while a session was torn down: $error');
    }
  }

  static Object? _encodable(Object? value) {
    try {
      jsonEncode(value);
      return value;
    } catch (_) {
      return {r'$unencodable': _text(value)};
    }
  }

  static String _text(Object? value) {
    try {
      return '$value';
    } catch (error) {
      return 'a ${value.runtimeType} without a text form: ${error.runtimeType}';
    }
  }
}
