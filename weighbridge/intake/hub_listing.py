"""The Hub whose list the catalogue holds, with the credentials for it.

It is the one that the mirror's file has for every name, or else that of the settings. Not here: requests
(net.hub.listing).
"""

from __future__ import annotations

from collections.abc import Callable

from weighbridge.domain.auth_place import AuthPlace
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import InvalidConfiguration
from weighbridge.intake.workspace import Workspace
from weighbridge.net.hub.listing import PAGE_SIZE, ModelListing, untold

_KIND = "huggingface"
#: A name that no pattern for some of a Hub's names is meant for.
_ANY = ModelRef(_KIND, "weighbridge.catalogue/of-all-models")
_NO_PLACE = AuthPlace()


def open_listing(
    workspace: Workspace,
    auth: AuthPlace = _NO_PLACE,
    page_size: int = PAGE_SIZE,
    tell: Callable[[str], None] = untold,
) -> ModelListing:
    """Return the list of the Hub.

    Args:
        workspace: has the settings, and what its asker may name.
        auth: where the Hub's token is kept; all empty for the variables of the Hub's own tools.
        page_size: the most models of a page.
        tell: is called with what is waited for.

    Raises:
        InvalidConfiguration: the place holds nothing, this asker may not name it, or it holds a user and a password.
    """
    settings = workspace.source_settings(_ANY, auth)
    if settings.auth.username:
        raise InvalidConfiguration("The Hub takes a token, not a user and a password.", "Name an access token.")
    return ModelListing(settings, page_size, tell)
