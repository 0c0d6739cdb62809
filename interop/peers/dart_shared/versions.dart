/// Tells which package versions this program was compiled against.
library;

import 'dart:convert';
import 'dart:io';
import 'dart:isolate';

/// Returns the version of each of [names], read from the `pubspec.yaml` of the package that the
/// program's package configuration names.
///
/// It works for pub's configuration and for the testbed's. A precompiled program knows its
/// configuration when the VM is started with `--packages`; without it the answer is `unknown`.
Future<Map<String, String>> packageVersions(List<String> names) async {
  if (names.isEmpty) return const {};
  final roots = await _packageRoots();
  return {for (final name in names) name: _version(roots[name]) ?? 'unknown'};
}

Future<Map<String, Uri>> _packageRoots() async {
  final location = await Isolate.packageConfig;
  if (location == null) return const {};
  final config = jsonDecode(await File.fromUri(location).readAsString()) as Map<String, dynamic>;
  return {
    for (final package in (config['packages'] as List).cast<Map<String, dynamic>>())
      package['name'] as String: location.resolve(_directory(package['rootUri'] as String)),
  };
}

String _directory(String uri) => uri.endsWith('/') ? uri : '$uri/';

String? _version(Uri? root) {
  if (root == null) return null;
  final pubspec = File.fromUri(root.resolve('pubspec.yaml'));
  if (!pubspec.existsSync()) return null;
  final line = RegExp(r'^version:\s*(\S+)', multiLine: true);
  return line.firstMatch(pubspec.readAsStringSync())?.group(1)?.replaceAll(RegExp('["\']'), '');
}
