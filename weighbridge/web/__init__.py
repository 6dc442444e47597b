"""The served process: Weighbridge over HTTP. `weighbridge serve` imports it, and nothing else does."""
