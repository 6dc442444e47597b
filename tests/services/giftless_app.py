"""The WSGI application of the tests' Git LFS server: giftless behind nginx, with users of its own.

It runs in giftless's virtual environment; nothing here imports it (gitlfs starts it).
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any

OPEN_ORGANISATIONS = ("open", "fast")


def factory(username: str, password: str, token: str) -> Callable[[Any], Any]:
    """Return giftless's authenticator: who knows the secret may do everything, anybody may read what is open."""
    from giftless.auth.identity import DefaultIdentity, Permission

    def authenticate(request: Any) -> Any:
        given = request.authorization
        basic = given is not None and given.type == "basic" and given.username == username
        secret = (given.password if basic else given.token if given and given.type == "bearer" else "") or ""
        identity = DefaultIdentity(name=username, id=username)
        if secret and hmac.compare_digest(secret, password if basic else token):
            identity.allow(permissions=Permission.all())
            return identity
        organisation = request.path.split("/")[1]
        if given is None and organisation in OPEN_ORGANISATIONS:
            identity.allow(organization=organisation, permissions={Permission.READ, Permission.READ_META})
            return identity
        return None

    return authenticate


def create() -> Any:
    """Return the application; the proxy in front says under which address it is reached."""
    from giftless.app import init_app
    from werkzeug.middleware.proxy_fix import ProxyFix

    app = init_app()
    app.wsgi_app = ProxyFix(app.wsgi_app, x_proto=1, x_host=1)
    return app
