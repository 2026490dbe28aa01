"""What every room shares and what PostgreSQL remembers: records, schema, memory, snapshots, the server.

Nothing here knows an agent, a vendor or a screen; importing the package itself imports nothing."""
