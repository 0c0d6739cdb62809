/// What 0.2.0 and 0.3.0 take for an address.
library;

/// Makes a client: 0.3.0 takes the address as `Uri`, 0.2.0 as text, hence `dynamic`.
T withAddress<T>(T Function(dynamic address) make, Uri url) {
  try {
    return make(url);
  } on TypeError {
    return make('$url');
  }
}
