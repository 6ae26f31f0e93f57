"""Adapters of ``AgentTransport`` and ``Settlement``, one technology each."""
