"""Servers that answer on loopback as the desk's vendors do; nothing of the desk imports them."""
