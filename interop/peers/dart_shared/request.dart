/// One request of the control contract, with its arguments checked.
library;

import 'dart:convert';

/// Thrown by a peer for what its library has no way to do.
class Unsupported implements Exception {
  const Unsupported(this.why);

  /// Names the library and what it lacks.
  final String why;

  @override
  String toString() => 'unsupported: $why';
}

/// Thrown for a request that breaks the contract: it never reached the library.
class BadRequest implements Exception {
  const BadRequest(this.message);

  final String message;

  @override
  String toString() => message;
}

/// What the testbed asks: an operation with its arguments.
class Request {
  Request._(this.id, this.op, this._arguments);

  /// Parses a control line. A line without an integer `id` throws [FormatException]; one with
  /// an `id` and no `op` is a request whose [op] is empty, so that it can be answered.
  factory Request.parse(String line) {
    final decoded = jsonDecode(line);
    if (decoded is! Map<String, dynamic> || decoded['id'] is! int) {
      throw const FormatException("a request needs to be an object with an integer 'id'");
    }
    final op = decoded['op'];
    return Request._(decoded['id'] as int, op is String ? op : '', decoded);
  }

  final int id;
  final String op;
  final Map<String, dynamic> _arguments;

  Object? operator [](String key) => _arguments[key];

  String text(String key) => _typed<String>(key, 'a string') ?? (throw _missing(key));

  String? optionalText(String key) => _typed<String>(key, 'a string');

  int? optionalInteger(String key) => _typed<int>(key, 'an integer');

  bool flag(String key) => _typed<bool>(key, 'a boolean') ?? false;

  Map<String, dynamic>? object(String key) => _typed<Map<String, dynamic>>(key, 'an object');

  List<Map<String, dynamic>>? objects(String key) =>
      _typed<List<dynamic>>(key, 'an array of objects')?.cast<Map<String, dynamic>>();

  List<String>? texts(String key) {
    final values = _typed<List<dynamic>>(key, 'an array of strings');
    if (values == null || values.every((value) => value is String)) return values?.cast<String>();
    throw BadRequest("'$key' of '$op' must be an array of strings");
  }

  T? _typed<T>(String key, String what) {
    final value = _arguments[key];
    if (value is T?) return value;
    throw BadRequest("'$key' of '$op' must be $what, not a ${value.runtimeType}");
  }

  BadRequest _missing(String key) => BadRequest("'$op' needs '$key'");
}
