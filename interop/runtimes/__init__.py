"""What makes a peer runnable: environments, Dart, Go, Node, images."""
