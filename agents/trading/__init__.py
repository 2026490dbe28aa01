"""Trading rules as pure functions: costs, setups, screen, limits and sizing, paper broker, book, outcomes.

Nothing here asks a model, reads a clock or the environment, or writes to the database."""
