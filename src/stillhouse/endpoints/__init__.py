"""Who answers: a model in process (local), an OpenAI-compatible server, a Python function (scripted), a replay (recorded).

Nothing is exported here: `local` needs torch, the others do not.
"""
