"""What a gated model of the Hub asks of a person: which page to visit, with which account, and who approves.

Every door says it in these words: a refused ingest, a preview, the list of the Hub's models. Not here: what a Hub
answers (net.hub.errors), and whether a token has access already (net.hub.access).
"""

from __future__ import annotations

from weighbridge.domain.hub_models import Gated

#: How a token is named, for a person at the command line.
NAMING_ONE = "name its token with --token-env HF_TOKEN, --token-file or auth: in models.yaml"
#: How a token is named for a server that others ask.
FOR_A_SERVER = "have the operator set that account's token in HF_TOKEN"
#: What is wrong where the account has access and its token has not: fine-grained tokens are made without that right.
_TOKENS_RIGHT = (
    "If that account has access already, the token lacks the right to read the contents of public gated repositories: "
    "give it that in the account's settings."
)


def demand_of(gated: Gated, id_: str) -> str:
    """Return what the owner of a model demands before its files are given out, as the end of a sentence."""
    owner = id_.rpartition("/")[0] or "its owner"
    if gated is Gated.AUTO:
        return "the Hub gives its files only to accounts that have accepted its terms"
    if gated is Gated.MANUAL:
        return f"the Hub gives its files only to accounts that {owner} has approved"
    return "the Hub gives its files only to accounts that its owner lets in"


def way_in(
    gated: Gated, id_: str, page: str, *, has_token: bool, name_token: str = NAMING_ONE, refused: bool = True
) -> str:
    """Return what a person does to get the files of a gated model.

    Args:
        gated: how it is gated.
        id_: `organisation/name`.
        page: the address of the model's page.
        has_token: whether a token is in use, so that access is missing and not the token.
        name_token: how a token is named where there is none.
        refused: whether a command was refused, which can be run again.
    """
    owner = id_.rpartition("/")[0] or "its owner"
    account = "with the account whose token is in use" if has_token else "with an account of the Hub"
    if gated is Gated.AUTO:
        steps = f"Open {page} {account} and accept the terms: access is granted at once, without anybody's approval."
    elif gated is Gated.MANUAL:
        steps = (
            f"Open {page} {account} and ask for access: people of {owner} approve or reject it, which may take days."
        )
    else:
        steps = f"Open {page} {account} and accept the terms or ask for access, whichever the page offers."
    if has_token:
        return f"{steps} {_TOKENS_RIGHT}{' Then run the same command again.' if refused else ''}"
    return f"{steps} Then {name_token}."
