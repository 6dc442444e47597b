"""Loading: what in a configuration makes a program that loads the model run, import, fetch or read something else.

`loader_keys` is the table, as data; `inspection` holds a value against it. Everything read here is hostile and nothing
of it is imported or called. Not here: how a text becomes a value (headers.document, headers.yaml_text, headers.config),
chat templates (templates.places), globals of pickles (pickles.globals).
"""
