"""The Hugging Face Hub: its errors, its lists of files, and its Xet storage."""
