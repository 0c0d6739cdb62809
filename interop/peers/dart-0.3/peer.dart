/// The peer `dart-0.3`: `zaptools_client` 0.3.0, the last release with `ZapSubscriber`, and 0.2.
library;

import '../dart_shared/control.dart';
import 'consumer.dart';
import 'subscriber.dart';

Future<void> main(List<String> arguments) => runPeer(
  const Peer(
    'dart-0.3',
    packages: ['zaptools_client', 'web_socket_channel'],
    clients: {'ZapSubscriber': ZapSubscriberRole.new, 'ZapConsumer': ZapConsumerRole.new},
  ),
  arguments,
);
