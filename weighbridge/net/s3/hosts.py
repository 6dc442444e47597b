"""The hosts of Amazon S3 itself, which keys may go to by default."""

from __future__ import annotations

from fnmatch import fnmatchcase
from urllib.parse import urlsplit

#: Patterns of names that only S3 has. Others below amazonaws.com are machines and load balancers that anyone can rent,
#: under names of their choice (`s3-mine-123.…elb.amazonaws.com`), which never begin with `s3.`.
AWS_HOSTS = (
    "s3.amazonaws.com",
    "s3-accelerate.amazonaws.com",
    "s3-accelerate.dualstack.amazonaws.com",
    "*.s3.*.vpce.amazonaws.com",
    *(
        f"{service}.*.{domain}"
        for service in ("s3", "s3-fips")
        for domain in ("amazonaws.com", "amazonaws.com.cn", "api.aws")
    ),
)


def is_aws(endpoint: str) -> bool:
    """Return whether an endpoint is one of Amazon S3's own."""
    host = urlsplit(endpoint).hostname or ""
    return any(fnmatchcase(host, pattern) for pattern in AWS_HOSTS)
