"""The clinic's server: films in over HTTP, cases kept on disk, one page for a tablet.

Never imports torch, tensorflow, `models` or `convert`.
"""
