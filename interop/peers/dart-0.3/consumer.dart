/// `ZapConsumer` of `zaptools_client`, 0.3.0 and 0.2, under the testbed's control.
library;

import 'dart:async';

import 'package:zaptools_client/zaptools_client.dart';

import '../dart_shared/control.dart';
import 'generation.dart';

class ZapConsumerRole implements ClientRole {
  ZapConsumerRole(this._session, ClientOptions options)
    : _consumer = withAddress((address) => ZapConsumer(address), options.url),
      _protocols = options.protocols,
      _connectsAgain = options.connectsAgain {
    if (options.headers != null) {
      throw const Unsupported('ZapConsumer takes no handshake headers');
    }
    _consumer
      ..onConnected((_) {
        _session.notify({'on': 'connected'});
        for (final (:event, :payload, :headers) in options.onConnect) {
          _consumer.sendEvent(event, payload, headers: headers);
        }
      })
      ..onDisconnected((_) {
        _session.notify({'on': 'disconnected'});
        if (!_connectsAgain) return;
        _connectsAgain = false;
        unawaited(connect());
      })
      ..onConnectionStateChanged(
        (state) => _session.notify({'on': 'state', 'state': state.name}),
      );
  }

  final Session _session;
  final ZapConsumer _consumer;
  final List<String>? _protocols;
  bool _connectsAgain;

  @override
  Future<void> connect() => _consumer.connect(protocols: _protocols);

  @override
  Future<void> tryReconnect(Duration period) =>
      callTryReconnect(_consumer, period, _protocols);

  @override
  Future<void> send(String event, Object? payload, Map<String, dynamic>? headers) =>
      _consumer.sendEvent(event, payload, headers: headers);

  @override
  void subscribe(List<String> events, {required bool all}) {
    if (all) throw const Unsupported('ZapConsumer before 0.4.0 has no catch-all, only named events');
    for (final name in events) {
      _consumer.onEvent(name, (event) {
        _session.notifyEvent(event.name, event.payload, event.headers, via: 'named');
        if (name == 'boom') throw const Boom();
        if (name == 'close-me') unawaited(_consumer.disconnect());
        if (clientAnswer(name, event.payload, event.headers) case final answer?) {
          _consumer.sendEvent(answer.event, answer.payload, headers: answer.headers);
        }
        unawaited(
          handleSlow(
            name,
            event.payload,
            () => _consumer.sendEvent(name, event.payload, headers: event.headers),
          ),
        );
      });
    }
  }

  @override
  Future<void> close({int? code, String? reason}) {
    if (code != null || reason != null) {
      throw const Unsupported('ZapConsumer.disconnect() takes no code and no reason');
    }
    return _consumer.disconnect();
  }

  @override
  Future<void> clean() async => throw const Unsupported('ZapConsumer before 0.4.0 has no clean()');

  @override
  Future<void> tearDown() {
    _connectsAgain = false;
    return _consumer.disconnect();
  }
}
