"""Options of the commands that use models. Not here: the commands (cli.benchmarks)."""

from __future__ import annotations

from typing import Annotated

import typer

Handler = Annotated[str, typer.Option("--handler", help="Path of a handler's class; models.yaml's, or the task's.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1 or mps.")]
Benchmarks = Annotated[
    list[str] | None, typer.Option("--benchmark", "-b", help="inference_latency, throughput, …; the task's own.")
]
Tasks = Annotated[
    list[str] | None, typer.Option(help="A task of lm-eval, or for mmlu a subject (mmlu_anatomy); repeated.")
]
Samples = Annotated[int, typer.Option("-n", min=0, help="Samples; the benchmark's own number by default.")]
Limit = Annotated[int, typer.Option(min=0, help="Documents of each task; all by default.")]
Shots = Annotated[
    int | None, typer.Option(min=0, help="Examples before each document; the task's own number by default.")
]
Warmups = Annotated[int, typer.Option(min=0, help="Runs before the first sample.")]
PromptTokens = Annotated[int, typer.Option(min=1, help="Length of each prompt.")]
OutputTokens = Annotated[int, typer.Option(min=2, help="Tokens of each answer.")]
BatchSizes = Annotated[list[int] | None, typer.Option(min=1, help="Prompts at once; repeated.")]
RequestRates = Annotated[
    list[float] | None, typer.Option(min=0.001, help="Requests a second at an endpoint; repeated.")
]
Data = Annotated[
    list[str] | None, typer.Option(help="NAME=PATH, a file or folder instead of a data set of the Hub; repeated.")
]
Endpoint = Annotated[str, typer.Option(help="Hub that data sets come from; the configured one by default.")]
Seed = Annotated[int, typer.Option(help="Of everything random.")]
Timeout = Annotated[float, typer.Option(min=1, help="Seconds for each benchmark.")]
JudgeUrl = Annotated[str, typer.Option(help="OpenAI-compatible endpoint that judges.")]
JudgeModel = Annotated[str, typer.Option(help="The judge's name there.")]
JudgeKeyEnv = Annotated[str, typer.Option(help="Environment variable with the judge's key.")]
AnswerTokens = Annotated[int, typer.Option(min=1, help="Tokens of each answer at most, for mt_bench.")]
