/// A zaptools client with callbacks, on `dart:io` alone.
library;

import 'dart:async';
import 'dart:io';

import 'wire.dart';

enum ClientState { connecting, online, offline, error }

/// Connects, sends, and calls back; the same object can connect again once it is offline.
class Client {
  Client(this.url, {this.protocols, this.headers, this.pingInterval});

  final Uri url;
  final Iterable<String>? protocols;
  final Map<String, dynamic>? headers;

  /// Time between pings, and how long a pong may take; null for no pings.
  final Duration? pingInterval;

  void Function()? onConnected;
  void Function(int? code, String? reason)? onDisconnected;
  void Function(ClientState state)? onState;
  void Function(Object error, String? event)? onError;
  void Function(Event event)? onAny;

  final _handlers = <String, void Function(Event event)>{};
  WebSocket? _socket;

  /// The HTTP client of the attempt under way; closing it ends the attempt.
  HttpClient? _attempt;

  void on(String event, void Function(Event event) handler) => _handlers[event] = handler;

  /// Connects. Throws, with the state `error`, when that fails.
  Future<void> connect() async {
    if (_socket != null || _attempt != null) {
      throw StateError('the client is connected already, or about to be');
    }
    onState?.call(ClientState.connecting);
    final attempt = _attempt = HttpClient();
    final WebSocket socket;
    try {
      socket = await WebSocket.connect(
        '$url',
        protocols: protocols,
        headers: headers,
        customClient: attempt,
      );
    } catch (_) {
      // An attempt that was closed says nothing of the one that was begun since.
      if (_attempt == null || identical(_attempt, attempt)) onState?.call(ClientState.error);
      rethrow;
    } finally {
      if (identical(_attempt, attempt)) _attempt = null;
      attempt.close();
    }
    _socket = socket..pingInterval = pingInterval;
    onState?.call(ClientState.online);
    onConnected?.call();
    unawaited(_receive(socket));
  }

  void send(String event, Object? payload, [Map<String, dynamic>? headers]) {
    final socket = _socket ?? (throw StateError('the client is not connected'));
    socket.add(encode(event, payload, headers));
  }

  /// Closes, and returns when the closing handshake is done. An attempt to connect fails.
  Future<void> close([int? code, String? reason]) async {
    _attempt?.close(force: true);
    _attempt = null;
    await _socket?.close(code, reason);
  }

  Future<void> _receive(WebSocket socket) async {
    try {
      await for (final message in socket) {
        _handle(message);
      }
    } catch (error) {
      onError?.call(error, null);
    }
    _socket = null;
    onState?.call(ClientState.offline);
    onDisconnected?.call(socket.closeCode, socket.closeReason);
  }

  void _handle(Object? message) {
    String? name;
    try {
      final event = decode(message);
      name = event.name;
      _handlers[name]?.call(event);
      onAny?.call(event);
    } catch (error) {
      onError?.call(error, name);
    }
  }
}
