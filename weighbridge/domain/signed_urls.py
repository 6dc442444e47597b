"""Signed URLs: which parts of a query are credentials, and so never enter a lock file, catalog, export or message.

Presigned URLs of S3 and Google, shared access signatures of Azure, CloudFront, and `?token=` of many others. Not here:
credentials that are named beside a URL (domain.auth_place).
"""

from __future__ import annotations

from urllib.parse import unquote_plus

#: Parameters that are a credential by themselves.
_SECRETS = frozenset(
    {
        *("token", "access_token", "accesstoken", "auth", "auth_token", "authorization", "jwt", "bearer"),
        *("sig", "sign", "signature", "hmac", "hdnts", "hdnea", "password", "passwd", "pwd", "secret", "credential"),
        *("api_key", "apikey", "api-key", "key", "private_token", "job_token", "deploy_token", "client_secret"),
        *("awsaccesskeyid", "googleaccessid", "ossaccesskeyid", "session_token", "sessiontoken", "security-token"),
        *("q-signature", "q-ak", "_token", "ticket", "verify", "tempauth", "temp_url_sig"),
    }
)
#: Parameters that belong to a signature and change with it: how long it is valid, and for whom.
_SIGNING = frozenset(
    {
        *("expires", "expiry", "exp", "policy", "key-pair-id", "temp_url_expires"),
        *("sv", "st", "se", "sr", "sp", "spr", "sip", "ss", "srt", "skoid", "sktid", "skt", "ske", "sks", "skv"),
    }
)
#: Beginnings of the parameters of a signature.
_PREFIXES = ("x-amz-", "x-goog-", "x-oss-", "x-obs-", "q-sign-", "q-key-", "q-header-", "q-url-")


def split_secret(address: str) -> tuple[str, str]:
    """Return an address without the credentials in its query, and these as they were written.

    Parameters that identify the file stay in the address, so that the same file has the same address under another
    signature.
    """
    place, question, query = address.partition("?")
    if not question:
        return address, ""
    parts = query.split("&")
    names = [unquote_plus(part.partition("=")[0]).strip().lower() for part in parts]
    secret = [name in _SECRETS or name.startswith(_PREFIXES) or name.endswith(("token", "signature")) for name in names]
    if any(secret):
        secret = [one or name in _SIGNING for one, name in zip(secret, names, strict=True)]
    public = "&".join(part for part, hidden in zip(parts, secret, strict=True) if not hidden)
    hidden = "&".join(part for part, hidden in zip(parts, secret, strict=True) if hidden)
    return (f"{place}?{public}" if public else place if hidden else address), hidden


def with_secret(address: str, secret: str) -> str:
    """Return the address to request: the inverse of `split_secret`, except for the order of parameters."""
    if not secret:
        return address
    return f"{address}{'&' if '?' in address else '?'}{secret}"
