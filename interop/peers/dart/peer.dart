/// The peer `dart`: the published packages `zaptools_server` 0.3.0 and `zaptools_client` 0.5.0.
library;

import '../dart_shared/control.dart';
import 'client.dart';
import 'server.dart';

Future<void> main(List<String> arguments) => runPeer(
  const Peer(
    'dart',
    packages: ['zaptools_server', 'zaptools_client', 'web_socket_channel'],
    servers: {'ZapServer': ZapServerRole.new, 'IOConnector': IOConnectorRole.new},
    clients: {'ZapConsumer': ZapConsumerRole.new},
  ),
  arguments,
);
