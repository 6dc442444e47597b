"""Publishers' signatures of models (OpenSSF Model Signing): found, read, compared with the files, and checked.

`statement` reads what was signed, `coverage` compares it with the model's files, `checking` asks the libraries in a
process without a network whose signature it is. Not here: what follows from it (domain.publisher_rules).
"""
