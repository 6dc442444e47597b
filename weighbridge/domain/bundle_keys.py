"""Public keys of bundles as text. Pure. Not here: the keys themselves, and what is signed (config.bundle_keys)."""

from __future__ import annotations

#: How the text of a key begins: its kind is part of it, so that another kind can come.
KIND = "ed25519:"
#: A public key as text: its 32 bytes in base64.
PUBLIC_KEY = f"^{KIND}[A-Za-z0-9+/]{{42}}[AEIMQUYcgkosw048]=$"
