"""The Hugging Face Hub: what its refusals mean, and its Xet storage."""
