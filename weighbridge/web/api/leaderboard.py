"""The resource `/models/leaderboard`."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from weighbridge.benchmarks.leaderboard import Filter, Row
from weighbridge.catalog import Catalog
from weighbridge.intake.ranking import RankingRequest, rank
from weighbridge.web.api.cursors import MAX_LIMIT
from weighbridge.web.api.listing import Number, Text
from weighbridge.web.authentication import Reader
from weighbridge.web.problems import documented
from weighbridge.web.process import SharedAnswers
from weighbridge.web.routes import Router

router = Router(prefix="/models/leaderboard", tags=["leaderboard"])


class RankedBy(BaseModel):
    """Which versions and results are ranked, and by what."""

    model_config = ConfigDict(extra="forbid")

    architecture: Text = Field("", examples=["llama"])
    license: Text = Field("", examples=["apache-2.0"])
    task: Text = Field("", examples=["text-generation"])
    min_params: Number | None = Field(None, description="Number of weights.")
    max_params: Number | None = Field(None, description="Number of weights.", examples=[10_000_000_000])
    benchmark: Text = Field("", description="Empty for all.", examples=["mmlu"])
    metric: Text = Field("", description="Empty for each benchmark's main one.", examples=["ttft_p50"])
    definition: Text = Field("", examples=["inference_latency/1"])
    machine: Text = Field("", description="Part of the machine's name.", examples=["H200"])
    limit: int = Field(MAX_LIMIT, ge=1, le=MAX_LIMIT, description="Rows of each comparable group.")

    def request(self, models: tuple[str, ...]) -> RankingRequest:
        """Return the request of the use case."""
        most = float("inf") if self.max_params is None else self.max_params
        weights = self.min_params or 0, most
        wanted = Filter(self.architecture, *weights, self.license, self.task, self.definition, self.machine)
        return RankingRequest(wanted, self.benchmark, self.metric, models)


class RowDocument(BaseModel):
    """One manifest, ranked among those that it can be compared with."""

    rank: int | None = Field(description="From 1; null where `reason` says why it cannot be ranked.")
    rank_best: int | None = Field(description="The best rank that the intervals allow.")
    rank_worst: int | None
    name: str
    version: str
    names: str = Field(description="Every name and version of the same files.")
    architecture: str | None
    parameter_count: int | None
    license_type: str | None
    benchmark: str
    definition: str
    metric: str | None
    value: float | None
    unit: str | None
    low: float | None = Field(description="Of the 95 % interval.")
    high: float | None
    n: int | None = Field(description="Samples.")
    reason: str
    noisy: str = Field(description="What may have disturbed the measurement; or empty.")
    comparable_key: str = Field(description="Ranks count among rows of one key.")
    machine: str
    manifest_digest: str
    measured_at: str


class Leaderboard(BaseModel):
    """Rows, those of one comparable group together."""

    items: list[RowDocument]
    next: None = Field(description="Always null: the list has one part.")


@router.get("", response_model=Leaderboard, responses=documented(400, 422, 503))
async def get_leaderboard(
    request: Request, answers: SharedAnswers, caller: Reader, wanted: Annotated[RankedBy, Query()]
) -> Response:
    """Rank the versions that passed by what was measured; only comparable results are ranked against each other."""

    def document(catalog: Catalog) -> dict[str, Any]:
        groups = rank(wanted.request(caller.models), catalog).groups
        return {"items": [_row(row) for group in groups for row in group.rows[: wanted.limit]], "next": None}

    return await answers.of(request, caller.models, document, takes_long=True)


def _row(row: Row) -> dict[str, Any]:
    """Return a `RowDocument`."""
    content = row.to_json()
    return {"license_type": content.pop("licence"), **content}
