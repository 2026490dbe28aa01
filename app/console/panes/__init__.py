"""The panes: each turns one frozen view into lines or rows, and fetches nothing.

Importing this package imports no pane; `screens/desk_frame.py` puts them together."""
