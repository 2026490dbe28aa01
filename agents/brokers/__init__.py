"""The desk's way to a broker: port.py says what any of them must do, every other file is an adapter.

Nothing here decides what is traded; nothing above it knows which adapter it speaks to.
"""
