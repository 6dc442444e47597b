"""The base class of handlers of OpenAI-compatible services: the address of the service and the model's name there.

Not here: requests (upstream, upstream_texts, upstream_speech), and the protocol (net.openai).
"""

from __future__ import annotations

from typing import Any

from weighbridge.errors import HandlerError, InvalidConfiguration
from weighbridge.handlers.interface import Device
from weighbridge.net.openai.endpoint import OpenAIEndpoint


class UpstreamService:
    """The service and the model's name there; may be called from several threads.

    Args:
        hf_repo_id: the model's name there.
        device: ignored; the attribute becomes the service's host.
        cache_dir: ignored.
        kwargs: `name`, `generation_defaults`, `upstream_base_url`, `upstream_api_key_env`, `timeout_s` (seconds without
            a byte; 120), `owned_by` (`openai`, or the kind of service: `vllm`, `local`).

    Raises:
        InvalidConfiguration: the address is invalid, or the variable of its key is empty.
    """

    options = ["upstream_base_url", "upstream_api_key_env", "timeout_s", "owned_by"]
    thread_safe = True
    max_parallelism: int | None = None
    joins = False

    def __init__(self, hf_repo_id: str, device: Device = "cpu", cache_dir: str | None = None, **kwargs: Any) -> None:
        base_url = kwargs.get("upstream_base_url", "")
        if not base_url:
            raise InvalidConfiguration(
                f"{hf_repo_id} has no upstream_base_url.", "Write it in models.yaml: https://host/v1."
            )
        self.name: str = kwargs.get("name", hf_repo_id)
        self.generation_defaults: dict[str, Any] = kwargs.get("generation_defaults", {})
        self.supports_structured_outputs = False
        self.owned_by: str = kwargs.get("owned_by", "openai")
        self._model = hf_repo_id
        self._endpoint = OpenAIEndpoint(
            base_url, kwargs.get("upstream_api_key_env", ""), timeout_s=float(kwargs.get("timeout_s", 120.0))
        )
        self.device: Device = self._endpoint.host

    def close(self) -> None:
        """Close the connections to the service; nothing is loaded here, so further calls are possible."""
        self._endpoint.close()

    def wrong(self, what: str) -> HandlerError:
        """Return the error for an invalid answer."""
        return HandlerError(f"{self.device} answers for {self.name} with {what}.", "Is it the right kind of model?")
