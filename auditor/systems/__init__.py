"""Who is asked: endpoints in four dialects and decision services, over one transport with one conduct.

Nothing here reads a decision: ``auditor.readouts`` does, from what came back.
"""
