"""Loads a pipeline with diffusers: NAME REVISION FOLDER."""

import sys

from diffusers import DiffusionPipeline

name, revision, _ = sys.argv[1:]
pipeline = DiffusionPipeline.from_pretrained(name, revision=revision or None)
print("LOADED", int(next(pipeline.unet.parameters()).flatten()[0].item()))
