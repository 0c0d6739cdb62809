/// The zaptools wire on Dart's own JSON.
library;

import 'dart:convert';

/// The names that only a side's own life cycle may fire.
const lifecycleNames = {'connected', 'disconnected', 'error'};

/// One event as it was received.
class Event {
  const Event(this.name, this.payload, this.headers);

  final String name;
  final Object? payload;
  final Map<String, dynamic> headers;
}

/// A message that is no event; says what is wrong with it.
class WireException implements Exception {
  const WireException(this.message);

  final String message;

  @override
  String toString() => message;
}

/// Parses [message], what a WebSocket gave: text, or bytes for a binary frame.
///
/// An absent payload is null; absent or null headers are empty. Integers that need more than 64
/// bits become doubles, as everywhere in Dart.
Event decode(Object? message) {
  if (message is! String) throw const WireException('a binary frame carries no event');
  final Object? decoded;
  try {
    decoded = jsonDecode(message);
  } on FormatException catch (error) {
    throw WireException('not JSON: ${error.message}');
  }
  if (decoded is! Map<String, dynamic>) throw const WireException('not a JSON object');
  final name = decoded['eventName'];
  if (name is! String) throw const WireException("'eventName' must be a string");
  if (message.contains(r'\u') && _hasLoneSurrogate(decoded)) throw _loneSurrogate;
  final headers = decoded['headers'];
  if (headers is! Map<String, dynamic>?) throw const WireException("'headers' must be an object");
  return Event(name, decoded['payload'], headers ?? const {});
}

/// Writes an event; every key is always there.
String encode(String name, Object? payload, Map<String, dynamic>? headers) {
  final event = {'eventName': name, 'payload': payload, 'headers': headers ?? const {}};
  try {
    final text = jsonEncode(event);
    // The only characters that Dart writes with this escape.
    if (text.contains(r'\ud') && _hasLoneSurrogate(event)) throw _loneSurrogate;
    return text;
  } on JsonUnsupportedObjectError catch (error) {
    throw WireException("the event '$name' has no JSON form: ${error.unsupportedObject}");
  }
}

const _loneSurrogate = WireException('a string holds a lone surrogate, which UTF-8 cannot carry');

bool _hasLoneSurrogate(Object? root) {
  final rest = <Object?>[root];
  while (rest.isNotEmpty) {
    final value = rest.removeLast();
    if (value is List) rest.addAll(value);
    if (value is Map) {
      rest
        ..addAll(value.keys)
        ..addAll(value.values);
    }
    // A pair is one rune; what is left in this range stands alone.
    if (value is String && value.runes.any((rune) => rune >= 0xd800 && rune <= 0xdfff)) return true;
  }
  return false;
}
