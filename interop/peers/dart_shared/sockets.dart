/// Keeps account of the sockets that a session's library opens.
library;

import 'dart:io';

/// Remembers every outgoing connection made in its zone, so that a session can end even those
/// which a library lost track of: a client that connects twice forgets its first socket.
final class SocketLedger extends IOOverrides {
  final _open = <Socket>{};
  var _closed = false;

  @override
  Future<ConnectionTask<Socket>> socketStartConnect(
    dynamic host,
    int port, {
    dynamic sourceAddress,
    int sourcePort = 0,
  }) async {
    final task = await super.socketStartConnect(
      host,
      port,
      sourceAddress: sourceAddress,
      sourcePort: sourcePort,
    );
    if (_closed) task.cancel();
    task.socket.then(_remember, onError: (_) {}).ignore();
    return task;
  }

  /// Destroys what is still open, and from now on every socket as soon as it is made.
  void close() {
    _closed = true;
    for (final socket in _open.toList()) {
      socket.destroy();
    }
  }

  void _remember(Socket socket) {
    if (_closed) return socket.destroy();
    _open.add(socket);
    socket.done.whenComplete(() => _open.remove(socket)).ignore();
  }
}
