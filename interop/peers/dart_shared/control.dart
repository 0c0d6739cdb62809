/// Runs a Dart peer: its command line, its control port, a session for each connection.
library;

import 'dart:async';
import 'dart:io';

import 'roles.dart';
import 'session.dart';

export 'app.dart';
export 'request.dart' show BadRequest, Unsupported;
export 'roles.dart';
export 'session.dart' show Session;

const _usage = '--listen HOST:PORT [--exit-with-stdin]';

/// The status for a wrong command line, as `sysexits.h` has it.
const _exitUsage = 64;

/// Serves the control contract for [peer] until the process ends.
///
/// `--exit-with-stdin` ends it when stdin closes. It is a flag because a container's stdin is
/// closed from the start.
Future<void> runPeer(Peer peer, List<String> arguments) async {
  final String host;
  final int port;
  try {
    (host, port) = _listenAddress(arguments);
  } on FormatException catch (error) {
    stderr.writeln('${peer.name}: ${error.message}\nusage: $_usage');
    exit(_exitUsage);
  }
  if (arguments.contains('--exit-with-stdin')) {
    stdin.listen((_) {}, onDone: () => exit(0), onError: (_) => exit(0));
  }
  final ServerSocket control;
  try {
    control = await ServerSocket.bind(host, port);
  } on SocketException catch (error) {
    stderr.writeln('${peer.name}: cannot listen on $host:$port: ${error.message}');
    exit(1);
  }
  runZonedGuarded(
    () => control.listen((socket) => _accept(peer, host, socket)),
    (error, stack) => stderr.writeln('outside of any session: $error\n$stack'),
  );
  stdout.writeln('READY $host ${control.port}');
  await stdout.flush();
}

void _accept(Peer peer, String host, Socket socket) {
  // In the zone that made the socket: a future's error does not cross into a session's zone.
  socket.done.ignore();
  socket.setOption(SocketOption.tcpNoDelay, true);
  Session(peer, host, socket).start();
}

(String, int) _listenAddress(List<String> arguments) {
  String? address;
  for (var at = 0; at < arguments.length; at++) {
    final argument = arguments[at];
    if (argument == '--listen' && at + 1 < arguments.length) {
      address = arguments[++at];
    } else if (argument.startsWith('--listen=')) {
      address = argument.substring('--listen='.length);
    } else if (argument != '--exit-with-stdin') {
      throw FormatException("unknown argument '$argument'");
    }
  }
  if (address == null) throw const FormatException('--listen is missing');
  final match = RegExp(r'^\[?([^\]]+?)\]?:(\d+)$').firstMatch(address);
  if (match == null) throw FormatException("--listen wants HOST:PORT, not '$address'");
  return (match.group(1)!, int.parse(match.group(2)!));
}
