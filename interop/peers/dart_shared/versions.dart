/// Tells which packages this program was compiled against: their versions and their sources.
library;

import 'dart:convert';
import 'dart:io';
import 'dart:isolate';

/// The versions of packages, and digests of their sources, by their names.
typedef Packages = ({Map<String, String> versions, Map<String, String> sources});

/// Returns the version of each of [names], read from the `pubspec.yaml` of the package that the
/// program's package configuration names, and a digest of that package's sources.
///
/// It works for pub's configuration and for the testbed's. A precompiled program knows its
/// configuration when the VM is started with `--packages`; without it the versions are `unknown`,
/// and there are no digests. It is read once: a program asks for the same names each time.
Future<Packages> packagesOf(List<String> names) => _packages ??= _read(names);

Future<Packages>? _packages;

Future<Packages> _read(List<String> names) async {
  final roots = names.isEmpty ? const <String, Uri>{} : await _packageRoots();
  return (
    versions: {for (final name in names) name: _version(roots[name]) ?? 'unknown'},
    sources: {
      for (final name in names)
        if (roots[name] case final root?) name: _digest(Directory.fromUri(root.resolve('lib/'))),
    },
  );
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

/// Returns a digest of the Dart files below [folder], their names included: FNV-1a of 64 bits, since
/// the SDK has no hash function. It tells packages apart, and withstands no forgery.
String _digest(Directory folder) {
  final files = {
    for (final file in folder.listSync(recursive: true).whereType<File>())
      if (file.path.endsWith('.dart')) file.path.substring(folder.path.length): file,
  };
  var hash = 0xcbf29ce484222325;
  for (final name in files.keys.toList()..sort()) {
    final content = files[name]!.readAsBytesSync();
    for (final byte in utf8.encode('$name\x00${content.length}\x00').followedBy(content)) {
      hash = (hash ^ byte) * 0x100000001b3;
    }
  }
  String hex(int half) => half.toRadixString(16).padLeft(8, '0');
  return hex(hash >>> 32) + hex(hash & 0xffffffff);
}
