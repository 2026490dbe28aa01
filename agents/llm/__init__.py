"""What the gateway to Claude is made of: questions, prices, retries, answers, the import of anthropic.

Nothing here knows a role or a rule of trading; nothing outside calls a model but through `agents.gateway`.
"""
