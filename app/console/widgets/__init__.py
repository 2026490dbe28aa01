"""Widgets that draw lines of pieces and nothing else.

No widget here knows a desk; panes build the lines."""
