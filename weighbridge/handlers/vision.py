"""Chat about images through transformers: Qwen-VL, Llava, Gemma and others of AutoModelForImageTextToText."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from PIL import Image
from transformers import AutoConfig, AutoImageProcessor, AutoModelForImageTextToText, AutoProcessor, AutoTokenizer
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING
from transformers.utils import is_torchvision_available

from weighbridge.errors import HandlerError, InvalidRequest, WeighbridgeError
from weighbridge.handlers.generation import Generation
from weighbridge.handlers.generation_settings import GenerationSettings
from weighbridge.handlers.images import rules_of
from weighbridge.handlers.inference import inferring
from weighbridge.handlers.interface import ChatGeneration, Device
from weighbridge.handlers.local_model import LocalModel
from weighbridge.handlers.pretrained import Place, load_model, load_processor, loading, locate
from weighbridge.handlers.request import template_options, wanted
from weighbridge.handlers.tool_calls import call_format, offered

Message = dict[str, Any]


class VisionChat(LocalModel):
    """A chat model for images; calls are made one after another, under a lock.

    Messages are in OpenAI's form: their content is a text, or parts `{"type": "text", "text": …}` and
    `{"type": "image_url", "image_url": {"url": …}}`. An image is a `data:` URL; a file only below `image_folder`, or an
    address only at one of `image_hosts`.

    Args:
        hf_repo_id: a repository in the cache, or a folder.
        device: the device it runs on.
        cache_dir: the Hugging Face cache; huggingface_hub's default when None.
        kwargs: `name`, `generation_defaults`, `dtype`, `image_folder`, `image_hosts`, and the options of `locate`.

    Raises:
        HandlerError, OutOfMemory: it cannot be loaded.
    """

    capabilities = ["chat-completion", "vision"]
    options = ["dtype", "image_folder", "image_hosts"]

    def __init__(self, hf_repo_id: str, device: Device, cache_dir: str | None = None, **kwargs: Any) -> None:
        super().__init__(hf_repo_id, device, kwargs)
        self._images = rules_of(kwargs)
        place = locate(hf_repo_id, cache_dir, kwargs)
        self.processor = _processor(place)
        self.tokenizer: Any = getattr(self.processor, "tokenizer", None)
        if self.tokenizer is None or not hasattr(self.processor, "image_processor"):
            raise HandlerError(f"{self.name} takes no images.", "Name another handler, such as TextChat.")
        self.model = load_model(AutoModelForImageTextToText, place, device)
        self._words = threading.Lock()
        self._generation = Generation(self.name, device, self.model, self.tokenizer, self.turns)
        self.supports_structured_outputs = not self._generation.structures.missing

    @property
    def generation_settings(self) -> GenerationSettings:
        """Return the settings of the publisher's generation_config.json that apply, and those that are overridden."""
        return self._generation.settings

    @property
    def context_length(self) -> int:
        """Return the most tokens of prompt, images and answer together."""
        return self._generation.context_length

    def generate(
        self,
        messages: Sequence[Message],
        *,
        max_new_tokens: int,
        temperature: float,
        top_p: float,
        stop: str | list[str] | None = None,
        cancel_event: threading.Event | None = None,
        **options: Any,
    ) -> ChatGeneration:
        """Answer messages that may hold images; otherwise as `TextChat.generate`.

        Raises:
            InvalidRequest: an option or an image is refused, or the messages are too long.
            HandlerError: the template fails, or the model computes NaN.
            OutOfMemory: the device is too small.
            Cancelled: `cancel_event` was set before there was a token.
        """
        options |= {"max_new_tokens": max_new_tokens, "temperature": temperature, "top_p": top_p, "stop": stop}
        return self.stream(messages, cancel_event=cancel_event, **options)

    def stream(
        self,
        messages: Sequence[Message],
        *,
        on_text: Callable[[str], None] | None = None,
        cancel_event: threading.Event | None = None,
        **options: Any,
    ) -> ChatGeneration:
        """Answer messages and call back with each piece of the text as `TextChat.stream`; otherwise as `generate`."""
        template = template_options(self.name, options)
        asked = wanted(self.name, options)
        text, images = self._templated(messages, True, template)
        inputs = self._encoded(text, images)
        prompt: list[int] = inputs.pop("input_ids")[0].tolist()
        inputs.pop("attention_mask", None)
        self._generation.check_room(prompt)
        placed = {name: self._placed(values) for name, values in inputs.items()}
        calls = call_format(self.tokenizer, self.processor.chat_template, template.get("tools", ()), text)
        return self._generation.answer(
            prompt, asked, inputs=placed, calls=calls, cancel_event=cancel_event, on_text=on_text
        )

    def count_tokens(self, messages: Sequence[Message], *, add_generation_prompt: bool = True) -> int:
        """Return the number of tokens of messages and images in the model's own template. Raises HandlerError."""
        return int(self._encoded(*self._templated(messages, add_generation_prompt))["input_ids"].shape[1])

    def complete(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        stop: Sequence[str] = (),
        cancel_event: threading.Event | None = None,
        on_token: Callable[[], None] | None = None,
        **options: Any,
    ) -> list[list[int]]:
        """Return the continuation of each text prompt; as `TextChat.complete`. Raises as `generate`."""
        return self._generation.complete(prompts, stop=stop, cancel_event=cancel_event, on_token=on_token, **options)

    def _placed(self, values: torch.Tensor) -> torch.Tensor:
        return values.to(self.device, self.model.dtype) if values.is_floating_point() else values.to(self.device)

    def _encoded(self, text: str, images: Sequence[Image.Image]) -> dict[str, Any]:
        """Return the model's inputs: tokens, and the images as numbers."""
        # Most templates write the first token of a text themselves; the tokenizer must not add another one.
        begins = self.tokenizer.bos_token
        written = {"add_special_tokens": False} if begins and text.startswith(begins) else {}
        with self._words, inferring(self.name, str(self.device), "images"):
            return dict(self.processor(text=[text], images=list(images) or None, return_tensors="pt", **written))

    def _parts(self, message: Message, images: list[Image.Image]) -> list[dict[str, str]]:
        """Return a message's content in the form of templates, and append its images to `images`."""
        content = message.get("content")
        if content is None or isinstance(content, str):
            return [{"type": "text", "text": content or ""}]
        parts = []
        for part in content if isinstance(content, list | tuple) else [content]:
            kind = part.get("type") if isinstance(part, dict) else None
            value = part.get(kind) if isinstance(kind, str) else None
            if kind == "text" and isinstance(value, str):
                parts.append({"type": "text", "text": value})
                continue
            url = value.get("url") if isinstance(value, dict) else value
            if kind != "image_url" or not isinstance(url, str):
                raise InvalidRequest(
                    f"A part of a message is of the type {str(kind)[:40]!r}, or does not have its form.",
                    'Write {"type": "text", "text": …} or {"type": "image_url", "image_url": {"url": …}}.',
                )
            if len(images) == self._images.max_images:
                raise InvalidRequest(f"The messages have more than {len(images)} images.", "Send fewer.")
            images.append(self._images.read(url))
            parts.append({"type": "image"})
        return parts

    def _templated(
        self,
        messages: Sequence[Message],
        add_generation_prompt: bool,
        options: Mapping[str, Any] = MappingProxyType({}),
    ) -> tuple[str, list[Image.Image]]:
        """Return the text of the messages in the template, and their images."""
        images: list[Image.Image] = []
        plain = [{**message, "content": self._parts(message, images)} for message in messages]

        def render(options: Mapping[str, Any]) -> str:
            made = self.processor.apply_chat_template(
                plain, tokenize=False, add_generation_prompt=add_generation_prompt, **options
            )
            return str(made)

        try:
            if self.processor.chat_template is None:
                raise HandlerError(f"{self.name} has no chat template.", "It is a base model: name another handler.")
            return offered(self.name, render, options), images
        except WeighbridgeError:
            raise
        except Exception as error:
            raise HandlerError(
                f"The chat template of {self.name} fails: {type(error).__name__}: {str(error)[:200]}.",
                "Check the messages' roles; if they are right, its publisher has to correct the template.",
            ) from error


def _processor(place: Place) -> Any:
    """Return a processor; without torchvision, which only videos need, one for images only."""
    if is_torchvision_available() or place.trusted:
        return load_processor(AutoProcessor, place)
    with loading(place, "the processor"):
        config = AutoConfig.from_pretrained(place.folder, local_files_only=True)
        kind = PROCESSOR_MAPPING.get(type(config), None)
    if kind is None or "video_processor" not in kind.get_attributes():
        return load_processor(AutoProcessor, place)
    images, tokenizer = load_processor(AutoImageProcessor, place), load_processor(AutoTokenizer, place)
    # transformers requires a video processor's class, which cannot be imported without torchvision.
    seeing = type(kind.__name__, (kind,), {"check_argument_for_proper_class": lambda *_: None})
    with loading(place, "the processor"):
        return seeing(
            image_processor=images, tokenizer=tokenizer, video_processor=None, chat_template=tokenizer.chat_template
        )
