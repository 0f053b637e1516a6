"""Who the pipelines are in the cloud: no keys, one account per job."""

from infra.delivery_identity.accounts import DeliveryIdentity, DeliveryIdentityArgs
from infra.delivery_identity.roles import Role

__all__ = ["DeliveryIdentity", "DeliveryIdentityArgs", "Role"]
