"""The agents and what they stand on: market data, trading rules, roles, and the orchestrator of their votes.

Nothing here draws a screen, reads the environment or decides for the human."""
