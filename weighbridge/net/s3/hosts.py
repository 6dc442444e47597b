"""Which hosts are Amazon S3's own: those that keys may go to when nobody said more."""

from __future__ import annotations

from fnmatch import fnmatchcase
from urllib.parse import urlsplit

#: Patterns of names that only S3 has. Others below amazonaws.com are machines and load balancers that anybody can rent,
#: under names that begin as he likes (`s3-mine-123.…elb.amazonaws.com`), but never with `s3.`.
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
    """Whether an endpoint is one of Amazon S3's own."""
    host = urlsplit(endpoint).hostname or ""
    return any(fnmatchcase(host, pattern) for pattern in AWS_HOSTS)
