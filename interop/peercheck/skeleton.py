"""The skeleton of a peer, written where a new one begins."""

from __future__ import annotations

from pathlib import Path

from ..catalog import PEERS_DIR, CatalogError, check_added_name, load_peers

__all__ = ["write_skeleton"]

_SKELETON = PEERS_DIR / "_skeleton"
_FILES = ("__main__.py", "peer.toml")


def write_skeleton(folder: Path) -> None:
    """Write a peer that does nothing yet; the folder's name is the peer's.

    Raises:
        CatalogError: the folder is there, or cannot be made, or its name is no name of a new peer.
    """
    folder = folder.resolve()
    check_added_name(folder / "peer.toml")
    if folder.name in load_peers():
        raise CatalogError(f"{folder}: there is a peer {folder.name!r} already")
    try:
        folder.mkdir(parents=True)
        for name in _FILES:
            text = (_SKELETON / name).read_text("utf-8")
            (folder / name).write_text(text.replace(_SKELETON.name, folder.name), "utf-8")
    except OSError as exc:
        raise CatalogError(f"{folder}: {exc.strerror}") from exc
