"""How many weights a model has and how much memory it needs, told from what is known without its bytes.

Pure arithmetic on values that anybody may have written: a missing, malformed or hostile number is as if it was not
there. Not here: reading headers (content.headers), asking the Hub (net.hub), choosing words for a page (views).
"""
