/// Differences between the versions from 0.2.0 to 0.3.0.
library;

import '../dart_shared/control.dart';

/// Makes a client: 0.3.0 takes the address as `Uri`, 0.2 as text, hence `dynamic`.
T withAddress<T>(T Function(dynamic address) make, Uri url) {
  try {
    return make(url);
  } on TypeError {
    return make('$url');
  }
}

/// Calls `tryReConnect` of a client, which 0.2.0 does not have, hence `dynamic`.
Future<void> callTryReconnect(dynamic client, Duration period, List<String>? protocols) {
  try {
    return client.tryReConnect(period, protocols: protocols) as Future<void>;
  } on NoSuchMethodError {
    throw const Unsupported('zaptools_client 0.2.0 has no tryReConnect');
  }
}
