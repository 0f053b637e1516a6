"""The load balancer and firewall before the service."""

from infra.edge.balancer import Edge, EdgeArgs

__all__ = ["Edge", "EdgeArgs"]
