"""NATS JetStream as an agent. Imported only when a cluster has one."""
