"""Bare requests: one for each model, with the Hub's own client, as parallel as Weighbridge's."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

from huggingface_hub import HfApi

SIDE_BY_SIDE = 8


def main(endpoint: str, models: int) -> None:
    """Request the metadata of every model and store nothing."""
    api = HfApi(endpoint=endpoint)
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        for _ in pool.map(lambda n: api.model_info(f"many/model-{n}", files_metadata=True), range(models)):
            pass


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
