"""What is posted about models on the Hub: the news, with links to the Hub's catalogue and to the models here."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from weighbridge.catalog import Delivery
from weighbridge.config.settings import Settings
from weighbridge.domain.webhooks import Destination
from weighbridge.web.api.webhook_documents import message_of

AT = datetime(2026, 11, 28, tzinfo=UTC)


@pytest.mark.parametrize(
    ("event", "data", "links"),
    [
        (
            "hub.model.changed",
            {"hub_model": "org/a ½", "field": "gated", "models": ["ours", "team/b"]},
            {
                "hub_model": "/api/hub/models/org/a%20%C2%BD",
                "models": ["/api/models/ours", "/api/models/team%2Fb"],
            },
        ),
        ("hub.refreshed", {"kind": "full", "counts": {}}, {"changes": "/api/hub/changes"}),
    ],
)
def test_links(event: str, data: dict[str, Any], links: dict[str, Any]) -> None:
    message = {"type": event, "timestamp": AT.isoformat(), "data": data}
    to = Destination("https://hooks.example/", "mark/name")
    delivery = Delivery("msg_1", "sub", None, to, message, "waiting", AT, 0, (), "", AT, None)
    posted = message_of(delivery, Settings(serve_url="", api_prefix="/api"))
    assert posted == {**message, "data": {**data, "links": links}}
