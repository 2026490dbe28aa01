"""Financial Modeling Prep: the client, and above it the answers that are kept.

Every call passes the ledger of `storage.calls` before it is made; nothing here decides what is worth one."""
