"""Headers: what a model's files say of themselves, one format a file, read within limits and without a tensor.

Everything read here is hostile. Reading never raises because of content: what is wrong becomes a `Finding`, what cannot
be read is absent. Not here: what a file is (content.detection), what findings lead to (domain.gate), the card
(cards.describe).
"""
