"""Real clients of the Hugging Face Hub, in environments of their own, against a served mirror: `make test-clients`.

Opt-in, as the environments take minutes and some hundreds of megabytes; what the tests have installed anyway is tried
by the ordinary suite, tests/web/mirror/test_clients.py. Nothing here is collected by pytest.
"""
