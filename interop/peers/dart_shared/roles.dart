/// What a Dart peer puts under the control of a session.
library;

import 'dart:io';

import 'app.dart';
import 'session.dart';

/// One server API of the library under test, running the interop app.
abstract interface class ServerRole {
  /// Starts on a free port of the session's host and returns the port.
  Future<int> start();

  void push(String conn, String event, Object? payload, Map<String, dynamic>? headers);

  void drop(String conn, {int? code, String? reason});

  /// Stops by the library's own call, and only that.
  Future<void> stop();

  /// Ends what [stop] left, by any means.
  Future<void> tearDown();
}

/// One client API of the library under test.
abstract interface class ClientRole {
  /// Connects; for a client that was connected before, connects the same object again.
  Future<void> connect();

  /// Waits, then connects again by the library's own call, where it has one.
  Future<void> tryReconnect(Duration period);

  Future<void> send(String event, Object? payload, Map<String, dynamic>? headers);

  void subscribe(List<String> events, {required bool all});

  Future<void> close({int? code, String? reason});

  Future<void> clean();

  /// Ends what the library left open.
  Future<void> tearDown();
}

/// How to make a client: the arguments of `open` that are not subscriptions.
class ClientOptions {
  const ClientOptions(
    this.url, {
    this.protocols,
    this.headers,
    this.pingInterval,
    this.callbacks = false,
    this.onConnect = const [],
    this.connectsAgain = false,
  });

  final Uri url;
  final List<String>? protocols;

  /// Extra headers of the handshake.
  final Map<String, dynamic>? headers;

  /// Time between pings; null where `open` asked for none.
  final Duration? pingInterval;

  /// Whether `open` asked for callbacks of the beginning and the end of a connection.
  final bool callbacks;

  /// What the connected callback sends.
  final List<Sent> onConnect;

  /// Whether the disconnected callback connects the client again, at the first end.
  final bool connectsAgain;
}

/// How to make a server: the arguments of `serve` that are not about permessage-deflate, which
/// `dart:io` agrees to whenever it is offered.
class ServerOptions {
  const ServerOptions(
    this.path, {
    this.tls,
    this.openTimeout,
    this.pingInterval,
    this.all = false,
    this.onConnect = const [],
    this.atConnect,
    this.atDisconnect,
  });

  final String path;

  /// The certificate with which to serve TLS; null for none.
  final SecurityContext? tls;

  /// How long a client may take for its handshake; null where `serve` asked for no limit.
  final Duration? openTimeout;

  /// Time between pings; null where `serve` asked for none.
  final Duration? pingInterval;

  /// Whether to register the catch-all too.
  final bool all;

  /// What the connected callback sends.
  final List<Sent> onConnect;

  /// The event at which the app does what the connected callback does then; null for nothing.
  final Sent? atConnect;

  /// Likewise of the disconnected callback.
  final Sent? atDisconnect;
}

typedef MakeServer = ServerRole Function(Session session, ServerOptions options);
typedef MakeClient = ClientRole Function(Session session, ClientOptions options);

/// A peer: its name, what it runs on, and a maker for each API it offers.
class Peer {
  const Peer(
    this.name, {
    this.packages = const [],
    this.servers = const {},
    this.clients = const {},
    this.pings = false,
  });

  final String name;

  /// The packages whose versions and sources `describe` tells.
  final List<String> packages;
  final Map<String, MakeServer> servers;
  final Map<String, MakeClient> clients;

  /// Whether its servers and clients can be told to ping.
  final bool pings;
}
