"""The operator's screen: panes over frozen snapshots, the review that alone takes a verdict, the host.

The only room that imports textual; it reaches the desk through one port, psycopg after the first paint."""
