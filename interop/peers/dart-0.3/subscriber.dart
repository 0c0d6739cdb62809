/// `ZapSubscriber` of `zaptools_client`, 0.3.0 and 0.2, under the testbed's control.
library;

import 'dart:async';

import 'package:zaptools_client/zaptools_client.dart';

import '../dart_shared/control.dart';
import 'generation.dart';

class ZapSubscriberRole implements ClientRole {
  ZapSubscriberRole(this._session, ClientOptions options)
    : _subscriber = withAddress((address) => ZapSubscriber(address), options.url),
      _protocols = options.protocols {
    if (options.headers != null) {
      throw const Unsupported('ZapSubscriber takes no handshake headers');
    }
    if (options.callbacks || options.onConnect.isNotEmpty || options.connectsAgain) {
      throw const Unsupported('ZapSubscriber has streams, no callbacks');
    }
    _subscriber.connectionState.listen(
      (state) => _session.notify({'on': 'state', 'state': state.name}),
      onDone: () => _session.notify({'on': 'ended', 'stream': 'states'}),
    );
  }

  final Session _session;
  final ZapSubscriber _subscriber;
  final List<String>? _protocols;

  @override
  Future<void> connect() => _subscriber.connect(protocols: _protocols);

  @override
  Future<void> tryReconnect(Duration period) =>
      callTryReconnect(_subscriber, period, _protocols);

  @override
  Future<void> send(String event, Object? payload, Map<String, dynamic>? headers) =>
      _subscriber.sendEvent(event, payload, headers: headers);

  @override
  void subscribe(List<String> events, {required bool all}) {
    if (events.length == 1) {
      _listen(_subscriber.subscribeToEvent(events.single), 'named');
    } else if (events.isNotEmpty) {
      _listen(_subscriber.subscribeToEvents(events), 'named');
    }
    if (all) _listen(_subscriber.subscribeToAllEvent(), 'all');
  }

  @override
  Future<void> close({int? code, String? reason}) {
    if (code != null || reason != null) {
      throw const Unsupported('ZapSubscriber.disconnect() takes no code and no reason');
    }
    return _subscriber.disconnect();
  }

  @override
  Future<void> clean() => _subscriber.clean();

  @override
  Future<void> tearDown() => _subscriber.disconnect();

  void _listen(Stream<EventData> events, String via) => events.listen(
    (event) {
      _session.notifyEvent(event.name, event.payload, event.headers, via: via);
      if (via != 'named') return;
      if (event.name == 'close-me') unawaited(_subscriber.disconnect());
      if (clientAnswer(event.name, event.payload, event.headers) case final answer?) {
        _subscriber
            .sendEvent(answer.event, answer.payload, headers: answer.headers)
            .catchError(
              (Object error) => _session.notify({
                'on': 'error',
                'message': '$error',
                'event': event.name,
              }),
            );
      }
      unawaited(
        handleSlow(
          event.name,
          event.payload,
          () => _subscriber.sendEvent(event.name, event.payload, headers: event.headers),
        ),
      );
    },
    onDone: () => _session.notify({'on': 'ended', 'stream': 'events'}),
  );
}
