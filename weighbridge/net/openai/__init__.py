"""Services that speak OpenAI's REST protocol."""
