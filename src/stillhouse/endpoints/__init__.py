"""Who answers: `local` (a model in process), `server` (OpenAI-compatible), `scripted` (a function), `recorded`.

Nothing is exported here: `local` needs torch, the others do not.
"""
