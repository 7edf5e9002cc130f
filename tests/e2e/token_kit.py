"""token_kit - sections of tokens."""
import hashlib

ALL = ["read", "subscribe", "manage", "operate"]


def block(text, rights=ALL, **more):
    return dict({"sha256": hashlib.sha256(text.encode()).hexdigest(), "rights": rights}, **more)
