/// The interop app of the control contract, once for every Dart server API.
library;

import 'dart:async';
import 'dart:io' show stderr;

import 'request.dart';
import 'session.dart';

/// The text that `boom` raises.
class Boom implements Exception {
  const Boom();

  @override
  String toString() => 'boom';
}

/// What the app needs of a server API's connection; what the API lacks throws [Unsupported].
abstract interface class AppConnection {
  /// The harness's name for the connection.
  String get name;

  /// The library's own id of the connection.
  String get id;

  void send(String event, Object? payload, [Map<String, dynamic>? headers]);
  void close([int? code]);
  void join(String room);
  void leave(String room);
  void toRoom(
    String room,
    String event,
    Object? payload,
    Map<String, dynamic> headers, {
    required bool excludeSelf,
  });

  /// Sends to every connection.
  void broadcast(
    String event,
    Object? payload,
    Map<String, dynamic> headers, {
    required bool excludeSelf,
  });
}

typedef _Handler =
    FutureOr<void> Function(AppConnection conn, Object? payload, Map<String, dynamic> headers);

/// The events that a server registers.
Iterable<String> get appEvents => _handlers.keys;

/// An event that an application sends.
typedef Sent = ({String event, Object? payload, Map<String, dynamic> headers});

/// The headers of a reply by hand, which is an error, where [event] is the request that fails.
Map<String, dynamic>? _errorReply(String event, Map<String, dynamic>? headers) {
  final id = headers?['requestId'];
  if (event != 'fail' || id == null) return null;
  return {'replyTo': id, 'replyError': 'the handler failed'};
}

/// Handles `slow` at a client: waits, then calls [send]. Nothing where [event] is another.
///
/// No library awaits it, so what [send] throws once the connection has ended is caught here.
Future<void> handleSlow(String event, Object? payload, FutureOr<void> Function() send) async {
  if (event != 'slow') return;
  await Future<void>.delayed(Duration(milliseconds: _field<int>(payload, 'ms')));
  try {
    await send();
  } catch (error) {
    stderr.writeln('slow: $error');
  }
}

/// What a client's handler of [event] sends, all by hand; null where it sends nothing.
Sent? clientAnswer(String event, Object? payload, Map<String, dynamic> headers) {
  if (event == 'mirror') return (event: 'mirrored', payload: payload, headers: headers);
  if (event == 'ask-back') {
    const refusal = {'event': 'ask-back', 'why': 'the library sends no requests'};
    return (event: 'unsupported', payload: refusal, headers: headers);
  }
  if (_errorReply(event, headers) case final reply?) {
    return (event: event, payload: const <String, dynamic>{}, headers: reply);
  }
  final id = headers['requestId'];
  if (event != 'answer' || id == null) return null;
  return (event: event, payload: payload, headers: {'replyTo': id});
}

/// Runs the app's handler of [event]: notifies first, then does what the contract says.
///
/// Not `async`, so that what a handler throws reaches the library as it would from a user's.
FutureOr<void> runHandler(
  Session session,
  AppConnection conn,
  String event,
  Object? payload,
  Map<String, dynamic> headers,
) {
  session.notifyEvent(event, payload, headers, via: 'named', conn: conn.name);
  return act(conn, (event: event, payload: payload, headers: headers));
}

/// Does what the contract says of an event, if there is one.
FutureOr<void> act(AppConnection conn, Sent? asked) {
  if (asked == null) return null;
  final (:event, :payload, :headers) = asked;
  try {
    return _handlers[event]!(conn, payload, headers);
  } on Unsupported catch (error) {
    conn.send('unsupported', {'event': event, 'why': error.why}, headers);
  }
}

final Map<String, _Handler> _handlers = {
  'echo': (conn, payload, headers) => conn.send('echo', payload, headers),
  'burst': (conn, payload, headers) {
    final count = _field<int>(payload, 'count');
    for (var tick = 0; tick < count; tick++) {
      conn.send('tick', tick, headers);
    }
  },
  'boom': (_, __, ___) => throw const Boom(),
  'slow': (conn, payload, headers) async {
    await Future<void>.delayed(Duration(milliseconds: _field<int>(payload, 'ms')));
    conn.send('slow', payload, headers);
  },
  'close-me': (conn, payload, _) => conn.close(_optional<int>(payload, 'code')),
  'whoami': (conn, _, headers) => conn.send('whoami', {'id': conn.id}, headers),
  'answer':
      (conn, payload, headers) =>
          conn.send('answer', payload, {'replyTo': headers['requestId']}),
  'fail': (conn, _, headers) {
    if (_errorReply('fail', headers) case final reply?) conn.send('fail', const <String, dynamic>{}, reply);
  },
  'join': (conn, payload, headers) {
    conn.join(_field<String>(payload, 'room'));
    conn.send('joined', payload, headers);
  },
  'leave': (conn, payload, headers) {
    conn.leave(_field<String>(payload, 'room'));
    conn.send('left', payload, headers);
  },
  'to-room':
      (conn, payload, headers) => conn.toRoom(
        _field<String>(payload, 'room'),
        _field<String>(payload, 'event'),
        (payload! as Map<String, dynamic>)['payload'],
        headers,
        excludeSelf: _optional<bool>(payload, 'exclude-self') ?? false,
      ),
  'broadcast':
      (conn, payload, headers) => conn.broadcast(
        _field<String>(payload, 'event'),
        (payload! as Map<String, dynamic>)['payload'],
        headers,
        excludeSelf: _optional<bool>(payload, 'exclude-self') ?? false,
      ),
  'ask-back': (_, __, ___) => throw const Unsupported('the library sends no requests'),
};

T _field<T>(Object? payload, String key) =>
    _optional<T>(payload, key) ?? (throw FormatException("the payload has no '$key'"));

T? _optional<T>(Object? payload, String key) {
  final value = payload is Map<String, dynamic> ? payload[key] : null;
  if (value is T?) return value;
  throw FormatException("'$key' of the payload must be of type $T, not ${value.runtimeType}");
}

/// Gives connection objects their names, `"1"`, `"2"`, …, by identity.
class ConnectionNames<T extends Object> {
  final _names = Map<T, String>.identity();
  final _connections = <String, T>{};

  /// Every connection named so far, the closed ones too.
  Iterable<T> get all => _connections.values;

  /// The name of [connection]; a new one for an object not seen before.
  String of(T connection) => _names[connection] ??= _add(connection);

  T operator [](String name) =>
      _connections[name] ?? (throw BadRequest("no connection is named '$name'"));

  String _add(T connection) {
    final name = '${_connections.length + 1}';
    _connections[name] = connection;
    return name;
  }
}
