"""How good an artifact's explanations are, measured on films.

The door is `reporting.explain_report`; the arithmetic stands in `curves`, `similarity` and
`regions`, the rule that picks a bundle's default method in `rule`.
"""
